"""Between a guest's connections and the host's sockets: bytes both ways, as either side has room.

A program connects to the socket, sends `CONNECT <port>` and a newline, hears `OK <number>` once the guest has taken the
connection, and from then on it is one. What the guest connects to is the socket of that name, `_` and the port.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from guesthouse.host.channels import Outlet
from guesthouse.host.guest_sockets import End
from guesthouse.host.loop import Loop
from guesthouse.virtual.sockets.connection import Connection, State
from guesthouse.virtual.sockets.exchange import Exchange
from guesthouse.virtual.sockets.packets import CARRY, LAST_PORT, NO_RECEIVE, NO_SEND, PIECE, message

GREETING = re.compile(rb"CONNECT ([0-9]{1,10})\r?\n")
LONGEST_GREETING = 32
FULL = 2 * PIECE
"""Bytes on their way to the guest behind which no more are read from the host's sockets."""


class Guest:
    """The host's end of one connection, and what has been done with it."""

    def __init__(self, end: End, greeted: bool) -> None:
        self.end = end
        self.connection: Connection | None = None
        self.line = bytearray()
        self.greeted = greeted
        """It needs no `OK`, or has it."""
        self.shut_reading = self.shut_writing = False


class Relay:
    """All connections of one guest; `dial` reaches for one of the host's ports; there are at most `most` ends."""

    def __init__(self, loop: Loop, outlet: Outlet, dial: Callable[[int], End | None], most: int) -> None:
        self._loop = loop
        self._outlet = outlet
        self._dial = dial
        self._most = most
        self._by_connection: dict[Connection, Guest] = {}
        self._count = 0
        self._paused: set[Guest] = set()
        self.exchange = Exchange(self, self._send, most)

    def _send(self, packet: bytes) -> None:
        self._outlet.write(message(CARRY, 0, packet))

    # Where connections come from.

    def take_client(self, end: End | None) -> None:
        """A program has connected; it says first where to."""
        if end is None:
            return
        if self._count >= self._most:
            end.close()
            return
        self._count += 1
        guest = Guest(end, greeted=False)
        self._loop.on_readable(end.descriptor, partial(self._greet, guest))

    def _greet(self, guest: Guest) -> None:
        """Read the first line, and not a byte behind it."""
        while not guest.line.endswith(b"\n"):
            byte = guest.end.read(1) if len(guest.line) < LONGEST_GREETING else b""
            if byte is None:
                return
            if not byte:
                self._close(guest)
                return
            guest.line += byte
        found = GREETING.fullmatch(guest.line)
        port = int(found[1]) if found else LAST_PORT + 1
        connection = self.exchange.connect(port) if port <= LAST_PORT else None
        self._loop.on_readable(guest.end.descriptor, None)
        if connection is None:
            self._close(guest)
        else:
            guest.connection = connection
            self._by_connection[connection] = guest

    def asked(self, connection: Connection) -> bool:
        """The guest wants to reach a port of the host's."""
        end = self._dial(connection.host_port) if self._count < self._most else None
        if end is None:
            return False
        self._count += 1
        guest = self._by_connection[connection] = Guest(end, greeted=True)
        guest.connection = connection
        return True

    # Bytes both ways.

    def changed(self, connection: Connection) -> None:
        """Do what can be done for a connection now."""
        guest = self._by_connection.get(connection)
        if guest is None or connection.state is State.ASKED:
            return
        if not guest.greeted and connection.state is State.OPEN:
            guest.greeted = True
            guest.end.write(b"OK %d\n" % connection.host_port)
        self._flush(guest, connection)
        if connection.state is State.GONE and not connection.received:
            self._close(guest)
        else:
            self._want(guest, connection)

    def _flush(self, guest: Guest, connection: Connection) -> None:
        """To the host, and tell it when that was all."""
        end = guest.end
        while connection.received:
            count = end.write(bytes(connection.received[:PIECE]))
            if count is None:
                self.exchange.shut(connection, NO_RECEIVE)
            elif count:
                self.exchange.forward(connection, count)
            else:
                break
        self._loop.on_writable(end.descriptor, partial(self.changed, connection) if connection.received else None)
        if not connection.received and not connection.guest_sends and not guest.shut_writing:
            guest.shut_writing = True
            end.shut(reading=False, writing=True)
        if connection.guest_flags & NO_RECEIVE and not guest.shut_reading:
            guest.shut_reading = True
            end.shut(reading=True, writing=False)

    def _want(self, guest: Guest, connection: Connection) -> None:
        wanted = connection.room > 0 and guest not in self._paused
        self._loop.on_readable(guest.end.descriptor, partial(self._read, guest, connection) if wanted else None)

    def _read(self, guest: Guest, connection: Connection) -> None:
        """From the host to the guest."""
        if len(self._outlet.buffer) >= FULL:
            self._paused.add(guest)
        elif data := guest.end.read(min(connection.room, PIECE)):
            self.exchange.send(connection, data)
        elif data is not None:
            self.exchange.shut(connection, NO_SEND | (NO_RECEIVE if guest.end.hung_up else 0))
        self._want(guest, connection)

    def go_on(self) -> None:
        """What was on its way to the guest has been written."""
        paused, self._paused = self._paused, set()
        for guest in paused:
            if guest.connection is not None:
                self._want(guest, guest.connection)

    def _close(self, guest: Guest) -> None:
        descriptor = guest.end.descriptor
        self._loop.on_readable(descriptor, None)
        self._loop.on_writable(descriptor, None)
        self._paused.discard(guest)
        if guest.connection is not None:
            del self._by_connection[guest.connection]
        guest.end.close()
        self._count -= 1
