"""Who has an IPv4 address: the address resolution protocol (RFC 826)."""

from __future__ import annotations

import struct

from guesthouse.virtual.network.addresses import ANY4, GATEWAY_MAC

MESSAGE = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET, IPV4 = 1, 0x0800
REQUEST, REPLY = 1, 2


def read(data: memoryview) -> tuple[int, bytes, bytes, bytes] | None:
    """Operation, sender's Ethernet and IP address, and the address asked for; None where it is something else."""
    if len(data) < MESSAGE.size:
        return None
    hardware, protocol, hardware_size, protocol_size, operation, mac, sender, _, target = MESSAGE.unpack_from(data)
    if (hardware, protocol, hardware_size, protocol_size) != (ETHERNET, IPV4, 6, 4):
        return None
    return operation, mac, sender, target


def _message(operation: int, address: bytes, mac: bytes, other: bytes) -> bytes:
    return MESSAGE.pack(ETHERNET, IPV4, 6, 4, operation, GATEWAY_MAC, address, mac, other)


def reply(address: bytes, mac: bytes, asker: bytes) -> bytes:
    """The gateway has `address`: to `asker`."""
    return _message(REPLY, address, mac, asker)


def request(sender: bytes, address: bytes) -> bytes:
    """Who has `address`?"""
    return _message(REQUEST, sender or ANY4, bytes(6), address)
