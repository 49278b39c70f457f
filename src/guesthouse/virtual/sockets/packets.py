"""Packets of the virtio socket device (VIRTIO 1.3 section 5.10.6), and the messages that carry them between processes.

A message is its size in four bytes, that included, its kind and a serial number; then, in a packet's, the packet.
"""

from __future__ import annotations

import struct

import msgspec

PACKET = struct.Struct("<QQIIIHHIII")
LENGTH = struct.Struct("<I")
LENGTH_OFFSET = 24
HOST = 2
"""The host's address."""
GUEST = 3
"""The guest's: the first that is not reserved. Each guest has a world of its own."""
STREAM = 1
REQUEST, RESPONSE, RST, SHUTDOWN, DATA, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
NO_RECEIVE, NO_SEND = 1, 2
"""Flags of SHUTDOWN: its sender will receive, or send, no more."""
LAST_PORT = 0xFFFF_FFFE
"""One more means any port."""

MESSAGE = struct.Struct("<IHH")
CARRY, RESET, RESET_DONE = range(3)
BUFFER = 128 << 10
"""Bytes of a connection that are kept for the host, and so the most that one packet may hold."""
PIECE = 64 << 10
"""Most bytes in a packet to the guest; the device makes smaller ones of it, as the guest has room."""
LARGEST = MESSAGE.size + PACKET.size + BUFFER


class Header(msgspec.Struct):
    """A packet's header, in its order; `length` counts the bytes behind it."""

    source: int = HOST
    destination: int = GUEST
    source_port: int = 0
    destination_port: int = 0
    length: int = 0
    type: int = STREAM
    operation: int = 0
    flags: int = 0
    buffer: int = 0
    """Bytes that the sender's end of the connection can keep."""
    forwarded: int = 0
    """Bytes that have left that buffer since the connection began, modulo 2**32."""

    def pack(self) -> bytes:
        """As bytes."""
        return PACKET.pack(*msgspec.structs.astuple(self))


def unpack(packet: memoryview | bytes) -> Header:
    """The header at the beginning of a packet, which has at least so many bytes."""
    return Header(*PACKET.unpack_from(packet))


def message(kind: int, serial: int = 0, *parts: bytes | memoryview) -> bytes:
    """A message for the other process."""
    return b"".join((MESSAGE.pack(MESSAGE.size + sum(map(len, parts)), kind, serial), *parts))
