"""Neighbour discovery for IPv6 (RFC 4861): who has an address, and which router and prefix there are.

Router advertisements carry the name server (RFC 8106), since a guest without DHCPv6 learns it in no other way.
Messages are built with a checksum of zero; `Link.packet` puts it in.
"""

from __future__ import annotations

import struct

from guesthouse.virtual.network.addresses import GATEWAY_MAC, SOLICITED, Layout

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 133, 134, 135, 136
SOURCE_MAC, TARGET_MAC, PREFIX, MTU, RDNSS, DNSSL = 1, 2, 3, 5, 25, 31
ROUTER, SOLICITED_FLAG, OVERRIDE = 0x8000_0000, 0x4000_0000, 0x2000_0000
OTHER_BY_DHCP = 0x40
LIFETIME = 1800
"""Seconds that a router is believed in."""

VALID, PREFERRED = 86400, 14400
ON_LINK_AUTONOMOUS = 0xC0


def options(data: memoryview) -> dict[int, bytes] | None:
    """The options at the end of a message, the first of each kind; None where they are malformed."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 2 > len(data) or not data[at + 1] or at + 8 * data[at + 1] > len(data):
            return None
        found.setdefault(data[at], bytes(data[at + 2 : at + 8 * data[at + 1]]))
        at += 8 * data[at + 1]
    return found


def solicitation(address: bytes) -> tuple[bytes, bytes]:
    """The group and the message that ask who has an address."""
    message = struct.pack("!BBHI16s", NEIGHBOUR_SOLICITATION, 0, 0, 0, address)
    return SOLICITED + address[13:], message + bytes([SOURCE_MAC, 1]) + GATEWAY_MAC


def advertisement(address: bytes, solicited: bool, router: bool) -> bytes:
    """The gateway has `address`."""
    flags = (ROUTER if router else 0) | (SOLICITED_FLAG if solicited else 0) | OVERRIDE
    message = struct.pack("!BBHI16s", NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address)
    return message + bytes([TARGET_MAC, 1]) + GATEWAY_MAC


def router_advertisement(layout: Layout, mtu: int, domain: str) -> bytes:
    """The gateway routes; the prefix is for everybody; the name server is here, and more is told by DHCPv6."""
    message = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, OTHER_BY_DHCP, LIFETIME, 0, 0)
    prefix = layout.prefix + bytes(8)
    message += struct.pack("!BBBBIII16s", PREFIX, 4, 64, ON_LINK_AUTONOMOUS, VALID, PREFERRED, 0, prefix)
    message += struct.pack("!BBHI", MTU, 1, 0, mtu)
    message += struct.pack("!BBHI16s", RDNSS, 3, 0, LIFETIME, layout.dns6)
    if domain:
        name = b"".join(bytes([len(label)]) + label for label in domain.encode("ascii").split(b".")) + b"\0"
        name += bytes(-len(name) % 8)
        message += struct.pack("!BBHI", DNSSL, 1 + len(name) // 8, 0, LIFETIME) + name
    return message + bytes([SOURCE_MAC, 1]) + GATEWAY_MAC
