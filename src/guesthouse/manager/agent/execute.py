"""One command in a running guest, connected to the caller's own streams: what `exec` is to a guest that has a name."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import time
from collections.abc import Sequence

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.channels import CHUNK, Inlet, Outlet
from guesthouse.host.loop import Loop
from guesthouse.host.signals import CaughtSignals
from guesthouse.host.terminal import is_terminal, raw_terminal, terminal_environment, terminal_size
from guesthouse.manager.agent.command import RemoteCommand, Size, Start, StreamName, User
from guesthouse.manager.agent.session import AgentSession

PATIENCE = 30.0
"""Seconds that the agent may take to answer."""

GRACE = 2.0
"""Seconds that a command which was told to end twice, and output that nobody takes, are waited for."""

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH)
BROKEN_OUTPUT = 128 + signal.SIGPIPE


class Ends(msgspec.Struct, frozen=True):
    """Descriptors of the caller's standard streams."""

    input: int = 0
    output: int = 1
    errors: int = 2


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run: words, variables as NAME=VALUE, folder, user (None: root).

    `terminal` None: it gets a terminal where input and output both are one.
    """

    words: Sequence[bytes]
    environment: Sequence[bytes] = ()
    directory: bytes = b""
    user: User | None = None
    terminal: bool | None = None


def execute(end: socket.socket, execution: Execution, ends: Ends | None = None) -> int:
    """Run a command through a connected stream to the guest's agent; gives its status, as a shell tells it.

    Input, output and signals go through until it has ended; on a terminal the guest's has the same size. A second
    signal ends the waiting, and the command. Raises UserError where the agent does not answer or is gone.
    """
    with contextlib.ExitStack() as stack:
        run = _Execution(end, execution, ends or Ends(), stack)
        stack.enter_context(CaughtSignals(run.loop, CAUGHT, run.on_signal))
        while not run.finished():
            run.loop.turn(run.patience())
        return run.status()


class _Execution:
    def __init__(self, end: socket.socket, execution: Execution, ends: Ends, stack: contextlib.ExitStack) -> None:
        end.setblocking(False)
        self.loop = Loop()
        self._execution = execution
        self._ends = ends
        self._stack = stack
        self._session = AgentSession(secrets.randbits(64) | 1)
        self._command: RemoteCommand | None = None
        self._signalled = 0
        self._deadline = time.monotonic() + PATIENCE
        self._from_guest = Inlet(self.loop, end.fileno(), self._receive, self._session.close)
        self._to_guest = Outlet(self.loop, end.fileno(), CHUNK)
        self._outlets = {
            StreamName.OUTPUT: Outlet(self.loop, ends.output, emptied=lambda: self._grant(StreamName.OUTPUT)),
            StreamName.ERRORS: Outlet(self.loop, ends.errors, emptied=lambda: self._grant(StreamName.ERRORS)),
        }
        self._taken = dict.fromkeys(StreamName, 0)
        self._input = Inlet(self.loop, ends.input, self._on_input, self._on_input_end)
        both = is_terminal(ends.input) and is_terminal(ends.output)
        self._terminal = both if execution.terminal is None else execution.terminal
        self._raw = self._terminal and is_terminal(ends.input)

    # --- the guest ----------------------------------------------------------------------------------------------------

    def _receive(self, data: bytes) -> None:
        self._session.receive(data)
        if self._session.ready is not None and self._command is None and not self._session.problem:
            self._begin()

    def _begin(self) -> None:
        wanted = self._execution
        self._command = self._session.start(
            Start(
                words=wanted.words,
                environment=[*self._terminal_type(), *wanted.environment],
                directory=wanted.directory,
                user=wanted.user,
                terminal=Size(*terminal_size(self._ends.output)) if self._terminal else None,
            ),
            self,
        )
        self._deadline = float("inf")
        if self._raw:
            self._stack.enter_context(raw_terminal(self._ends.input))

    def _terminal_type(self) -> list[bytes]:
        known = terminal_environment(self._ends.output) if self._terminal else []
        return [name.encode() for name in known if name.startswith("TERM=")]

    def output(self, stream: StreamName, data: bytes) -> None:
        """The command has written."""
        self._taken[stream] += len(data)
        self._outlets[stream].write(data)
        if self._outlets[stream].broken:
            self._grant(stream)

    def changed(self) -> None:
        """Something of the command has changed: the loop looks by itself."""

    def _grant(self, stream: StreamName) -> None:
        count, self._taken[stream] = self._taken[stream], 0
        if count and self._command is not None:
            self._command.grant(stream, count)

    # --- the caller ---------------------------------------------------------------------------------------------------

    def _on_input(self, data: bytes) -> None:
        if self._command is not None:
            self._command.write(data)

    def _on_input_end(self) -> None:
        if self._command is not None:
            self._command.end_input()

    def on_signal(self, number: int) -> None:
        """A signal goes to the command first; the second one ends it and the waiting."""
        if self._command is None:
            self._session.close("it was given up")
        elif number == signal.SIGWINCH:
            self._command.resize(Size(*terminal_size(self._ends.output)))
        elif self._signalled:
            self._session.drop(self._command)
        else:
            self._signalled = number
            self._command.signal(number)

    def patience(self) -> float | None:
        """How long the loop may wait, in seconds; decides beforehand what is to be waited for."""
        command = self._command
        self._input.want(command is not None and command.input_open and command.unsent < CHUNK)
        if command is not None and self._outlets[StreamName.OUTPUT].broken and not command.finished:
            self._session.drop(command)
        self._to_guest.write(self._session.take_output())
        self._from_guest.want(not self.finished())
        if self._done() and self._deadline == float("inf"):
            self._deadline = time.monotonic() + GRACE
        return None if self._deadline == float("inf") else max(0.0, self._deadline - time.monotonic())

    def _done(self) -> bool:
        return bool(self._session.problem) or (self._command is not None and self._command.finished)

    def finished(self) -> bool:
        """Whether all is said and written, or nobody waits for it any more."""
        if time.monotonic() >= self._deadline:
            return True
        waiting = self._to_guest.buffer and not self._to_guest.broken
        return self._done() and not waiting and not any(outlet.buffer for outlet in self._outlets.values())

    def status(self) -> int:
        """See `execute`."""
        command = self._command
        if command is None:
            why = self._session.problem or f"it did not answer within {PATIENCE:g} s"
            raise UserError(f"The guest's agent can't be used: {why}.")
        if self._outlets[StreamName.OUTPUT].broken:
            return BROKEN_OUTPUT
        if command.error is not None:
            name = self._execution.words[0].decode("utf-8", "replace")
            raise CommandNotRun(name, command.status, command.error)
        if command.lost and not self._signalled:
            raise UserError(f"The command's end is not known: {command.lost}.")
        return 128 + self._signalled if command.lost else command.status


class CommandNotRun(UserError):
    """The guest could not run the command; `status` is what a shell would have ended with."""

    def __init__(self, name: str, status: int, error: int) -> None:
        why = "there is no such program or folder" if status == 127 else f"error {error} of its kernel"
        super().__init__(f"{name!r} can't be run in the guest: {why}.")
        self.status = status
