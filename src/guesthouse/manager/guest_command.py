"""One command in a guest that was started for it: the agent's conversation between the machine's thread and ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.command import RemoteCommand, Start, StreamName
from guesthouse.manager.agent.session import AgentSession

PORT = protocol.PORT.decode()
PARAMETERS = "guesthouse.command=1 quiet"
AGENT_PARAMETER = "guesthouse.agent=1"
"""Has an image that does not start its agent by itself do so, beside its shell."""
NONCE = 1
"""Not random: nobody else has spoken to this guest, and runs with a counted clock are to repeat."""
SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "TERM": 15}


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> None:
        """Take all of `data`."""


class Port(Protocol):
    """The host's end of the port's input."""

    def write(self, data: bytes) -> None:
        """Send `data` to the guest; from any thread."""


class GuestCommand:
    """Starts the command once the agent is ready, and has the guest switched off when it has ended.

    The machine's thread brings what the agent says (`write`); everything else may be called by any thread. `status` is
    the command's once it has ended, `takes_input` says whether input may be sent. `changed` is called when either
    changes.
    """

    def __init__(self, words: Sequence[bytes], stdout: Sink, stderr: Sink, changed: Callable[[], None]) -> None:
        self._words = words
        self._sinks = {StreamName.OUTPUT: stdout, StreamName.ERRORS: stderr}
        self._changed = changed
        self._session = AgentSession(NONCE, fresh=True)
        self._command: RemoteCommand | None = None
        self._written: list[tuple[StreamName, bytes]] = []
        self._lock = threading.Lock()
        self._input_ended = False
        self._port: Port | None = None
        self.status: int | None = None
        self.ports = {PORT: self}

    def attach(self, port: Port) -> None:
        """Send to the guest through this port."""
        with self._lock:
            self._port = port
            self._send()

    # --- the machine's thread -----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Take what the agent says. Output is given to its sinks with nothing held: they may wait for our caller."""
        with self._lock:
            self._session.receive(data)
            if self._session.ready and self._command is None:
                self._command = self._session.start(Start(words=self._words, directory=b"/root"), self)
                self.changed()
            written, self._written = self._written, []
            self._send()
        for stream, text in written:
            self._sinks[stream].write(text)
        with self._lock:
            if self._command is not None:
                for stream, text in written:
                    self._command.grant(stream, len(text))
                if self._command.finished and self.status is None:
                    self._finish(self._command)
            self._send()

    def opened(self, is_open: bool) -> None:
        """Hear of the guest's end; the agent says by itself when it is there."""

    def output(self, stream: StreamName, data: bytes) -> None:
        """The command has written."""
        self._written.append((stream, data))

    def changed(self) -> None:
        """Something of the command has changed."""
        self._changed()

    def _finish(self, command: RemoteCommand) -> None:
        self.status = command.status
        if command.lost:
            sentence = f"guesthouse: the command's end is not known: {command.lost}.\n"
            self._sinks[StreamName.ERRORS].write(sentence.encode())
        elif command.error is not None:
            self._sinks[StreamName.ERRORS].write(_failure(self._words, command))
        self._session.shut_down()
        self._changed()

    def _send(self) -> None:
        if self._port is not None and (data := self._session.take_output()):
            self._port.write(data)

    # --- the caller's thread ------------------------------------------------------------------------------------------

    @property
    def takes_input(self) -> bool:
        """Whether the command may still read what is sent."""
        command = self._command
        return command is not None and command.input_open and not command.finished and not self._input_ended

    @property
    def pending(self) -> int:
        """Bytes of input that the command has not taken."""
        return self._command.unsent if self._command else 0

    def send_input(self, data: bytes) -> None:
        """Send input."""
        with self._lock:
            if self._command is not None:
                self._command.write(data)
                self._send()

    def end_input(self) -> None:
        """The command reads the end of file behind what was sent."""
        with self._lock:
            self._input_ended = True
            if self._command is not None:
                self._command.end_input()
                self._send()

    def signal(self, name: str) -> None:
        """Send a signal, named without SIG, to the command; nothing before it runs."""
        with self._lock:
            if self._command is not None and name in SIGNALS:
                self._command.signal(SIGNALS[name])
                self._send()


def _failure(words: Sequence[bytes], command: RemoteCommand) -> bytes:
    name = words[0].decode("utf-8", "replace") if words else ""
    if command.status == 127:
        return f"guesthouse: there is no program {name!r} in the guest.\n".encode()
    return f"guesthouse: {name!r} can't be run in the guest (error {command.error} of its kernel).\n".encode()
