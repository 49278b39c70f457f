"""A child process: frames both ways, interruption, and an end with its parent's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.child import Child

ECHO = """
import sys, time, os
from guesthouse.host.child import LENGTH, end_with_input

end_with_input(0)
while head := sys.stdin.buffer.read(LENGTH.size):
    data = sys.stdin.buffer.read(LENGTH.unpack(head)[0])
    sys.stdout.buffer.write(head + data)
    sys.stdout.buffer.flush()
    if b"sleep" in data:
        time.sleep(60)
"""
PARENT = """
import sys, time
from guesthouse.host.child import Child

child = Child("echo_for_tests")
child.send("sleep")
child.receive()
print(child._process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "echo_for_tests.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    return "echo_for_tests"


def ends(pid: int, seconds: float) -> bool:
    """Whether a process is gone, or waits for a parent to look, before so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_messages_come_back_in_order(echo: str) -> None:
    child = Child(echo)
    for message in (1, {"a": b"\0" * 100_000}, ["x"]):
        child.send(message)
    assert [child.receive() for _ in range(3)] == [1, {"a": b"\0" * 100_000}, ["x"]]
    assert child.poll() is None
    child.close()


def test_closing_ends_a_busy_child(echo: str) -> None:
    child = Child(echo)
    child.send("sleep")
    child.receive()
    started = time.monotonic()
    child.close()
    assert time.monotonic() - started < 5


def test_a_child_that_was_asked_nothing_ends_too(echo: str) -> None:
    child = Child(echo)
    started = time.monotonic()
    child.close()
    assert time.monotonic() - started < 5


def test_interrupting_a_thread_that_waits(echo: str) -> None:
    child, reasons = Child(echo), []

    def wait() -> None:
        with pytest.raises(UserError) as caught:
            child.receive()
        reasons.append(str(caught.value))

    thread = threading.Thread(target=wait)
    thread.start()
    child.interrupt()
    thread.join(5)
    assert reasons == ["nobody waits for the compile process any more"]
    child.close()


def test_a_child_that_ended_is_told(echo: str) -> None:
    child = Child("a_module_that_does_not_exist")
    child.send("hello")
    with pytest.raises(UserError, match="ended unexpectedly"):
        child.receive()
    child.close()


def test_a_busy_child_ends_when_its_parent_is_killed(echo: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert ends(pid, 5), "it waits at its input's end only"
