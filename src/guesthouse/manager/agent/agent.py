"""The guest's agent as a library: run commands, copy files, switch off, freeze file systems."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from guesthouse.errors import UserError
from guesthouse.manager.agent.calls import Calls
from guesthouse.manager.agent.command import RemoteCommand, Size, Start, StreamName, User
from guesthouse.manager.agent.session import CLOSED, AgentReady, AgentSession
from guesthouse.manager.agent.transfer import Copied, Told, copy_in, copy_out

TURN = 1.0
"""Seconds after which a wait looks at its conditions again."""

MOST_OUTPUT, MOST_TABLE = 1 << 30, 4 << 20
PATIENCE = 120.0
"""Seconds that one system call of ours may take in the guest."""

CHUNK = 1 << 18

Text = str | bytes


class Stream(Protocol):
    """A connected stream of bytes to the agent: a console port's, or a vsock connection."""

    def exchange(self, data: bytes, timeout: float | None) -> bytes | None:
        """Send `data`, and give what has come within `timeout` seconds: b"" for nothing, None where nothing will."""


class Result(msgspec.Struct, frozen=True):
    """How a command ended: its status as a shell tells it, the signal that ended it or 0, and what it wrote."""

    status: int
    signal: int
    stdout: bytes
    stderr: bytes


class AgentError(UserError):
    """The agent can't do what was asked, or is gone."""


class AgentTimeout(AgentError):
    """It took longer than it was allowed to."""


class Process:
    """A command in the guest, with its output collected; `wait` gives the result."""

    def __init__(self, agent: Agent, start: Start, most: int = MOST_OUTPUT) -> None:
        self._agent = agent
        self._most = most
        self._output = {StreamName.OUTPUT: bytearray(), StreamName.ERRORS: bytearray()}
        self.overflowed = False
        self.limit: float | None = None
        """Seconds that it may take in all, where that was said."""
        self.command: RemoteCommand
        self.command = agent.session.start(start, self)

    def output(self, stream: StreamName, data: bytes) -> None:
        """Collect what was written."""
        if sum(map(len, self._output.values())) + len(data) > self._most:
            self.overflowed = True
            return
        self._output[stream] += data
        self.command.grant(stream, len(data))

    def changed(self) -> None:
        """Nothing is done here: who waits looks by itself."""

    @property
    def collected(self) -> int:
        """Bytes of output that wait to be taken."""
        return len(self._output[StreamName.OUTPUT])

    def take(self, stream: StreamName = StreamName.OUTPUT) -> bytes:
        """What has been collected, which is then forgotten."""
        data = bytes(self._output[stream])
        self._output[stream].clear()
        return data

    def write(self, data: bytes, timeout: float | None = None) -> None:
        """Send input, waiting until the command has taken most of it; raises AgentTimeout as `wait` does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for start in range(0, len(data), CHUNK):
            self.command.write(data[start : start + CHUNK])
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._agent.wait_for(lambda: self.overflowed or self.command.unsent < CHUNK, rest):
                self._give_up(timeout)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end. Raises AgentTimeout, and AgentError where the command can't be run or the agent is gone."""
        over = self._agent.wait_for(lambda: self.command.finished or self.overflowed, timeout)
        if self.overflowed or not over:
            self._give_up(timeout)
        if self.command.lost:
            raise AgentError(f"The command's end is not known: {self.command.lost}.")
        stdout, stderr = (bytes(self._output[stream]) for stream in StreamName)
        return Result(self.command.status, self.command.signal_number, stdout, stderr)

    def _give_up(self, timeout: float | None) -> None:
        self.kill()
        if self.overflowed:
            raise AgentError(f"The command wrote more than {self._most >> 20} MiB, and was killed.")
        raise AgentTimeout(f"The command took longer than {self.limit or timeout or 0:g} s, and was killed.")

    def kill(self) -> None:
        """End it at once, with its process group."""
        self._agent.session.drop(self.command)
        self._agent.pump(0)


class Agent:
    """The agent at the other end of a stream; one thread at a time uses it, and any number of commands may run.

    `fresh`: nobody has spoken to the guest since its start.
    """

    def __init__(self, stream: Stream, *, fresh: bool = False) -> None:
        self._stream = stream
        self.session = AgentSession(secrets.randbits(64) | 1, fresh=fresh)

    # --- moving bytes -------------------------------------------------------------------------------------------------

    def pump(self, timeout: float | None = None) -> None:
        """Move bytes both ways, waiting at most so many seconds for some to come."""
        data = self._stream.exchange(self.session.take_output(), timeout)
        if data is None:
            self.session.close(CLOSED)
        elif data:
            self.session.receive(data)

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Move bytes until a condition holds or the conversation is over; False where the time is up."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition() and not self.session.problem:
            rest = TURN if deadline is None else min(TURN, deadline - time.monotonic())
            if rest <= 0:
                return False
            self.pump(rest)
        self.pump(0)
        return True

    def wait_ready(self, timeout: float | None = 60.0) -> AgentReady:
        """Wait until the agent answers. Raises AgentTimeout, and AgentError where it is gone."""
        if not self.wait_for(lambda: self.session.ready is not None, timeout):
            raise AgentTimeout(f"The guest's agent did not answer within {timeout:g} s.")
        if self.session.ready is None or self.session.problem:
            raise AgentError(f"The guest's agent can't be used: {self.session.problem}.")
        return self.session.ready

    # --- commands -----------------------------------------------------------------------------------------------------

    def start(
        self,
        argv: Sequence[Text],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Text = "",
        user: str | User | None = None,
        terminal: Size | None = None,
        linger: bool = False,
    ) -> Process:
        """Start a command with its input open; see `run`. With `linger` its output ends when nobody holds it open."""
        self.wait_ready()
        if not argv:
            raise AgentError("There is no command to run; give its words.")
        return Process(
            self,
            Start(
                words=[_bytes(word) for word in argv],
                environment=[f"{name}={value}".encode() for name, value in (env or {}).items()],
                directory=_bytes(cwd),
                user=user if isinstance(user, User) or user is None else self.user(user),
                terminal=terminal,
                linger=linger,
            ),
        )

    def run(
        self,
        argv: Sequence[Text],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: Text = "",
        user: str | User | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run a command to its end; `env` is added to the agent's environment, `user` is a name, number or `User`.

        A status other than 0 is no error. Raises AgentTimeout after `timeout` seconds (the command is killed then), and
        AgentError where the agent is gone or the user is not known.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        process = self.start(argv, env=env, cwd=cwd, user=user)
        process.limit = timeout
        process.write(input, timeout)
        process.command.end_input()
        return process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def user(self, name: str) -> User:
        """The user of that name or number in the guest; raises AgentError where there is none."""
        with self.calls() as calls:
            entries, groups = (_table(calls.read_file(path, MOST_TABLE)) for path in (b"/etc/passwd", b"/etc/group"))
        for fields in entries:
            if len(fields) >= 4 and name in (fields[0], fields[2]) and fields[2].isdigit() and fields[3].isdigit():
                others = [int(g[2]) for g in groups if len(g) >= 4 and g[2].isdigit() and fields[0] in g[3].split(",")]
                gid = int(fields[3])
                return User(int(fields[2]), gid, tuple(dict.fromkeys([gid, *others]))[:64])
        raise AgentError(f"The guest has no user {name!r}; its /etc/passwd names those it has.")

    def ping(self, timeout: float = 10.0) -> float:
        """Seconds until the agent has answered; raises AgentTimeout or AgentError."""
        self.wait_ready(timeout)
        began, answers = time.monotonic(), list[bool]()
        self.session.ping(lambda: answers.append(True))
        if not self.wait_for(lambda: bool(answers), timeout):
            raise AgentTimeout(f"The guest's agent did not answer within {timeout:g} s.")
        if not answers:
            raise AgentError(f"The guest's agent can't be used: {self.session.problem}.")
        return time.monotonic() - began

    # --- files --------------------------------------------------------------------------------------------------------

    @contextmanager
    def calls(self, user: User | None = None, patience: float = PATIENCE) -> Iterator[Calls]:
        """System calls in the guest, as root or as another user, each within `patience` seconds; see `Calls`."""
        self.wait_ready()
        process = Process(self, Start(calls=True, user=user))
        try:
            calls = Calls(_CallPipe(self, process, patience))
            yield calls
            calls.settle()
        finally:
            process.kill()

    def copy_in(self, source: str, target: str, told: Told = lambda path: None) -> Copied:
        """Copy a file or folder of the host into the guest, with permissions, links and times; it belongs to root.

        Into `target` where that is a folder, else `target` is its new name. Raises UserError.
        """
        with self.calls() as calls:
            return copy_in(calls, source, target, told)

    def copy_out(self, source: str, target: str, told: Told = lambda path: None) -> Copied:
        """Copy a file or folder of the guest to the host, as `copy_in` does; nothing is written outside `target`."""
        with self.calls() as calls:
            return copy_out(calls, source, target, told)

    # --- the guest itself ---------------------------------------------------------------------------------------------

    def freeze(self) -> list[bytes]:
        """Freeze the guest's file systems on disks, so that these are consistent; gives where they are mounted.

        Whatever writes to one waits until `thaw`, and so may commands.
        """
        with self.calls() as calls:
            return calls.freeze()

    def thaw(self) -> None:
        """Let frozen file systems be written again."""
        with self.calls() as calls:
            calls.thaw()

    def set_clock(self, now: int | None = None) -> None:
        """Set the guest's clock, in nanoseconds since 1970 (UTC); to the host's where no time is given."""
        with self.calls() as calls:
            calls.set_clock(time.time_ns() if now is None else now)

    def shutdown(self, *, reboot: bool = False) -> None:
        """Ask the guest to switch off cleanly, or to start again; it does so soon after."""
        self.wait_ready()
        self.session.shut_down(reboot=reboot)
        self.pump(0)


def _table(data: bytes) -> list[list[str]]:
    """The fields of each line of a file such as /etc/passwd."""
    return [line.split(":") for line in data.decode("utf-8", "replace").split("\n")]


class _CallPipe:
    """The streams of a child that makes system calls, each within so many seconds."""

    def __init__(self, agent: Agent, process: Process, patience: float) -> None:
        self._patience = patience
        self._agent = agent
        self._process = process
        self._read = bytearray()
        self._broken = False

    def write(self, data: bytes) -> None:
        if self._broken:
            raise AgentError("The guest's agent stopped making system calls.")
        self._process.write(data, self._patience)

    def read(self, count: int) -> bytes:
        self._read += self._process.take()
        while len(self._read) < count:
            if self._broken or not self._agent.wait_for(self._some, self._patience):
                self._broken = True  # what follows, to close files and the like, is not waited for as well
                raise AgentTimeout(f"A system call in the guest took longer than {self._patience:g} s.")
            more = self._process.take()
            if not more and (self._process.command.finished or self._agent.session.problem):
                raise AgentError("The guest's agent stopped making system calls.")
            self._read += more
        data = bytes(self._read[:count])
        del self._read[:count]
        return data

    def _some(self) -> bool:
        return self._process.collected > 0 or self._process.command.finished


def _bytes(text: Text) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
