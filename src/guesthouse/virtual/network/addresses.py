"""Addresses, as the bytes that travel: 4 for IPv4, 16 for IPv6, 6 for Ethernet."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

import msgspec

from guesthouse.errors import UserError

Buffer: TypeAlias = bytes | bytearray | memoryview

GATEWAY_MAC = bytes.fromhex("525500676801")
"""The gateway's: locally administered."""

BROADCAST_MAC = b"\xff" * 6
ANY4, ANY6 = bytes(4), bytes(16)
BROADCAST4 = b"\xff" * 4
LINK_LOCAL = bytes.fromhex("fe80000000000000")
ALL_NODES = ipaddress.IPv6Address("ff02::1").packed
ALL_ROUTERS = ipaddress.IPv6Address("ff02::2").packed
ALL_DHCP_SERVERS = ipaddress.IPv6Address("ff02::1:2").packed
TRANSLATED = bytes.fromhex("0064ff9b") + bytes(8)
"""How addresses begin that a translator makes IPv4 of (RFC 6052)."""

SOLICITED = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13]
"""How a solicited-node multicast address begins (RFC 4291, 2.7.1)."""

GATEWAY, DNS, GUEST, GUEST6 = 2, 3, 15, 0x15
"""The numbers in the subnet, as QEMU's user network has them."""


def text(address: bytes) -> str:
    """An address as people write it."""
    return str(ipaddress.ip_address(bytes(address)))


def packed(words: str) -> bytes:
    """The bytes of an address as people write it; ValueError where it is none."""
    return ipaddress.ip_address(words).packed


def interface_address(mac: bytes) -> bytes:
    """The link-local address that goes with an Ethernet address (RFC 4291, appendix A)."""
    return LINK_LOCAL + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:6]


def is_unicast(address: bytes) -> bool:
    """Whether one host elsewhere may have this address: not loopback, multicast, mapped, broadcast, or nobody."""
    if len(address) == 4:
        return address[0] not in (0, 127) and address[0] < 224
    # the rest of ::/8 holds loopback, and IPv4 in disguise, which would get round what is said of IPv4
    if address[0] == 0:
        return address[:12] == TRANSLATED and is_unicast(address[12:])
    return address[0] != 0xFF and address[:2] != b"\xfe\x80" and is_unicast(embedded(address) or b"\1\0\0\0")


def embedded(address: bytes) -> bytes | None:
    """The IPv4 address that a router on the way makes of this IPv6 address (RFC 6052, RFC 3056); None for none."""
    if len(address) == 16 and address[:12] == TRANSLATED:
        return address[12:]
    return address[2:6] if len(address) == 16 and address[:2] == b"\x20\x02" else None


def is_public(address: bytes) -> bool:
    """Whether an address is one that the whole Internet routes (IANA's registries of special addresses)."""
    inner = embedded(address)
    return is_public(inner) if inner else is_unicast(address) and ipaddress.ip_address(address).is_global


class Layout(msgspec.Struct, frozen=True):
    """The guest's network: who is who. IPv6 addresses are b"" where there is no IPv6."""

    network: int
    mask: int
    gateway: bytes
    dns: bytes
    guest: bytes
    prefix: bytes = b""
    gateway6: bytes = b""
    dns6: bytes = b""
    guest6: bytes = b""

    @property
    def link_local(self) -> bytes:
        """The gateway's link-local address."""
        return interface_address(GATEWAY_MAC)

    @property
    def broadcast(self) -> bytes:
        return (self.network | ~self.mask & 0xFFFF_FFFF).to_bytes(4, "big")

    def is_guest(self, address: bytes) -> bool:
        """Whether a guest may have this address."""
        if len(address) == 4:
            value = int.from_bytes(address, "big")
            inside = value & self.mask == self.network and value != self.network and address != self.broadcast
            return inside and address not in (self.gateway, self.dns)
        if address[:8] == LINK_LOCAL:
            return address != self.link_local
        return self.is_global_guest(address)

    def is_global_guest(self, address: bytes) -> bool:
        """Whether a guest may have this IPv6 address, and be reached from outside of the link."""
        return bool(self.prefix) and address[:8] == self.prefix and address not in (self.gateway6, self.dns6)

    def is_inside(self, address: bytes) -> bool:
        """Whether an address belongs to the guest's network, ours included."""
        if len(address) == 4:
            return int.from_bytes(address, "big") & self.mask == self.network
        return bool(self.prefix) and address[:8] == self.prefix


def layout(subnet: str, subnet6: str) -> Layout:
    """The addresses of a subnet, "10.0.2.0/24", and an IPv6 one, "fd00:6768::/64" or "" for none."""
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError:
        raise UserError(f"'{subnet}' is not an IPv4 network; write it like 10.0.2.0/24.") from None
    if not 8 <= network.prefixlen <= 27:
        raise UserError(f"The network {subnet} has no place for a gateway and guests; take a /8 to a /27.")
    base = int(network.network_address)
    gateway, server, guest = ((base + number).to_bytes(4, "big") for number in (GATEWAY, DNS, GUEST))
    mask = int(network.netmask)
    if not subnet6:
        return Layout(base, mask, gateway, server, guest)
    try:
        prefix = ipaddress.IPv6Network(subnet6)
    except ValueError:
        raise UserError(f"'{subnet6}' is not an IPv6 network; write it like fd00:6768::/64.") from None
    if prefix.prefixlen != 64:
        raise UserError(f"The network {subnet6} is not a /64, which guests need to give themselves addresses.")
    first = prefix.network_address.packed[:8]
    gateway6, server6, guest6 = (first + number.to_bytes(8, "big") for number in (GATEWAY, DNS, GUEST6))
    return Layout(base, mask, gateway, server, guest, first, gateway6, server6, guest6)
