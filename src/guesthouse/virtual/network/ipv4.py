"""The Internet Protocol, version 4 (RFC 791): read, built, cut into fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.checksum import checksum, total
from guesthouse.virtual.network.packets import MOST_HOPS, Fragment, Packet

HEADER = struct.Struct("!BBHHHBBH4s4s")
"""version and header length, type of service, length, identification, fragment, hops, protocol, checksum, addresses"""

SIZE = HEADER.size
DO_NOT_FRAGMENT, MORE, OFFSET = 0x4000, 0x2000, 0x1FFF


def read(data: memoryview) -> Packet | Fragment | None:
    """The packet that an Ethernet frame's payload is; None where it is none, or damaged."""
    if len(data) < SIZE:
        return None
    first, _, length, name, fragment, hops, protocol, _, source, destination = HEADER.unpack_from(data)
    header = (first & 15) * 4
    if first >> 4 != 4 or not SIZE <= header <= length <= len(data) or total(data[:header]):
        return None
    packet = Packet(4, source, destination, protocol, hops, data[header:length], data[:length])
    if fragment & (MORE | OFFSET):
        key = (source, destination, name, protocol)
        return Fragment(packet, key, (fragment & OFFSET) * 8, bool(fragment & MORE))
    return packet


def header(source: bytes, destination: bytes, protocol: int, size: int, name: int = 0, fragment: int = 0) -> bytes:
    """The header of a packet with `size` bytes of payload; without fragments it needs no name (RFC 6864)."""
    flags = fragment or (0 if name else DO_NOT_FRAGMENT)
    words = (0x45, 0, SIZE + size, name, flags, MOST_HOPS, protocol)
    blank = HEADER.pack(*words, 0, source, destination)
    return HEADER.pack(*words, checksum(total(blank)), source, destination)


def fragments(
    source: bytes, destination: bytes, protocol: int, payload: Buffer, name: int, mtu: int
) -> Iterator[tuple[bytes, Buffer]]:
    """Header and payload of each fragment."""
    room = (mtu - SIZE) & ~7
    for start in range(0, len(payload), room):
        piece = payload[start : start + room]
        more = MORE if start + room < len(payload) else 0
        yield header(source, destination, protocol, len(piece), name, start // 8 | more), piece
