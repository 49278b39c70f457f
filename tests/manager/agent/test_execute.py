import os
import pty
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from guesthouse.errors import UserError
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent.execute import BROKEN_OUTPUT, CommandNotRun, Ends, Execution, execute
from tests.manager.agent.conftest import Running


class Caller:
    """The streams of somebody who calls `execute`: what to type, and what has come."""

    def __init__(self, data: bytes = b"") -> None:
        reader, self._writer = os.pipe()
        self.pipes = [os.pipe(), os.pipe()]
        self.ends = Ends(reader, self.pipes[0][1], self.pipes[1][1])
        self.got = [b"", b""]
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(2)]
        self._threads.append(threading.Thread(target=self._write, args=(data,)))
        for thread in self._threads:
            thread.start()

    def _read(self, number: int) -> None:
        while data := os.read(self.pipes[number][0], 1 << 16):
            self.got[number] += data

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._writer, view) :]
        os.close(self._writer)

    def finish(self) -> list[bytes]:
        for descriptor in (self.ends.output, self.ends.errors):
            os.close(descriptor)
        for thread in self._threads:
            thread.join(20)
        return self.got


def soon(call: Callable[[], object], seconds: float) -> None:
    threading.Thread(target=lambda: (time.sleep(seconds), call())).start()


def test_streams_and_status_go_through(running: Running) -> None:
    data = os.urandom(2_000_000)
    caller = Caller(data)
    words = [b"sh", b"-c", b"cat; echo $NAME >&2; pwd >&2; exit 7"]
    execution = Execution(words=words, environment=[b"NAME=value"], directory=b"/usr")
    assert execute(running.end, execution, caller.ends) == 7
    assert caller.finish() == [data, b"value\n/usr\n"]


def test_what_can_not_be_run_is_told(running: Running) -> None:
    caller = Caller()
    with pytest.raises(CommandNotRun, match="'nothing' can't be run in the guest: there is no such program") as told:
        execute(running.end, Execution(words=[b"nothing"]), caller.ends)
    assert told.value.status == 127
    caller.finish()


def test_a_signal_goes_to_the_command_and_the_second_ends_it(running: Running) -> None:
    caller = Caller()
    soon(lambda: os.kill(os.getpid(), signal.SIGINT), 1)
    words = [b"sh", b"-c", b"trap 'echo caught; exit 9' INT; sleep 60 & wait"]
    assert execute(running.end, Execution(words=words), caller.ends) == 9
    assert caller.finish()[0] == b"caught\n"
    caller = Caller()
    soon(lambda: os.kill(os.getpid(), signal.SIGTERM), 1)
    soon(lambda: os.kill(os.getpid(), signal.SIGTERM), 1.3)
    words = [b"sh", b"-c", b"trap '' TERM; sleep 60"]
    assert execute(running.end, Execution(words=words), caller.ends) == 128 + 15
    caller.finish()


def test_output_that_nobody_takes_ends_the_command(running: Running) -> None:
    caller = Caller()
    reader, writer = os.pipe()
    os.close(reader)
    ends = Ends(caller.ends.input, writer, caller.ends.errors)
    assert execute(running.end, Execution(words=[b"yes"]), ends) == BROKEN_OUTPUT
    os.close(writer)
    caller.finish()


def test_a_terminal_is_the_guests_meanwhile(running: Running) -> None:
    master, slave = pty.openpty()
    words = [b"sh", b"-c", b"stty size; tty; cat; echo end"]
    soon(lambda: os.write(master, b"typed\n\x04"), 1)
    assert execute(running.end, Execution(words=words, terminal=True), Ends(slave, slave, slave)) == 0
    shown = os.read(master, 10_000)
    assert b"24 80" in shown and b"/dev/pts/" in shown and shown.endswith(b"typed\r\ntyped\r\nend\r\n")
    os.close(master)
    os.close(slave)


def test_an_agent_that_is_gone_is_told(running: Running) -> None:
    caller = Caller()
    soon(running.process.kill, 1)
    with pytest.raises(UserError, match="end is not known: the guest's agent is gone"):
        execute(running.end, Execution(words=[b"sleep", b"5"]), caller.ends)
    caller.finish()
    running.process.wait()
    running.process.returncode = 0  # killed by us


def test_nobody_at_the_other_end_is_told() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    caller = Caller()
    with ours, pytest.raises(UserError, match="can't be used: the guest's agent is gone"):
        execute(ours, Execution(words=[b"true"]), caller.ends)
    caller.finish()


def test_the_next_one_can_use_the_same_stream(running: Running) -> None:
    for status in (1, 2):
        caller = Caller()
        assert execute(running.end, Execution(words=[b"sh", b"-c", b"exit %d" % status]), caller.ends) == status
        caller.finish()
    assert Agent(running.stream).run(["echo", "x"]).stdout == b"x\n"
