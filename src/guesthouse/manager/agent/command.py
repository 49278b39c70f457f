"""One command in a guest, as the host knows it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from guesthouse.guest.agent import protocol
from guesthouse.guest.agent.linux import EACCES, ENOENT, ENOTDIR
from guesthouse.manager.agent.frames import packed

RECORD = struct.Struct("<IIIIII")
OUTPUT_WINDOW = 256 << 10
"""Bytes of each output stream that may be under way."""

LEAST_GRANT = OUTPUT_WINDOW // 4
"""Smaller grants are collected: a guest that writes little at a time would make us send more than it does."""


class StreamName(IntEnum):
    """The command's output streams."""

    OUTPUT = 1
    ERRORS = 2


class User(msgspec.Struct, frozen=True):
    """Who a command runs as: numbers of user, group and further groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Size(msgspec.Struct, frozen=True):
    """A terminal's size in characters."""

    columns: int = 80
    rows: int = 24

    @property
    def word(self) -> int:
        """Both in one number, as the agent takes them."""
        return (self.columns & 0xFFFF) << 16 | self.rows & 0xFFFF


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started.

    `words`: the program, found by PATH, and its arguments. `environment`: its variables as NAME=VALUE; with `inherit`
    the agent's own are added. `directory`: "" for the agent's. `user` None: the agent's, which is root. `terminal`: it
    gets a pseudo-terminal of this size, and output and error output are one. `linger`: its output ends when nobody
    holds it open any more, not with the command. `calls`: no program, but system calls (see `calls`).
    """

    words: Sequence[bytes] = ()
    environment: Sequence[bytes] = ()
    inherit: bool = True
    directory: bytes = b""
    user: User | None = None
    terminal: Size | None = None
    linger: bool = False
    calls: bool = False

    @property
    def flags(self) -> int:
        """As the agent takes them."""
        return (
            (protocol.TERMINAL if self.terminal else 0)
            | (protocol.INHERIT if self.inherit else 0)
            | (protocol.CALLS if self.calls else 0)
            | (protocol.LINGER if self.linger else 0)
        )

    def record(self) -> bytes:
        """As the agent takes it; a zero byte in a text ends it there, as it would for any program."""
        uid, gid = (self.user.uid, self.user.gid) if self.user else (protocol.NOBODY, protocol.NOBODY)
        groups = self.user.groups if self.user else ()
        size = self.terminal.word if self.terminal else 0
        head = RECORD.pack(uid, gid, len(groups), len(self.words), len(self.environment), size)
        texts = [self.directory, *self.words, *self.environment]
        texts = [text.partition(b"\0")[0] + b"\0" for text in texts]
        return head + struct.pack(f"<{len(groups)}I", *groups) + b"".join(texts)


class Listener(Protocol):
    """Who wants to hear of a command. Output counts as under way until `RemoteCommand.grant` is called for it."""

    def output(self, stream: StreamName, data: bytes) -> None:
        """The command has written."""

    def changed(self) -> None:
        """Something else has changed: it runs, takes input, has ended."""


class RemoteCommand:
    """A command that was asked for; its methods send, and nothing ever waits.

    `pid` is known once it runs, `error` (an error number of Linux) where it could not be started, `wait_status` once it
    has ended. `lost` says why nothing more will be heard of it, "" while that is not so.
    """

    def __init__(self, channel: int, start: Start, listener: Listener, send: Callable[[bytes], None]) -> None:
        self.channel = channel
        self.terminal = start.terminal is not None
        self._listener = listener
        self._send = send
        self._input = bytearray()
        self._window = protocol.WINDOW
        self._ending = False
        self._credit = dict.fromkeys(StreamName, OUTPUT_WINDOW)
        self._owed = dict.fromkeys(StreamName, 0)
        self._open = {StreamName.OUTPUT} if self.terminal else set(StreamName)
        self.pid: int | None = None
        self.error: int | None = None
        self.wait_status: int | None = None
        self.input_open = True
        self.lost = ""

    # --- what the caller does -----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send input; look at `unsent` to know how much waits for the command to take it."""
        if self.input_open and not self._ending:
            self._input += data
            self._feed()

    def end_input(self) -> None:
        """The command reads the end of file behind what was written; on a terminal, as if Ctrl-D were typed."""
        if not self._ending:
            if self.terminal:
                self.write(b"\x04")
            self._ending = True
            self._feed()

    @property
    def unsent(self) -> int:
        """Bytes of input that wait."""
        return len(self._input)

    def grant(self, stream: StreamName, count: int) -> None:
        """So many bytes of output have been dealt with: as many more may come, once it is worth saying so."""
        self._owed[stream] += count
        if self._owed[stream] >= LEAST_GRANT and not self.finished and stream in self._open:
            granted, self._owed[stream] = self._owed[stream], 0
            self._credit[stream] += granted
            kind = protocol.OUTPUT_CREDIT if stream is StreamName.OUTPUT else protocol.ERRORS_CREDIT
            self._send(packed(kind, self.channel, granted))

    def signal(self, number: int) -> None:
        """Send a signal to the command and its process group; nothing where it has ended."""
        if not self.finished and self.wait_status is None:
            self._send(packed(protocol.SIGNAL, self.channel, number))

    def resize(self, size: Size) -> None:
        """Its terminal has another size."""
        if self.terminal and not self.finished:
            self._send(packed(protocol.RESIZE, self.channel, size.word))

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.lost) or self.error is not None or (self.wait_status is not None and not self._open)

    @property
    def status(self) -> int:
        """As a shell tells it: 128+n for signal n, 127 where there is no such program, 126 where it can't be run."""
        if self.error is not None:
            return 127 if self.error in (ENOENT, ENOTDIR) else 126
        if self.wait_status is None:
            return 255
        return 128 + self.signal_number if self.signal_number else self.wait_status >> 8 & 0xFF

    @property
    def signal_number(self) -> int:
        """The signal that ended it, 0 for none."""
        return (self.wait_status or 0) & 0x7F

    # --- what the agent says ------------------------------------------------------------------------------------------

    def hear(self, kind: int, argument: int, payload: bytes) -> bool:
        """Take a frame of this command; False for one that no agent of ours would send."""
        if kind in (protocol.OUTPUT, protocol.ERRORS):
            return self._hear_output(StreamName.OUTPUT if kind == protocol.OUTPUT else StreamName.ERRORS, payload)
        if kind in (protocol.OUTPUT_END, protocol.ERRORS_END):
            self._open.discard(StreamName.OUTPUT if kind == protocol.OUTPUT_END else StreamName.ERRORS)
        elif kind == protocol.STARTED:
            self.pid = argument
        elif kind == protocol.FAILED:
            self.error = argument or EACCES
        elif kind == protocol.EXITED:
            self.wait_status = argument & 0xFFFF
        elif kind == protocol.INPUT_CREDIT:
            if argument > protocol.WINDOW - self._window:
                return False
            self._window += argument
            self._feed()
        elif kind == protocol.INPUT_CLOSED:
            self.input_open = False
            self._input.clear()
        else:
            return False
        self._listener.changed()
        return True

    def _hear_output(self, stream: StreamName, data: bytes) -> bool:
        if stream not in self._open or len(data) > self._credit[stream]:
            return False
        self._credit[stream] -= len(data)
        self._listener.output(stream, data)
        return True

    def lose(self, why: str) -> None:
        """The agent is gone."""
        if not self.finished:
            self.lost = why
            self.input_open = False
            self._input.clear()
            self._listener.changed()

    def _feed(self) -> None:
        if self.finished or not self.input_open:
            return
        while self._input and self._window:
            data = bytes(self._input[: min(self._window, protocol.MOST_PAYLOAD)])
            del self._input[: len(data)]
            self._window -= len(data)
            self._send(packed(protocol.INPUT, self.channel, 0, data))
        if self._ending and not self._input:
            self.input_open = False
            self._send(packed(protocol.INPUT_END, self.channel))
