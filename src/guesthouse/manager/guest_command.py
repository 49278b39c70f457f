"""The host's side of the conversation with the guest's agent; docs/guest-agent.md is the agreement."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

CONTROL, STDIN, STDOUT, STDERR = (f"guesthouse.{name}" for name in ("control", "stdin", "stdout", "stderr"))
PARAMETERS = "guesthouse.command=1 quiet"
LONGEST_LINE = 4096
PLAIN = re.compile(rb"[A-Za-z0-9]")
EXIT = re.compile(rb"exit (\d{1,3})\Z")


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes) -> None:
        """Take all of `data`."""


class Send(Protocol):
    """The host's end of a port's input."""

    def write(self, data: bytes) -> None:
        """Send `data` to the guest."""


def encode(value: bytes) -> bytes:
    """A value as the agent's `printf %b` reads it back."""
    return b"".join(bytes((byte,)) if PLAIN.match(bytes((byte,))) else b"\\0%03o" % byte for byte in value)


class Lines:
    """Splits what a port writes into lines; a line too long to be one of ours is cut."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._current = bytearray()

    def write(self, data: bytes) -> None:
        """Take output of the guest."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._append(part)
            line = bytes(self._current)
            self._current.clear()
            self._take(line)
        self._append(rest)

    def _append(self, part: bytes) -> None:
        self._current += part[: LONGEST_LINE - len(self._current)]


class Backend:
    """One port's end: bytes to a sink, and whether the guest has closed it again."""

    def __init__(self, sink: Sink, closed: Callable[[], None] = lambda: None) -> None:
        self._sink = sink
        self._closed = closed
        self._was_open = False

    def write(self, data: bytes) -> None:
        """Take output."""
        self._sink.write(data)

    def opened(self, is_open: bool) -> None:
        """Hear of the guest's end."""
        if self._was_open and not is_open:
            self._closed()
        self._was_open = is_open


class GuestCommand:
    """One command in the guest; its methods are called by the machine's thread except where they say otherwise.

    `status` is the command's once it has ended. `takes_input` says whether input may be sent: after the agent's word,
    until the guest closes the port. `changed` is called when either changes.
    """

    def __init__(self, words: Sequence[bytes], stdout: Sink, stderr: Sink, changed: Callable[[], None]) -> None:
        self._words = words
        self._changed = changed
        self._asked = False
        self.control: Send
        self.status: int | None = None
        self.takes_input = False
        self.input_closed = False
        self.ports = {
            CONTROL: Backend(Lines(self._hear)),
            STDIN: Backend(Lines(self._hear_stdin), self._close_input),
            STDOUT: Backend(stdout),
            STDERR: Backend(stderr),
        }

    def _hear(self, line: bytes) -> None:
        line = line.strip()
        if line == b"ready" and not self._asked:
            self._asked = True
            arguments = [b"argument " + encode(word) for word in self._words]
            self.control.write(b"\n".join([*arguments, b"run", b""]))
        elif match := EXIT.match(line):
            self.status = int(match[1]) & 0xFF
            # All output came before this line, and has been taken: the guest need not wait any longer.
            self.control.write(b"done\n")
            self._changed()

    def _hear_stdin(self, line: bytes) -> None:
        if line.strip() == b"ready" and not self.input_closed:
            self.takes_input = True
            self._changed()

    def _close_input(self) -> None:
        if self.takes_input:
            self.takes_input, self.input_closed = False, True
            self._changed()

    def signal(self, name: str) -> None:
        """Send a signal to the command; from any thread."""
        if self._asked:
            self.control.write(b"signal " + name.encode() + b"\n")
