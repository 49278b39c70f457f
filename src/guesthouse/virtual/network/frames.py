"""Frames from the guest become packets: one reader from the virtio header to the IP payload, fragments included."""

from __future__ import annotations

from collections.abc import Callable

from guesthouse.virtual.network import ipv4, ipv6
from guesthouse.virtual.network.addresses import GATEWAY_MAC, Layout
from guesthouse.virtual.network.fragments import Reassembly
from guesthouse.virtual.network.packets import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Fragment, Packet
from guesthouse.virtual.network.timers import Timers
from guesthouse.virtual.network.virtio_header import DATA_VALID, GSO_UDP_L4, HEADER, NEEDS_CSUM, SIZE

ETHERNET = 14
FRONT = SIZE + ETHERNET


class FrameReader:
    """Reads frames; keeps what is there of fragmented packets."""

    def __init__(self, layout: Layout, timers: Timers) -> None:
        self._layout = layout
        self._timers = timers
        self._reassembly = Reassembly()

    @property
    def waiting(self) -> int:
        """How many packets lack fragments."""
        return self._reassembly.waiting

    def read(self, message: memoryview, arp: Callable[[memoryview], None]) -> Packet | None:
        """The packet of a message; None where there is none (yet). ARP messages go to `arp`."""
        if len(message) <= FRONT:
            return None
        flags, kind, _, size, *_ = HEADER.unpack_from(message)
        destination = message[SIZE : SIZE + 6]
        if destination != GATEWAY_MAC and not destination[0] & 1:
            return None  # for somebody else on this wire
        ethertype = message[SIZE + 12] << 8 | message[SIZE + 13]
        body = message[FRONT:]
        found: Packet | Fragment | None = None
        if ethertype == ETHERTYPE_IPV4:
            found = ipv4.read(body)
        elif ethertype == ETHERTYPE_IPV6 and self._layout.prefix:
            found = ipv6.read(body)
        elif ethertype == ETHERTYPE_ARP:
            arp(body)
        if found is None:
            return None
        mac = bytes(message[SIZE + 6 : SIZE + 12])
        if isinstance(found, Fragment):
            found.packet.mac = mac
            return self._reassembly.add(found, self._timers.now)
        found.mac = mac
        found.checked = bool(flags & (NEEDS_CSUM | DATA_VALID))
        if kind == GSO_UDP_L4:
            found.pieces = max(size, 1)
        return found
