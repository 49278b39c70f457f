"""All TCP connections of the guest: made as it asks for them or as somebody comes to a forwarded port; bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from guesthouse.virtual.network.addresses import Buffer, is_unicast
from guesthouse.virtual.network.checksum import transport_intact
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.outside import Outside, Problem, Stream, StreamUser
from guesthouse.virtual.network.packets import TCP, Packet
from guesthouse.virtual.network.tcp import Connection
from guesthouse.virtual.network.tcp_phases import Phase
from guesthouse.virtual.network.tcp_receive import Budget
from guesthouse.virtual.network.tcp_wire import ACK, FIN, HEADER, RST, SIZE, SYN, Wire, handshake_options, reset_for
from guesthouse.virtual.network.timers import Timers

MOST_CONNECTIONS, MOST_HALF_OPEN, MOST_REMEMBERED = 4096, 512, 1024
MEMORY, LEAST_SHARE, MOST_SHARE = 64 << 20, 16 << 10, 1 << 20
"""Bytes: of all connections, and the least and most that one has on its way in one direction."""

FIRST_PORT = 49152
Connect = Callable[[bytes, int, StreamUser, Packet], "Stream | Problem"]
"""Makes the stream that a guest asked for (destination, port), or says why not."""

Refused = Callable[[int, Problem, Buffer, bytes, bytes], None]
"""Tells the guest by ICMP: version, problem, packet, and the addresses of an unreachable host and the guest."""


class TcpTable:
    """The owner of connections."""

    def __init__(
        self, link: Link, timers: Timers, outside: Outside, connect: Connect, refused: Refused, most: int
    ) -> None:
        self.timers = timers
        self.budget = Budget(MEMORY, LEAST_SHARE, MOST_SHARE)
        self._link = link
        self._outside = outside
        self._connect = connect
        self._unreachable = refused
        self._most = most
        self._connections: dict[tuple[bytes, int, bytes, int], Connection] = {}
        self._half_open: OrderedDict[Connection, None] = OrderedDict()
        self._remembered: OrderedDict[Connection, None] = OrderedDict()
        self._owing: dict[Connection, None] = {}
        self._port = FIRST_PORT

    def __len__(self) -> int:
        return len(self._connections)

    # --- from the guest -----------------------------------------------------------------------------------------------

    def arrived(self, packet: Packet) -> None:
        """A segment from the guest."""
        payload = packet.payload
        if len(payload) < SIZE:
            return
        port, to_port, seq, ack, offset, flags, window, _, _ = HEADER.unpack_from(payload)
        header = (offset >> 4) * 4
        if not SIZE <= header <= len(payload):
            return
        source, destination = packet.source, packet.destination
        if not packet.checked and not transport_intact(source, destination, TCP, payload):
            return
        key = (source, port, destination, to_port)
        connection = self._connections.get(key)
        mss = scale = None
        if flags & SYN:
            mss, scale = handshake_options(payload[SIZE:header])
            if connection is not None and connection.phase is Phase.TIME_WAIT and not flags & (ACK | RST):
                connection.abort()  # a new connection may take the ports of an ended one
                connection = None
        if connection is not None:
            connection.arrived(seq, ack, flags, window, payload[header:], mss, scale)
        elif flags & SYN and not flags & (ACK | RST | FIN):
            self._asked(packet, key, seq, mss, scale, window)
        elif is_unicast(source):
            length = len(payload) - header + bool(flags & SYN) + bool(flags & FIN)
            reset_for(self._wire(key), self.timers.now, seq, ack, flags, length)

    def _wire(self, key: tuple[bytes, int, bytes, int]) -> Wire:
        guest, port, other, other_port = key
        return Wire(self._link, other, other_port, guest, port)

    def _asked(
        self,
        packet: Packet,
        key: tuple[bytes, int, bytes, int],
        seq: int,
        mss: int | None,
        scale: int | None,
        window: int,
    ) -> None:
        """A SYN for something new. Where there is no room it is lost, and comes again."""
        if not self._make_room():
            return
        connection = self._connection(key)
        connection.quoted = bytes(packet.whole[:128])
        connection.asked(seq, mss, scale, window)
        answer = self._connect(packet.destination, key[3], connection, packet)
        if isinstance(answer, Problem):
            connection.failed(answer)
        else:
            connection.stream = answer

    def _make_room(self) -> bool:
        """Whether one more fits, once what is only remembered, or was never answered, has been forgotten."""
        if len(self._half_open) >= MOST_HALF_OPEN:
            oldest = next((one for one in self._half_open if one.phase is not Phase.CONNECTING), None)
            if oldest is None:
                return False
            oldest.abort()
        if len(self._connections) >= self._most:
            if not self._remembered:
                return False
            next(iter(self._remembered)).abort()
        return True

    def _connection(self, key: tuple[bytes, int, bytes, int]) -> Connection:
        isn = int.from_bytes(self._outside.random(4), "big")
        mss = self._link.mtu - (40 if len(key[0]) == 4 else 60)
        connection = Connection(self, self._wire(key), key, mss, isn)
        self._connections[key] = connection
        self._half_open[connection] = None
        return connection

    # --- from the host ------------------------------------------------------------------------------------------------

    def accepted(self, stream: Stream, source: bytes, source_port: int, guest: bytes, port: int) -> StreamUser | None:
        """Somebody has come to a forwarded port, and is to appear as `source`; None where there is no room."""
        key = (guest, port, source, source_port)
        for _ in range(64):
            if key not in self._connections:
                break
            self._port = self._port + 1 if self._port < 0xFFFF else FIRST_PORT
            key = (guest, port, source, self._port)
        if key in self._connections or not self._make_room():
            return None
        connection = self._connection(key)
        connection.stream = stream
        connection.ask()
        return connection

    def host_closed(self) -> None:
        """The network ends: reset everything."""
        for connection in list(self._connections.values()):
            connection.abort()

    # --- for connections ----------------------------------------------------------------------------------------------

    def owe(self, connection: Connection) -> None:
        """`flush` it at the end of the turn."""
        self._owing[connection] = None

    def flush(self) -> bool:
        """The end of a turn: False where the link had no room for everything, and `flush` is to be called again."""
        while self._owing:
            connection = next(iter(self._owing))
            if not connection.flush():
                return False
            self._owing.pop(connection, None)
        return True

    def opened(self, connection: Connection) -> None:
        """It is no longer half open."""
        self._half_open.pop(connection, None)

    def refused(self, connection: Connection, problem: Problem) -> None:
        """Tell the guest: by a reset where somebody refused, by ICMP where nobody was reached."""
        guest, _, other, _ = connection.key
        if problem in (Problem.REFUSED, Problem.RESET, Problem.BUSY):
            seq = connection.receiver.next
            self._wire(connection.key).send(self.timers.now, 0, seq, RST | ACK, 0)
        else:
            self._unreachable(len(guest), problem, connection.quoted, other, guest)

    def waits(self, connection: Connection) -> None:
        """It is only remembered now."""
        self._remembered[connection] = None
        if len(self._remembered) > MOST_REMEMBERED:
            next(iter(self._remembered)).abort()

    def gone(self, connection: Connection) -> None:
        """Forget it."""
        if self._connections.get(connection.key) is connection:
            del self._connections[connection.key]
        self._half_open.pop(connection, None)
        self._remembered.pop(connection, None)
        self._owing.pop(connection, None)
