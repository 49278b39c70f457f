"""What two processes say to each other: bytes through pipes and messages through a socket, without ever blocking."""

import os
from collections.abc import Callable

from guesthouse.host.loop import Loop
from guesthouse.host.messages import Frames, framed

PIECE = 4096
"""Written at once: a pipe that polls writable takes it without blocking (PIPE_BUF), even one that others share."""

CHUNK = 1 << 16
LARGEST_MESSAGE = 16 << 20


class Outlet:
    """Bytes on their way into a descriptor, written by a loop as there is room for them."""

    def __init__(
        self, loop: Loop, descriptor: int, piece: int = PIECE, emptied: Callable[[], None] = lambda: None
    ) -> None:
        """`emptied` is called by the loop once all that waited is written, or never will be."""
        self._loop = loop
        self._descriptor = descriptor
        self._piece = piece
        self._emptied = emptied
        self._ending = False
        self._watched = False
        self.buffer = bytearray()
        self.broken = False
        """Nobody reads any more; what is written is thrown away."""
        self.closed = False

    def write(self, data: bytes) -> None:
        """Take all of `data`; look at `buffer` to know how much is waiting."""
        if not self.broken and not self.closed:
            self.buffer += data
            self._watch()

    def end(self) -> None:
        """Close the descriptor once everything is written."""
        self._ending = True
        self._watch()

    def give_up(self) -> None:
        """Throw away what is not written, and what will be."""
        self.broken = True
        self.buffer.clear()
        self._watch()

    def _watch(self) -> None:
        wanted = bool(self.buffer) and not self.broken
        if wanted != self._watched:
            self._loop.on_writable(self._descriptor, self.pump if wanted else None)
            self._watched = wanted
        if self._ending and not self.buffer and not self.closed:
            self.closed = True
            os.close(self._descriptor)

    def pump(self) -> None:
        """Write one piece; called by the loop."""
        try:
            count = os.write(self._descriptor, self.buffer[: self._piece])
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            count = len(self.buffer)
        del self.buffer[:count]
        self._watch()
        if not self.buffer:
            self._emptied()


class Inlet:
    """Bytes that come out of a descriptor, given to `take` while they are wanted."""

    def __init__(
        self,
        loop: Loop,
        descriptor: int,
        take: Callable[[bytes], None],
        end: Callable[[], None],
        piece: int = CHUNK,
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._take = take
        self._end = end
        self._piece = piece
        self._wanted = False
        self.ended = False

    def want(self, wanted: bool) -> None:
        """Read on, or leave what comes where it is."""
        wanted = wanted and not self.ended
        if wanted != self._wanted:
            self._wanted = wanted
            self._loop.on_readable(self._descriptor, self._read if wanted else None)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, self._piece)
        except BlockingIOError:
            return
        except OSError:  # a terminal that has hung up, a descriptor that is not open
            data = b""
        if data:
            self._take(data)
        else:
            self.want(False)
            self.ended = True
            self._end()


class Messages:
    """Messages both ways over one socket, framed as `host.messages` does; `take` gets the content of each."""

    def __init__(
        self,
        loop: Loop,
        descriptor: int,
        take: Callable[[bytes], None],
        end: Callable[[], None],
        largest: int = LARGEST_MESSAGE,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._frames = Frames(largest)
        self._take = take
        self._inlet = Inlet(loop, descriptor, self._collect, end)
        self._outlet = Outlet(loop, descriptor, CHUNK)
        self._inlet.want(True)
        self.closed = False

    def send(self, message: bytes) -> None:
        """Queue one message."""
        self._outlet.write(framed(message))

    def close(self) -> None:
        """Say and hear no more."""
        if not self.closed:
            self.closed = True
            self._inlet.want(False)
            self._outlet.give_up()
            os.close(self._descriptor)

    @property
    def waiting(self) -> int:
        """Bytes that are queued and not written."""
        return len(self._outlet.buffer)

    @property
    def sent(self) -> bool:
        """Whether everything queued is written, or can't be."""
        return not self._outlet.buffer

    @property
    def ended(self) -> bool:
        """Whether the other side is gone."""
        return self._inlet.ended

    def _collect(self, data: bytes) -> None:
        self._frames.add(data)
        while not self.closed and (message := self._frames.take()) is not None:
            self._take(message)
