"""Messages as bytes: each is framed as four bytes of little-endian length and its content.

Both sides bound what they take: a length from elsewhere is no reason to allocate memory.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import msgspec

LENGTH = struct.Struct("<I")
LARGEST = 64 << 20


def framed(content: bytes) -> bytes:
    """One message as it is sent."""
    return LENGTH.pack(len(content)) + content


def packed(message: Any) -> bytes:
    """One message of plain data (msgpack), framed."""
    return framed(msgspec.msgpack.encode(message))


def _checked(head: bytes | bytearray, largest: int) -> int:
    size: int = LENGTH.unpack_from(head)[0]
    if size > largest:
        raise ValueError(f"a message of {size} bytes is larger than {largest}")
    return size


class Frames:
    """What has arrived, cut into messages of at most `largest` bytes."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._buffer = bytearray()

    def add(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._buffer += data

    def take(self) -> bytes | None:
        """The content of the next message, None until it is complete; raises ValueError for one that is too large."""
        if len(self._buffer) < LENGTH.size:
            return None
        end = LENGTH.size + _checked(self._buffer, self._largest)
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[LENGTH.size : end])
        del self._buffer[:end]
        return content


def read_message(stream: BinaryIO, largest: int = LARGEST) -> Any:
    """Wait for the next message (msgpack), None at the end; raises ValueError for one that is too large."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return msgspec.msgpack.decode(stream.read(_checked(head, largest)))


def write_message(stream: BinaryIO, message: Any) -> None:
    """Send one message (msgpack)."""
    stream.write(packed(message))
    stream.flush()
