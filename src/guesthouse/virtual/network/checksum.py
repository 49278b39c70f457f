"""The Internet checksum, RFC 1071: a sum of 16-bit words with the carry added at the low end.

That sum is the number that the bytes spell, modulo 65535: so Python's long division does it for a whole packet at once.
"""

from __future__ import annotations

from guesthouse.virtual.network.addresses import Buffer


def total(data: Buffer) -> int:
    """The sum of 16-bit words of `data` (a zero is put behind odd data), 0 to 65534."""
    value = int.from_bytes(data, "big")
    return (value << 8 if len(data) & 1 else value) % 0xFFFF


def checksum(sum_of_words: int) -> int:
    """The field that makes a sum come out right."""
    return -sum_of_words % 0xFFFF


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """The sum of what TCP, UDP and ICMPv6 add in front (RFC 9293, 3.1; RFC 8200, 8.1)."""
    return (total(source) + total(destination) + protocol + length) % 0xFFFF


def transport_checksum(source: bytes, destination: bytes, protocol: int, data: Buffer) -> int:
    """The checksum of a whole TCP, UDP or ICMPv6 packet whose own field is zero."""
    return checksum(pseudo_header(source, destination, protocol, len(data)) + total(data))


def transport_intact(source: bytes, destination: bytes, protocol: int, data: Buffer) -> bool:
    """Whether a received packet's checksum is right."""
    return (pseudo_header(source, destination, protocol, len(data)) + total(data)) % 0xFFFF == 0
