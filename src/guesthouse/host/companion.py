"""A process beside the one that runs a guest, which does one device's work: messages to it, and its answers.

Each message begins with its size in four bytes, little-endian, that included. Nothing here ever blocks, but for `wait`.
Sources: socketpair(2), epoll(7).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from guesthouse.host.worker_process import start_module

SIZE = struct.Struct("<I")
ROOM = 64 << 10
MOST_PARTS = 1024
"""Of what is written at once (IOV_MAX)."""
LINGER = 2.0
"""Seconds that a process whose socket has been closed may take to end."""


class Companion:
    """`main` of a module in a process of its own, with a socket and more descriptors; it ends when the socket does.

    `first` is sent before any message; `largest` is the most bytes of an answer. One thread uses this object.
    """

    def __init__(self, module: str, name: str, descriptors: Sequence[int], first: bytes, largest: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = start_module(module, (theirs.fileno(), *descriptors), name)
        ours.setblocking(False)
        self._descriptor = ours.detach()
        os.write(self._descriptor, first)
        self._left = memoryview(b"")
        self._buffer = memoryview(bytearray(largest + ROOM))
        self._end = 0
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._epoll = select.epoll()
        self._epoll.register(self._descriptor, select.EPOLLONESHOT)
        self._bell_reader, self._bell = os.pipe()
        self._epoll.register(self._bell_reader, select.EPOLLIN)
        self._thread: threading.Thread | None = None
        self.ended = False
        """The process is gone, or says what makes no sense."""

    @property
    def ready(self) -> bool:
        """Whether everything sent so far is on its way."""
        return not self._left

    def send(self, parts: Sequence[memoryview]) -> None:
        """Send a message, in parts; what the socket does not take now is copied, and goes with `push`."""
        if self._left or len(parts) > MOST_PARTS:
            self._left = memoryview(b"".join((self._left, *parts)))
            self.push()
            return
        try:
            done = 0 if self.ended else os.writev(self._descriptor, parts)
        except BlockingIOError:
            done = 0
        except OSError:
            self.ended = True
            return
        for index, part in enumerate(parts):
            if done < len(part):
                self._left = memoryview(b"".join((part[done:], *parts[index + 1 :])))
                return
            done -= len(part)

    def push(self) -> None:
        """Send on."""
        while self._left and not self.ended:
            try:
                count = os.write(self._descriptor, self._left)
            except BlockingIOError:
                return
            except OSError:
                self.ended = True
                return
            self._left = self._left[count:]

    def receive(self, once: bool = False) -> Iterator[memoryview]:
        """The answers that have come; each is valid until the next is asked for.

        With `once` only as many as are read at one go, so that a process that never rests can't hold this one.
        """
        while not self.ended:
            try:
                count = os.readv(self._descriptor, [self._buffer[self._end :]])
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                self.ended = True
                return
            self._end += count
            drained = self._end < len(self._buffer)
            yield from self._whole()
            if drained or once:
                return

    def _whole(self) -> Iterator[memoryview]:
        start = 0
        while self._end - start >= SIZE.size:
            (size,) = SIZE.unpack_from(self._buffer, start)
            if not SIZE.size <= size <= len(self._buffer) - ROOM:
                self.ended = True
                return
            if size > self._end - start:
                break
            yield self._buffer[start : start + size]
            start += size
        if start:
            self._buffer[: self._end - start] = self._buffer[start : self._end]
            self._end -= start

    def wait(self, seconds: float) -> bool:
        """Sleep until there is an answer, or for so long; tells whether there is one (or the end)."""
        return bool(self._poll.poll(seconds * 1000))

    def watch(self, call: Callable[[], object], answers: bool = True) -> None:
        """Have a thread call `call`, once, when there is an answer, or room where something is left to be sent.

        Without `answers` it is for room, or the end, alone.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(call,), name="companion", daemon=True)
            self._thread.start()
        events = (select.EPOLLIN if answers else 0) | (select.EPOLLOUT if self._left else 0)
        self._epoll.modify(self._descriptor, events | select.EPOLLONESHOT)

    def _watch(self, call: Callable[[], object]) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._bell_reader:
                    return
                call()

    def close(self) -> None:
        """Have the process end, and wait for that."""
        if self._descriptor < 0:
            return
        os.close(self._bell)
        if self._thread is not None:
            self._thread.join()
        self._epoll.close()
        for descriptor in (self._descriptor, self._bell_reader):
            os.close(descriptor)
        self._descriptor = -1
        with suppress(ChildProcessError):
            self.end()

    def end(self) -> None:
        """Wait for the process, which has been left; one that does not end by itself is killed."""
        try:
            self._process.wait(LINGER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
