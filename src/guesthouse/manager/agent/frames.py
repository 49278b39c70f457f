"""Frames of the conversation with a guest's agent, as bytes; nothing that the guest sends is believed."""

from __future__ import annotations

import struct

import msgspec

from guesthouse.guest.agent.protocol import HEADER, MARK, MOST_PAYLOAD

HEAD = struct.Struct("<IIII")


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One frame: what it is, of which channel, with a number and bytes."""

    kind: int
    channel: int = 0
    argument: int = 0
    payload: bytes = b""


MARKED = Frame(0)
"""What the reader gives for a mark: the conversation begins anew."""


def packed(kind: int, channel: int = 0, argument: int = 0, payload: bytes = b"") -> bytes:
    """One frame as it is sent; the payload is at most `MOST_PAYLOAD` bytes."""
    return HEAD.pack(len(payload), kind, channel, argument) + payload + bytes(-len(payload) % 8)


class FrameReader:
    """Cuts what comes into frames.

    Before the first mark, and behind bytes that are no frame, everything up to the next mark is dropped. It never keeps
    more than one frame and what it was given last.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.lost = True
        """Whether it is looking for a mark."""

    def add(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._buffer += data

    def take(self) -> Frame | None:
        """The next frame, `MARKED` for a mark, None until there is more."""
        if self.lost:
            return self._find_mark()
        if len(self._buffer) < HEADER:
            return None
        size, kind, channel, argument = HEAD.unpack_from(self._buffer)
        if size > MOST_PAYLOAD:
            self.lost = True
            return self._find_mark()
        end = HEADER + size + -size % 8
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER : HEADER + size])
        del self._buffer[:end]
        return Frame(kind, channel, argument, payload)

    def _find_mark(self) -> Frame | None:
        at = self._buffer.find(MARK)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(MARK) + 1)]
            return None
        del self._buffer[: at + len(MARK)]
        self.lost = False
        return MARKED
