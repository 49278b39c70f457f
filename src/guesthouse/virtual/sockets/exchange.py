"""The connections of one guest, by VIRTIO 1.3 section 5.10.6: packets in and out, without any socket or clock.

Nothing the guest sends raises or grows without bound: there are at most `most` connections, each keeps at most BUFFER
bytes, and a packet of the guest's is answered with at most one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from guesthouse.virtual.sockets.connection import Connection, State
from guesthouse.virtual.sockets.packets import (
    CREDIT_REQUEST,
    CREDIT_UPDATE,
    DATA,
    GUEST,
    HOST,
    LAST_PORT,
    NO_RECEIVE,
    NO_SEND,
    PACKET,
    REQUEST,
    RESPONSE,
    RST,
    SHUTDOWN,
    STREAM,
    Header,
    unpack,
)

FIRST_PORT = 1 << 30
"""The host's end of what the host begins gets a port from here on."""
BOTH = NO_RECEIVE | NO_SEND


class Host(Protocol):
    """Who has the host's ends of the connections."""

    def asked(self, connection: Connection) -> bool:
        """The guest wants to reach the connection's host port; says whether somebody is there."""

    def changed(self, connection: Connection) -> None:
        """There is something to take, the guest takes more, or its state or the guest's flags have changed."""


class Exchange:
    """All connections; `send` gets the packets to the guest."""

    def __init__(self, host: Host, send: Callable[[bytes], None], most: int) -> None:
        self._host = host
        self._send = send
        self._most = most
        self._connections: dict[tuple[int, int], Connection] = {}
        self._next_port = FIRST_PORT

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections.values()))

    def __len__(self) -> int:
        return len(self._connections)

    # From the guest.

    def receive(self, packet: memoryview) -> None:
        """Take a packet of the guest's, of any content."""
        if len(packet) < PACKET.size:
            return
        header, data = unpack(packet), packet[PACKET.size :]
        if header.source != GUEST or header.destination != HOST:
            return
        connection = self._connections.get((header.source_port, header.destination_port))
        if header.operation == RST:
            if connection is not None:
                self._lose(connection, keep=not connection.guest_sends)
        elif header.type != STREAM or (connection is None and header.operation != REQUEST):
            self._refuse(header)
        elif connection is None:
            self._ask(header)
        elif not self._take(connection, header, data):
            self.abort(connection)

    def _ask(self, header: Header) -> None:
        connection = Connection(header.source_port, header.destination_port, State.OPEN)
        connection.note_credit(header)
        if len(self) >= self._most or header.source_port > LAST_PORT or not self._host.asked(connection):
            self._refuse(header)
            return
        self._connections[header.source_port, header.destination_port] = connection
        self._tell(connection, RESPONSE)
        self._host.changed(connection)

    def _take(self, connection: Connection, header: Header, data: memoryview) -> bool:
        """What a packet means for its connection; False where it makes no sense."""
        more = connection.note_credit(header)
        if connection.state is State.ASKED:
            if header.operation != RESPONSE:
                return False
            connection.state = State.OPEN
            self._host.changed(connection)
            return True
        if header.operation == DATA:
            if not connection.guest_sends or header.length != len(data) or not connection.take(data):
                return False
            more = True
        elif header.operation == SHUTDOWN:
            self._note_shutdown(connection, header.flags & BOTH)
            more = True
        elif header.operation == CREDIT_REQUEST:
            self._tell(connection, CREDIT_UPDATE)
        elif header.operation != CREDIT_UPDATE:
            return False
        if more:
            self._host.changed(connection)
        return True

    def _note_shutdown(self, connection: Connection, flags: int) -> None:
        """What is shut stays so; where all is, the connection is over, which the guest waits to hear."""
        connection.guest_flags |= flags
        if connection.guest_flags == BOTH:
            self._tell(connection, RST)
            self._forget(connection)

    # From the host.

    def connect(self, port: int) -> Connection | None:
        """Ask the guest for a connection to its port; None where there are too many."""
        if len(self) >= self._most:
            return None
        while (port, self._next_port) in self._connections:
            self._advance()
        connection = Connection(port, self._next_port, State.ASKED)
        self._advance()
        self._connections[port, connection.host_port] = connection
        self._tell(connection, REQUEST)
        return connection

    def _advance(self) -> None:
        self._next_port = self._next_port + 1 if self._next_port < LAST_PORT else FIRST_PORT

    def send(self, connection: Connection, data: bytes) -> None:
        """Send bytes to the guest, no more than the connection has room for."""
        self._send(connection.header(DATA, len(data)).pack() + data)
        if not connection.room:
            self._tell(connection, CREDIT_REQUEST)

    def forward(self, connection: Connection, count: int) -> None:
        """The host has taken so many bytes of what was received."""
        connection.forward(count)
        if connection.credit_due:
            self._tell(connection, CREDIT_UPDATE)

    def shut(self, connection: Connection, flags: int) -> None:
        """The host's end receives, or sends, no more."""
        if flags & NO_RECEIVE:
            connection.host_flags |= NO_RECEIVE
            self.forward(connection, len(connection.received))
        connection.host_flags |= flags
        if connection.state is State.OPEN:
            self._tell(connection, SHUTDOWN, connection.host_flags)

    def abort(self, connection: Connection) -> None:
        """End a connection at once; what was received is lost."""
        if connection.state is not State.GONE:
            self._tell(connection, RST)
            self._lose(connection, keep=False)

    def reset(self) -> None:
        """The guest's driver has started anew and knows of no connection."""
        for connection in self:
            self._lose(connection, keep=not connection.guest_sends)

    # To the guest.

    def _tell(self, connection: Connection, operation: int, flags: int = 0) -> None:
        self._send(connection.header(operation, flags=flags).pack())

    def _refuse(self, header: Header) -> None:
        """Say that there is no such connection."""
        ports = {"source_port": header.destination_port, "destination_port": header.source_port}
        self._send(Header(**ports, type=header.type, operation=RST).pack())

    def _lose(self, connection: Connection, keep: bool) -> None:
        """Forget a connection, and what was received of it unless the guest had sent all of it."""
        if not keep:
            connection.received.clear()
        self._forget(connection)
        self._host.changed(connection)

    def _forget(self, connection: Connection) -> None:
        connection.state = State.GONE
        del self._connections[connection.guest_port, connection.host_port]
