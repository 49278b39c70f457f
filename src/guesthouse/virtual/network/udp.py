"""UDP: each of the guest's ports has a socket of the host, while it is used (RFC 4787, address-dependent filtering)."""

from __future__ import annotations

import struct
from collections import OrderedDict

from guesthouse.virtual.network import icmp, ipv4, ipv6
from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.checksum import pseudo_header, total, transport_intact
from guesthouse.virtual.network.egress import Egress
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.outside import Datagrams, Outside, Problem
from guesthouse.virtual.network.packets import UDP, Packet
from guesthouse.virtual.network.timers import Timers

HEADER = struct.Struct("!HHHH")
SIZE = HEADER.size
IDLE = 180.0
"""Seconds that a port is kept for which nothing comes or goes (RFC 4787, REQ-5: 2 minutes at least)."""

SWEEP = 10.0
MOST_FLOWS, MOST_PEERS = 1024, 256
FIRST_PORT = 49152


class Datagram:
    """A datagram from the guest, in pieces where it was handed over as several."""

    __slots__ = ("packet", "payload", "port", "to_port")

    def __init__(self, packet: Packet, port: int, to_port: int, payload: memoryview) -> None:
        self.packet = packet
        self.port = port
        self.to_port = to_port
        self.payload = payload

    def pieces(self) -> list[memoryview]:
        """What is to be sent, datagram by datagram."""
        size = self.packet.pieces
        if not size or len(self.payload) <= size:
            return [self.payload]
        return [self.payload[at : at + size] for at in range(0, len(self.payload), size)]


def read(packet: Packet) -> Datagram | None:
    """The datagram that a packet carries; None where it is damaged."""
    payload = packet.payload
    if len(payload) < SIZE:
        return None
    port, to_port, length, checksum = HEADER.unpack_from(payload)
    if packet.pieces:
        length = len(payload)
    if not SIZE <= length <= len(payload):
        return None
    if not packet.checked and not _intact(packet, checksum, payload[:length]):
        return None
    return Datagram(packet, port, to_port, payload[SIZE:length])


def _intact(packet: Packet, checksum: int, data: memoryview) -> bool:
    if not checksum:
        return packet.version == 4  # it has none
    return transport_intact(packet.source, packet.destination, UDP, data)


def build(source: bytes, source_port: int, destination: bytes, port: int, data: Buffer) -> bytes:
    """A datagram with its checksum."""
    length = SIZE + len(data)
    head = HEADER.pack(source_port, port, length, 0)
    field = -(pseudo_header(source, destination, UDP, length) + total(head) + total(data)) % 0xFFFF or 0xFFFF
    return HEADER.pack(source_port, port, length, field) + data


class _Flow:
    """A port of the guest's, or of somebody who came to a forwarded port."""

    __slots__ = ("datagrams", "heard", "peers")

    def __init__(self, now: float) -> None:
        self.datagrams: Datagrams | None = None
        self.heard = now
        self.peers: OrderedDict[tuple[bytes, int], tuple[bytes, int]] = OrderedDict()
        """Address and port on the host's side -> as the guest sees them."""


class UdpTable:
    """All UDP of the guest but what the gateway answers itself."""

    def __init__(self, link: Link, timers: Timers, outside: Outside, egress: Egress) -> None:
        self._link = link
        self._timers = timers
        self._outside = outside
        self._egress = egress
        self._flows: OrderedDict[tuple[bytes, int], _Flow] = OrderedDict()
        self._visitors: OrderedDict[tuple[bytes, int, bytes, int], tuple[float, Datagrams, bytes, int]] = OrderedDict()
        self._sweep = timers.timer(self._swept)

    def __len__(self) -> int:
        return len(self._flows) + len(self._visitors)

    def arrived(self, datagram: Datagram) -> None:
        """A datagram from the guest to somebody outside."""
        packet = datagram.packet
        visitor = self._visitors.get((packet.source, datagram.port, packet.destination, datagram.to_port))
        if visitor is not None:
            _, datagrams, address, port = visitor
            for piece in datagram.pieces():
                datagrams.send(piece, address, port)
            return
        now = self._timers.now
        answer = self._egress.destination("udp", packet.destination, datagram.to_port, now)
        problem = answer if isinstance(answer, Problem) else self._send(datagram, answer)
        if problem is not None:
            number, message = icmp.unreachable(packet.version, problem, packet.whole)
            source = self._link.layout.gateway if packet.version == 4 else self._link.layout.gateway6
            self._link.packet(source, packet.source, number, message, now)

    def _send(self, datagram: Datagram, address: bytes) -> Problem | None:
        packet = datagram.packet
        flow = self._flow(packet.source, datagram.port)
        if flow is None or flow.datagrams is None:
            return Problem.NO_NETWORK
        flow.peers[address, datagram.to_port] = (packet.destination, datagram.to_port)
        flow.peers.move_to_end((address, datagram.to_port))
        if len(flow.peers) > MOST_PEERS:
            flow.peers.popitem(last=False)
        for piece in datagram.pieces():
            if problem := flow.datagrams.send(piece, address, datagram.to_port):
                return problem
        return None

    def _flow(self, source: bytes, port: int) -> _Flow | None:
        key = (source, port)
        flow = self._flows.get(key)
        if flow is None:
            flow = _Flow(self._timers.now)
            flow.datagrams = self._outside.datagrams(
                4 if len(source) == 4 else 6,
                lambda data, address, number: self._received(key, data, address, number),
                lambda address, number, problem: self._bounced(key, address, number, problem),
            )
            if flow.datagrams is None:
                return None
            self._flows[key] = flow
            if len(self._flows) > MOST_FLOWS:
                self._drop(next(iter(self._flows)))
            self._watch()
        flow.heard = self._timers.now
        self._flows.move_to_end(key)
        return flow

    def _received(self, key: tuple[bytes, int], data: bytes, address: bytes, port: int) -> None:
        flow = self._flows.get(key)
        if flow is None or (seen := flow.peers.get((address, port))) is None:
            return
        flow.heard = self._timers.now
        self._flows.move_to_end(key)
        self._give(seen[0], seen[1], key[0], key[1], data)

    def _give(self, source: bytes, source_port: int, guest: bytes, port: int, data: bytes) -> None:
        self._link.packet(source, guest, UDP, build(source, source_port, guest, port, data), self._timers.now)

    def _bounced(self, key: tuple[bytes, int], address: bytes, port: int, problem: Problem) -> None:
        """Tell the guest what became of its datagram, of which only the ports are left to quote."""
        flow = self._flows.get(key)
        if flow is None or (seen := flow.peers.get((address, port))) is None:
            return
        guest, guest_port = key
        header = HEADER.pack(guest_port, seen[1], SIZE, 0)
        ip = ipv4.header(guest, seen[0], UDP, SIZE) if len(guest) == 4 else ipv6.header(guest, seen[0], UDP, SIZE)
        number, message = icmp.unreachable(4 if len(guest) == 4 else 6, problem, ip + header)
        self._link.packet(seen[0], guest, number, message, self._timers.now)

    # --- forwarded ports ----------------------------------------------------------------------------------------------

    def visited(
        self, datagrams: Datagrams, data: bytes, address: bytes, port: int, guest: bytes, guest_port: int
    ) -> None:
        """A datagram for a forwarded port; answers go back through the same socket."""
        source = self._egress.appearance(address)
        if len(source) != len(guest):
            source = self._link.layout.gateway if len(guest) == 4 else self._link.layout.gateway6
        key = (guest, guest_port, source, port)
        number = port
        while (known := self._visitors.get(key)) is not None and known[1:] != (datagrams, address, port):
            number = number + 1 if FIRST_PORT <= number < 0xFFFF else FIRST_PORT
            key = (guest, guest_port, source, number)
        self._visitors[key] = (self._timers.now, datagrams, address, port)
        self._visitors.move_to_end(key)
        if len(self._visitors) > MOST_FLOWS:
            self._visitors.popitem(last=False)
        self._watch()
        self._give(source, number, guest, guest_port, data)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._sweep.due > self._timers.now + SWEEP:
            self._sweep.set(self._timers.now + SWEEP)

    def _swept(self) -> None:
        old = self._timers.now - IDLE
        while self._flows and next(iter(self._flows.values())).heard <= old:
            self._drop(next(iter(self._flows)))
        while self._visitors and next(iter(self._visitors.values()))[0] <= old:
            self._visitors.popitem(last=False)
        if self._flows or self._visitors:
            self._watch()

    def _drop(self, key: tuple[bytes, int]) -> None:
        flow = self._flows.pop(key)
        if flow.datagrams is not None:
            flow.datagrams.close()

    def close(self) -> None:
        """Let go of every socket."""
        for key in list(self._flows):
            self._drop(key)
