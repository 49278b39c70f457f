"""What a companion process does: requests out of a socket, answers into it; `host.companion` is the other side."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import suppress

ROOM = 64 << 10
TOGETHER = 32 << 10
"""Bytes of answers that are kept back while more requests are at hand."""
DESCRIPTORS = 1 << 16


def allow_descriptors() -> int:
    """Allow this process as many open files as the host lets it; returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Incoming:
    """Requests out of a socket, each of `least` to `largest` bytes, which it begins with."""

    def __init__(self, descriptor: int, least: int, largest: int) -> None:
        self._descriptor = descriptor
        self._least = least
        self._largest = largest
        self._buffer = memoryview(bytearray(largest + ROOM))
        self._start = self._end = 0

    def _size(self) -> int:
        """Of the next request; 0 where that is not known yet."""
        start = self._start
        return int.from_bytes(self._buffer[start : start + 4], "little") if self._end - start >= 4 else 0

    @property
    def more(self) -> bool:
        """Whether another request is at hand."""
        return 0 < self._size() <= self._end - self._start

    def take(self) -> memoryview | None:
        """Wait for the next request, which is valid until the next call; None at the end, or for what is none."""
        while not self.more:
            if self._size() > self._largest:
                return None
            if self._start:
                left = self._end - self._start
                self._buffer[:left] = self._buffer[self._start : self._end]
                self._start, self._end = 0, left
            count = os.readv(self._descriptor, [self._buffer[self._end :]])
            if not count:
                return None
            self._end += count
        start, size = self._start, self._size()
        if not self._least <= size <= self._largest:
            return None
        self._start += size
        return self._buffer[start : start + size]


def serve_requests(
    descriptor: int, answer: Callable[[memoryview], bytes | memoryview], least: int, largest: int
) -> None:
    """Answer requests until the other side closes the socket; small answers go together while requests are at hand."""
    incoming, waiting = Incoming(descriptor, least, largest), bytearray()
    with suppress(ConnectionError):
        while (request := incoming.take()) is not None:
            content = answer(request)
            if incoming.more and len(waiting) + len(content) <= TOGETHER:
                waiting += content
            else:
                _send(descriptor, waiting, content)
                waiting.clear()
        _send(descriptor, waiting, b"")


def _send(descriptor: int, first: bytearray, second: bytes | memoryview) -> None:
    count = os.writev(descriptor, [first, second])
    rest = memoryview(second)[max(0, count - len(first)) :]
    if count < len(first):
        rest = memoryview(bytes(first[count:]) + bytes(second))
    while rest:
        rest = rest[os.write(descriptor, rest) :]
