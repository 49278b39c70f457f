"""Echoes (ping): the gateway answers for itself, and sends on for the guest what the host lets it."""

from __future__ import annotations

from collections import OrderedDict

from guesthouse.virtual.network import icmp
from guesthouse.virtual.network.egress import Egress
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.outside import Datagrams, Outside, Problem
from guesthouse.virtual.network.packets import ICMP, ICMPV6, Packet
from guesthouse.virtual.network.timers import Timers

MOST_FLOWS, IDLE = 64, 30.0


class EchoTable:
    """Who waits for an echo: a socket for each identifier of the guest's."""

    def __init__(self, link: Link, timers: Timers, outside: Outside, egress: Egress) -> None:
        self._link = link
        self._timers = timers
        self._outside = outside
        self._egress = egress
        self._flows: OrderedDict[tuple[bytes, bytes], tuple[float, Datagrams, dict[bytes, bytes]]] = OrderedDict()
        self._sweep = timers.timer(self._swept)

    def __len__(self) -> int:
        return len(self._flows)

    def arrived(self, packet: Packet) -> Problem | None:
        """The guest asks for an echo; why it gets none."""
        layout = self._link.layout
        here = (layout.gateway, layout.dns, layout.gateway6, layout.dns6, layout.link_local)
        if packet.destination in here:
            self._answer(packet.destination, packet.source, icmp.echo_reply(packet))
            return None
        answer = self._egress.destination("icmp", packet.destination, 0, self._timers.now)
        if isinstance(answer, Problem):
            return answer
        key = (packet.source, bytes(packet.payload[4:6]))
        flow = self._flows.get(key)
        if flow is None:
            datagrams = self._outside.echoes(
                packet.version, lambda data, address, port: self._received(key, data, address)
            )
            if datagrams is None:
                return Problem.FORBIDDEN
            flow = (self._timers.now, datagrams, {})
            if len(self._flows) >= MOST_FLOWS:
                self._drop(next(iter(self._flows)))
        peers = flow[2]
        if len(peers) >= MOST_FLOWS:
            del peers[next(iter(peers))]
        peers[answer] = packet.destination
        self._flows[key] = (self._timers.now, flow[1], peers)
        self._flows.move_to_end(key)
        if self._sweep.due > self._timers.now + IDLE:
            self._sweep.set(self._timers.now + IDLE)
        return flow[1].send(packet.payload, answer, 0)

    def _answer(self, source: bytes, guest: bytes, message: bytes) -> None:
        self._link.packet(source, guest, ICMP if len(guest) == 4 else ICMPV6, message, self._timers.now)

    def _received(self, key: tuple[bytes, bytes], data: bytes, address: bytes) -> None:
        """An answer, with the socket's identifier, which becomes the guest's again."""
        flow = self._flows.get(key)
        guest, name = key
        reply = icmp.ECHO_REPLY if len(guest) == 4 else icmp.ECHO_REPLY6
        if flow is None or len(data) < 8 or data[0] != reply or (source := flow[2].get(address)) is None:
            return
        rest, echoed = name + data[6:8], data[8:]
        message = icmp.message4(reply, 0, rest, echoed) if len(guest) == 4 else icmp.message6(reply, 0, rest, echoed)
        self._answer(source, guest, message)

    def _swept(self) -> None:
        while self._flows and next(iter(self._flows.values()))[0] <= self._timers.now - IDLE:
            self._drop(next(iter(self._flows)))
        if self._flows:
            self._sweep.set(self._timers.now + IDLE)

    def _drop(self, key: tuple[bytes, bytes]) -> None:
        self._flows.pop(key)[1].close()

    def close(self) -> None:
        """Let go of every socket."""
        for key in list(self._flows):
            self._drop(key)
