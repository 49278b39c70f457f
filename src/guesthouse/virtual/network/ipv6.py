"""The Internet Protocol, version 6 (RFC 8200): read through its extension headers, built, cut into fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.packets import MOST_HOPS, Fragment, Packet

HEADER = struct.Struct("!IHBB16s16s")
"""version, class and flow; payload length; next header; hops; addresses"""

FRAGMENT = struct.Struct("!BBHI")
SIZE = HEADER.size
HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, NO_NEXT, OPTIONS = 0, 43, 44, 59, 60
MOST_EXTENSIONS = 8


def read(data: memoryview) -> Packet | Fragment | None:
    """The packet that an Ethernet frame's payload is; None where it is none, or damaged."""
    if len(data) < SIZE:
        return None
    first, length, protocol, hops, source, destination = HEADER.unpack_from(data)
    if first >> 28 != 6 or SIZE + length > len(data):
        return None
    whole = data[: SIZE + length]
    at = SIZE
    for _ in range(MOST_EXTENSIONS):
        if protocol == FRAGMENT_HEADER:
            return _fragment(source, destination, hops, whole, at)
        if protocol not in (HOP_BY_HOP, ROUTING, OPTIONS):
            return Packet(6, source, destination, protocol, hops, whole[at:], whole)
        if at + 8 > len(whole) or (protocol == ROUTING and whole[at + 3]):
            return None  # a route that we would have to follow: RFC 5095 and 6554 tell to drop it
        protocol, at = whole[at], at + 8 + 8 * whole[at + 1]
        if at > len(whole):
            return None
    return None


def _fragment(source: bytes, destination: bytes, hops: int, whole: memoryview, at: int) -> Packet | Fragment | None:
    if at + FRAGMENT.size > len(whole):
        return None
    protocol, _, place, name = FRAGMENT.unpack_from(whole, at)
    packet = Packet(6, source, destination, protocol, hops, whole[at + FRAGMENT.size :], whole)
    if protocol in (HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, OPTIONS):
        return None  # extensions behind fragments are nothing that a guest needs
    if not place & 0xFFF9:
        return packet  # an atomic fragment (RFC 6946)
    return Fragment(packet, (source, destination, name, protocol), place & 0xFFF8, bool(place & 1))


def header(source: bytes, destination: bytes, protocol: int, size: int, hops: int = MOST_HOPS) -> bytes:
    """The header of a packet with `size` bytes of payload."""
    return HEADER.pack(6 << 28, size, protocol, hops, source, destination)


def fragments(
    source: bytes, destination: bytes, protocol: int, payload: Buffer, name: int, mtu: int
) -> Iterator[tuple[bytes, Buffer]]:
    """Headers and payload of each fragment."""
    room = (mtu - SIZE - FRAGMENT.size) & ~7
    for start in range(0, len(payload), room):
        piece = payload[start : start + room]
        more = 1 if start + room < len(payload) else 0
        front = header(source, destination, FRAGMENT_HEADER, FRAGMENT.size + len(piece))
        yield front + FRAGMENT.pack(protocol, 0, start | more, name), piece
