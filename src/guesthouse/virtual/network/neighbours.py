"""Who is who on the link: the gateway answers ARP and neighbour discovery, and tells of itself as a router."""

from __future__ import annotations

from guesthouse.virtual.network import arp, ndp
from guesthouse.virtual.network.addresses import ALL_NODES, ANY4, ANY6
from guesthouse.virtual.network.checksum import transport_intact
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.packets import ETHERTYPE_ARP, ICMPV6, Packet
from guesthouse.virtual.network.timers import Timers

LEAST = {ndp.ROUTER_SOLICITATION: 8, ndp.NEIGHBOUR_SOLICITATION: 24, ndp.NEIGHBOUR_ADVERTISEMENT: 24}
"""Bytes of a message before its options."""

ADVERTISE_EVERY = ndp.LIFETIME / 3


class Neighbourhood:
    """Answers for the gateway and the name server."""

    def __init__(self, link: Link, timers: Timers, domain: str) -> None:
        self._link = link
        self._timers = timers
        self._domain = domain
        self._advertise = timers.timer(self._advertised)

    def arp(self, data: memoryview) -> None:
        """An ARP message."""
        message = arp.read(data)
        if message is None:
            return
        operation, mac, sender, target = message
        if sender != ANY4:
            self._link.learn(sender, mac)
        here = self._link.layout
        if operation == arp.REQUEST and target in (here.gateway, here.dns) and not mac[0] & 1:
            self._link.frame(mac, ETHERTYPE_ARP, [arp.reply(target, mac, sender)])

    def arrived(self, packet: Packet) -> bool:
        """An ICMPv6 packet; whether there is nothing more to do for it (damaged, or neighbour discovery)."""
        data = packet.payload
        if len(data) < 8 or not transport_intact(packet.source, packet.destination, ICMPV6, data):
            return True
        kind = data[0]
        if kind not in LEAST:
            return False
        found = ndp.options(data[LEAST[kind] :]) if len(data) >= LEAST[kind] else None
        if found is None or packet.hops != 255 or data[1]:
            return True  # RFC 4861, 6.1 and 7.1: what was routed is not of this link
        if kind == ndp.ROUTER_SOLICITATION:
            self._learn(packet.source, found.get(ndp.SOURCE_MAC))
            self._advertised()
        elif kind == ndp.NEIGHBOUR_SOLICITATION:
            self._solicited(packet, bytes(data[8:24]), found.get(ndp.SOURCE_MAC))
        else:
            self._learn(bytes(data[8:24]), found.get(ndp.TARGET_MAC))
        return True

    def _learn(self, address: bytes, mac: bytes | None) -> None:
        if mac is not None and len(mac) == 6:
            self._link.learn(address, mac)

    def _solicited(self, packet: Packet, target: bytes, mac: bytes | None) -> None:
        here = self._link.layout
        self._learn(packet.source, mac)
        if target not in (here.gateway6, here.dns6, here.link_local):
            return
        probe = packet.source == ANY6  # somebody is about to take our address
        to = ALL_NODES if probe else packet.source
        message = ndp.advertisement(target, solicited=not probe, router=target != here.dns6)
        self._link.packet(target, to, ICMPV6, message, self._timers.now, hops=255)

    def _advertised(self) -> None:
        """Tell everybody of the router, and again before that is forgotten."""
        here = self._link.layout
        message = ndp.router_advertisement(here, self._link.mtu, self._domain)
        self._link.packet(here.link_local, ALL_NODES, ICMPV6, message, self._timers.now, hops=255)
        self._advertise.set(self._timers.now + ADVERTISE_EVERY)
