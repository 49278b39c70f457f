"""The link to the guest: IP packets become frames, with the Ethernet address of whoever is meant."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from guesthouse.virtual.network import arp, ipv4, ipv6, ndp
from guesthouse.virtual.network.addresses import BROADCAST4, BROADCAST_MAC, GATEWAY_MAC, Buffer, Layout
from guesthouse.virtual.network.checksum import transport_checksum
from guesthouse.virtual.network.packets import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ICMPV6
from guesthouse.virtual.network.virtio_header import PLAIN

Transmit: TypeAlias = Callable[[Sequence[Buffer]], bool]
"""Gives the parts of one message (virtio header, then frame) to the guest; False where there is no room for it now."""

MOST_NEIGHBOURS = 256
SOLICIT_EVERY = 1.0
"""Seconds between two questions for the same address."""


class Link:
    """Sends to the guest. What finds no room is dropped, as a wire would: `send` tells."""

    def __init__(self, transmit: Transmit, layout: Layout, mtu: int, offload: bool) -> None:
        self.transmit = transmit
        self.layout = layout
        self.mtu = mtu
        self.offload = offload
        self.dropped = 0
        self._neighbours: OrderedDict[bytes, bytes] = OrderedDict()
        self._asked: dict[bytes, float] = {}
        self._name = 0

    def learn(self, address: bytes, mac: bytes) -> None:
        """Somebody at this address has that Ethernet address."""
        if self._neighbours.get(address) == mac or not self.layout.is_guest(address) or mac[0] & 1:
            return
        if len(self._neighbours) >= MOST_NEIGHBOURS and address not in self._neighbours:
            self._neighbours.popitem(last=False)
        self._neighbours[address] = mac
        self._asked.pop(address, None)

    def mac(self, address: bytes) -> bytes | None:
        """The Ethernet address of a guest's address, where it is known."""
        return self._neighbours.get(address)

    def global_guest(self) -> bytes | None:
        """The IPv6 address inside the prefix that the guest has shown last."""
        for address in reversed(self._neighbours):
            if len(address) == 16 and self.layout.is_global_guest(address):
                return address
        return None

    def solicit(self, address: bytes, now: float) -> None:
        """Ask who has an address, not too often."""
        if now - self._asked.get(address, -SOLICIT_EVERY) < SOLICIT_EVERY:
            return
        if len(self._asked) >= MOST_NEIGHBOURS:
            self._asked.clear()
        self._asked[address] = now
        if len(address) == 4:
            self.frame(BROADCAST_MAC, ETHERTYPE_ARP, [arp.request(self.layout.gateway, address)])
        else:
            group, message = ndp.solicitation(address)
            self.packet(self.layout.link_local, group, ICMPV6, message, now, hops=255)

    def frame(self, mac: bytes, ethertype: int, parts: Sequence[Buffer]) -> bool:
        """Send one frame from the gateway; whether there was room."""
        head = b"%b%b%b%b" % (PLAIN, mac, GATEWAY_MAC, ethertype.to_bytes(2, "big"))
        if self.transmit([head, *parts]):
            return True
        self.dropped += 1
        return False

    def packet(
        self, source: bytes, destination: bytes, protocol: int, payload: Buffer, now: float, *, hops: int = 64
    ) -> bool:
        """Send one IP packet, in fragments where it is long; an ICMPv6 message gets its checksum here."""
        mac = self._mac_for(destination)
        if mac is None:
            self.solicit(destination, now)
            return False
        if protocol == ICMPV6:
            payload = _with_checksum(source, destination, payload)
        version = ipv4 if len(source) == 4 else ipv6
        kind = ETHERTYPE_IPV4 if len(source) == 4 else ETHERTYPE_IPV6
        if len(payload) + version.SIZE <= self.mtu:
            if version is ipv4:
                head = ipv4.header(source, destination, protocol, len(payload))
            else:
                head = ipv6.header(source, destination, protocol, len(payload), hops)
            return self.frame(mac, kind, [head, payload])
        self._name = self._name % 0xFFFF + 1
        pieces = version.fragments(source, destination, protocol, payload, self._name, self.mtu)
        return all(self.frame(mac, kind, piece) for piece in pieces)  # without one, the others are no use

    def _mac_for(self, destination: bytes) -> bytes | None:
        if destination[0] == 0xFF and len(destination) == 16:
            return b"\x33\x33" + destination[12:]
        if destination in (BROADCAST4, self.layout.broadcast):
            return BROADCAST_MAC
        return self._neighbours.get(destination)


def _with_checksum(source: bytes, destination: bytes, message: Buffer) -> bytes:
    """An ICMPv6 message, whose checksum is its third and fourth byte."""
    whole = bytearray(message)
    whole[2:4] = b"\0\0"
    whole[2:4] = transport_checksum(source, destination, ICMPV6, whole).to_bytes(2, "big")
    return bytes(whole)
