"""A sleeper: it becomes a program when it is first spoken to, and ends when nobody will."""

import os
import sys
import time
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.sleeper import start_sleeper

PROGRAM = """
import os, sys
from guesthouse.host.connection import Connection
from guesthouse.host.sleeper import take_standard_input

end = Connection(take_standard_input())
while True:
    message = end.receive()
    links = [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)]
    end.send([message, sys.argv[1:], os.getppid(), os.getsid(0), links, os.getcwd()])
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "program_for_tests.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    return "program_for_tests"


def running(mark: str) -> list[int]:
    """Processes with this word among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.name))
    return found


def gone(mark: str) -> bool:
    """Whether they all end within five seconds."""
    end = time.monotonic() + 5
    while running(mark) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(mark)


def test_it_answers_once_it_is_spoken_to_and_is_nobodys_child(program: str) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    sleeper = start_sleeper(program, [mark, "a b"])
    for message in ("first", "second"):
        sleeper.send(message)
        heard = None
        while heard is None:
            heard = sleeper.poll(30)
        answered, arguments, parent, session, links, folder = heard
        assert (answered, arguments) == (message, [mark, "a b"])
        assert parent != os.getpid() and session != os.getsid(0)
        assert links == [os.devnull] * 3 and folder == "/"
    sleeper.close()
    assert gone(mark)


def test_one_that_is_never_woken_leaves_no_process(program: str) -> None:
    mark = f"mark-{os.urandom(8).hex()}"
    sleeper = start_sleeper(program, [mark])
    assert len(running(mark)) == 1
    sleeper.close()
    assert gone(mark)


def test_a_program_that_can_not_start_is_told(program: str) -> None:
    sleeper = start_sleeper("a_module_that_does_not_exist", [])
    sleeper.send("hello")
    with pytest.raises(UserError, match="ended unexpectedly"):
        sleeper.receive()
    sleeper.close()
