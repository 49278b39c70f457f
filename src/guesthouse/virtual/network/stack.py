"""The whole network: frames of the guest in, frames to the guest out, and the host's sockets behind it.

Nothing here waits, or asks for the time: whoever drives it says what time it is (`advance`), gives it frames
(`receive`), and ends a turn by `flush`. The host side calls back between `advance` and `flush`, too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from guesthouse.errors import UserError
from guesthouse.virtual.network import dhcp, dhcpv6, icmp, udp
from guesthouse.virtual.network.addresses import ALL_DHCP_SERVERS, Buffer, Layout, layout, packed
from guesthouse.virtual.network.checksum import total
from guesthouse.virtual.network.dhcp import Dhcp
from guesthouse.virtual.network.dns import NameServer, Resolver
from guesthouse.virtual.network.dns_stream import NameStream
from guesthouse.virtual.network.echo import EchoTable
from guesthouse.virtual.network.egress import Egress, Refusal
from guesthouse.virtual.network.frames import FrameReader
from guesthouse.virtual.network.link import Link, Transmit
from guesthouse.virtual.network.names import Names
from guesthouse.virtual.network.neighbours import Neighbourhood
from guesthouse.virtual.network.outside import Datagrams, Outside, Problem, Stream, StreamUser
from guesthouse.virtual.network.packets import ICMP, ICMPV6, TCP, UDP, Packet
from guesthouse.virtual.network.plan import Forward, NetworkPlan
from guesthouse.virtual.network.rules import Rules
from guesthouse.virtual.network.tcp_table import TcpTable
from guesthouse.virtual.network.timers import Timers

DOMAIN = "guesthouse"
DNS_PORT = 53
MOST_ERRORS = 100
"""ICMP errors in a second."""


class Stack:
    """The network of one guest."""

    def __init__(
        self,
        plan: NetworkPlan,
        transmit: Transmit,
        outside: Outside,
        resolvers: Sequence[Resolver] = (),
        refused: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        """`transmit` gives the guest a message in parts: virtio header and frame; see `link`."""
        self.layout = layout(plan.subnet, plan.subnet6)
        if not 1280 <= plan.mtu <= 65535:
            raise UserError(f"Frames of {plan.mtu} bytes (mtu) are no use; take 1280 to 65535.")
        self.timers = timers = Timers()
        self.link = link = Link(transmit, self.layout, plan.mtu, plan.offload)
        self.names = Names()
        self.egress = Egress(self.layout, Rules(plan.rules), self.names, plan.loopback, refused)
        self.tcp = TcpTable(link, timers, outside, self._connect, self._unreachable, plan.connections)
        self.udp = udp.UdpTable(link, timers, outside, self.egress)
        self.echo = EchoTable(link, timers, outside, self.egress)
        local = _local_names(plan, self.layout)
        self.dns = NameServer(timers, outside, self.egress, self.names, resolvers, local, DOMAIN)
        self._outside = outside
        self._dhcp = Dhcp(self.layout, plan.host_name, DOMAIN, plan.mtu)
        self._frames = FrameReader(self.layout, timers)
        self._neighbourhood = Neighbourhood(link, timers, DOMAIN)
        self._errors = 0
        self._errors_since = 0.0

    # --- driving it ---------------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """It is `now`, in seconds on a clock that never goes back: do what is due."""
        self.timers.advance(now)

    def next(self) -> float:
        """When `advance` is to be called at the latest."""
        return self.timers.next()

    def flush(self) -> bool:
        """The end of a turn; False where the link is full, and this is to be called again once it is not."""
        return self.tcp.flush()

    def receive(self, message: memoryview) -> None:
        """A message from the guest's device: virtio header and frame. What it views may change afterwards."""
        packet = self._frames.read(message, self._neighbourhood.arp)
        if packet is None:
            return
        if packet.mac and self.layout.is_guest(packet.source):
            self.link.learn(packet.source, packet.mac)
        if packet.protocol == TCP:
            if self._is_routed(packet):
                self.tcp.arrived(packet)
        elif packet.protocol == UDP:
            self._datagram(packet)
        elif packet.protocol == ICMP and packet.version == 4:
            self._control4(packet)
        elif packet.protocol == ICMPV6 and packet.version == 6:
            self._control6(packet)

    def _is_routed(self, packet: Packet) -> bool:
        """Whether a packet is of a guest, and may go on: it has hops left, or goes no further than the gateway."""
        if not self.layout.is_guest(packet.source):
            return False
        if packet.hops <= 1 and not self.layout.is_inside(packet.destination):
            self._error(*icmp.out_of_hops(packet), packet.source)
            return False
        return True

    # --- what the packets carry ---------------------------------------------------------------------------------------

    def _connect(self, address: bytes, port: int, user: StreamUser, packet: Packet) -> Stream | Problem:
        if port == DNS_PORT and address in (self.layout.dns, self.layout.dns6):
            return NameStream(self.dns, user)
        answer = self.egress.destination("tcp", address, port, self.timers.now)
        return answer if isinstance(answer, Problem) else self._outside.connect(answer, port, user)

    def _unreachable(self, size: int, problem: Problem, quoted: Buffer, other: bytes, guest: bytes) -> None:
        self._error(*icmp.unreachable(4 if size == 4 else 6, problem, quoted), guest)

    def _error(self, number: int, message: bytes, guest: bytes) -> None:
        """Send an ICMP error, not too many of them."""
        now = self.timers.now
        if now - self._errors_since >= 1:
            self._errors, self._errors_since = 0, now
        self._errors += 1
        if self._errors <= MOST_ERRORS:
            source = self.layout.gateway if number == ICMP else self.layout.gateway6
            self.link.packet(source, guest, number, message, now)

    def _datagram(self, packet: Packet) -> None:
        datagram = udp.read(packet)
        if datagram is None:
            return
        here = self.layout
        if packet.version == 4 and datagram.to_port == dhcp.SERVER_PORT:
            self._configure4(datagram)
        elif packet.version == 6 and datagram.to_port == dhcpv6.SERVER_PORT:
            self._configure6(datagram)
        elif _is_for_many(packet.destination) or packet.destination == here.broadcast or not self._is_routed(packet):
            return
        elif datagram.to_port == DNS_PORT and packet.destination in (here.dns, here.dns6):
            source, port, server = packet.source, datagram.port, packet.destination
            self.dns.ask(bytes(datagram.payload), lambda data: self._named(server, source, port, data))
        else:
            self.udp.arrived(datagram)

    def _named(self, server: bytes, guest: bytes, port: int, data: bytes) -> None:
        self.link.packet(server, guest, UDP, udp.build(server, DNS_PORT, guest, port, data), self.timers.now)

    def _configure4(self, datagram: udp.Datagram) -> None:
        answer = self._dhcp.answer(datagram.payload)
        if answer is None:
            return
        message, to, mac = answer
        self.link.learn(to, mac)
        data = udp.build(self.layout.gateway, dhcp.SERVER_PORT, to, dhcp.CLIENT_PORT, message)
        self.link.packet(self.layout.gateway, to, UDP, data, self.timers.now)

    def _configure6(self, datagram: udp.Datagram) -> None:
        packet = datagram.packet
        here = (ALL_DHCP_SERVERS, self.layout.link_local)
        if not self.layout.prefix or packet.destination not in here or not self.layout.is_guest(packet.source):
            return
        message = dhcpv6.answer(self.layout, DOMAIN, datagram.payload)
        if message is not None:
            source, to = self.layout.link_local, packet.source
            data = udp.build(source, dhcpv6.SERVER_PORT, to, dhcpv6.CLIENT_PORT, message)
            self.link.packet(source, to, UDP, data, self.timers.now)

    def _control4(self, packet: Packet) -> None:
        if icmp.is_echo(packet) and not total(packet.payload) and self._is_routed(packet):
            self._echo(packet)

    def _control6(self, packet: Packet) -> None:
        if self._neighbourhood.arrived(packet) or not icmp.is_echo(packet):
            return
        if packet.destination == self.layout.link_local or self._is_routed(packet):
            self._echo(packet)

    def _echo(self, packet: Packet) -> None:
        problem = self.echo.arrived(packet)
        if problem is not None:
            self._error(*icmp.unreachable(packet.version, problem, packet.whole), packet.source)

    # --- forwarded ports ----------------------------------------------------------------------------------------------

    def _guest_for(self, address: bytes) -> bytes:
        """The guest's address for somebody who came to this one of the host."""
        return (self.link.global_guest() if len(address) == 16 else None) or self.layout.guest

    def accepted(self, forward: Forward, stream: Stream, address: bytes, port: int) -> StreamUser | None:
        """Somebody at `address` has come to a forwarded TCP port; None where there is no room."""
        guest = self._guest_for(address)
        source = self.egress.appearance(address)
        if len(source) != len(guest):
            source = self.layout.gateway
        return self.tcp.accepted(stream, source, port, guest, forward.guest_port)

    def visited(self, forward: Forward, datagrams: Datagrams, data: bytes, address: bytes, port: int) -> None:
        """Somebody at `address` has sent a datagram to a forwarded UDP port."""
        self.udp.visited(datagrams, data, address, port, self._guest_for(address), forward.guest_port)

    def close(self) -> None:
        """The network ends: reset every connection, close every socket."""
        self.tcp.host_closed()
        self.udp.close()
        self.echo.close()


def _is_for_many(address: bytes) -> bool:
    """Whether an address is multicast, or broadcast."""
    return address[0] >= 224 if len(address) == 4 else address[0] == 0xFF


def _local_names(plan: NetworkPlan, here: Layout) -> dict[str, list[bytes]]:
    """The names of this network; the first for an address is the one it is called."""
    gateway = [address for address in (here.gateway, here.gateway6) if address]
    server = [address for address in (here.dns, here.dns6) if address]
    names = {f"host.{DOMAIN}": gateway, f"gateway.{DOMAIN}": gateway, "gateway": gateway, f"dns.{DOMAIN}": server}
    if plan.host_name:
        names |= {f"{plan.host_name}.{DOMAIN}": [here.guest], plan.host_name: [here.guest]}
    for name, address in plan.names.items():
        try:
            names[name.lower().rstrip(".")] = [packed(address)]
        except ValueError:
            raise UserError(f"'{address}', the address of '{name}', is no IP address.") from None
    return names


def parse_resolver(text: str) -> Resolver:
    """ADDRESS or ADDRESS#PORT."""
    address, _, port = text.partition("#")
    try:
        return ipaddress.ip_address(address).packed, int(port or DNS_PORT)
    except ValueError:
        raise UserError(f"'{text}' is no resolver; write it ADDRESS or ADDRESS#PORT.") from None
