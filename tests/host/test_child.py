"""A child process: messages both ways, interruption, and an end when it is closed."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.child import Child

ECHO = """
import sys, time
from guesthouse.host.messages import read_message, write_message

while (message := read_message(sys.stdin.buffer)) is not None:
    write_message(sys.stdout.buffer, message)
    if message == "sleep":
        time.sleep(60)
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "echo_for_tests.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    return "echo_for_tests"


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
