"""A TCP port that serves one client at a time, on a loop, for somebody in another thread.

Nothing here waits for a client or grows with what it does: it may send the next piece once the last has been dealt
with and the answers are on their way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import threading
from typing import Protocol

from guesthouse.errors import UserError
from guesthouse.host.channels import CHUNK, Inlet, Outlet
from guesthouse.host.handover import Bell
from guesthouse.host.loop import Loop

PIECE = 4096
"""Bytes taken from a client at once: each of them can ask for many more."""


class Host(Protocol):
    """Who is visited; called in the loop's thread."""

    def attach(self, client: Visitor) -> None: ...
    def receive(self, client: Visitor, data: bytes) -> None: ...
    def leave(self, client: Visitor) -> None: ...


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at an address of this machine, any free port for 0. Raises UserError where that can't be."""
    if not 0 <= port <= 65535:
        raise UserError(f"There is no port {port}; choose one from 1 to 65535, or 0 for any.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise _failed(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # clients that have died are noticed one day
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # these two go to each client's socket
        listener.bind(address)
        listener.listen(16)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _failed(host, port, error) from error
    return listener


def _failed(host: str, port: int, error: Exception) -> UserError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(f"Can't listen at {host}:{port} ({reason.lower()}); choose another port.")


class Visitor:
    """One client's connection. `send`, `taken` and `hang_up` may be called from any thread."""

    def __init__(self, loop: Loop, bell: Bell, descriptor: int, visitors: Visitors) -> None:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)  # a confined process may do it so only
        self._loop = loop
        self._bell = bell
        self._descriptor = descriptor
        self._visitors = visitors
        self._lock = threading.Lock()
        self._outgoing = bytearray()
        self.busy = False
        self._leaving = False
        self._inlet = Inlet(loop, descriptor, self._take, self._end, PIECE)
        self._outlet = Outlet(loop, descriptor, CHUNK, self.refresh)
        self.gone = False

    def send(self, data: bytes) -> None:
        """Queue bytes for the client."""
        if data:
            with self._lock:
                self._outgoing += data
            self._bell.ring()

    def taken(self) -> None:
        """What came last has been dealt with, bytes or the client's end; more may come."""
        self.busy = False
        self._bell.ring()

    def hang_up(self) -> None:
        """Close the connection once what was queued is written, or can't be at once."""
        self._leaving = True
        self._bell.ring()

    def refresh(self) -> None:
        """Move what is queued, and decide whether to read on; in the loop's thread."""
        if self.gone:
            return
        leaving = self._leaving  # before what is queued is looked at: it was queued before
        with self._lock:
            data = bytes(self._outgoing)
            self._outgoing.clear()
        self._outlet.write(data)
        if data:
            self._outlet.pump()
        if leaving or self._outlet.broken:
            self._end()
        else:
            self._inlet.want(not self.busy and not self._outlet.buffer)

    @property
    def departed(self) -> bool:
        """Whether the client has closed its end, read or not."""
        if self.gone:
            return True
        ends = select.poll()
        ends.register(self._descriptor, select.POLLRDHUP)
        return bool(ends.poll(0))

    def _take(self, data: bytes) -> None:
        self.busy = True
        self._inlet.want(False)
        self._visitors.host.receive(self, data)

    def _end(self) -> None:
        if not self.gone:
            self.gone = self.busy = True
            self._loop.on_readable(self._descriptor, None)
            self._loop.on_writable(self._descriptor, None)
            os.close(self._descriptor)
            self._visitors.forget(self)


class Visitors:
    """Takes clients in, one at a time; who comes while another is there is turned away.

    Where that one has left and its host does not know yet, the next may wait.
    """

    def __init__(self, loop: Loop, listener: socket.socket, host: Host) -> None:
        self._loop = loop
        self._listener = listener
        self._bell = Bell(loop, self.refresh)
        self._present: Visitor | None = None
        self._next: socket.socket | None = None
        self.host = host
        loop.on_readable(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if self._present is None:
            self._admit(connection)
        elif self._next is None and self._present.departed:
            self._next = connection
        else:
            connection.close()

    def _admit(self, connection: socket.socket) -> None:
        self._present = Visitor(self._loop, self._bell, connection.detach(), self)
        self.host.attach(self._present)
        self._present.refresh()

    def refresh(self) -> None:
        """Give the client what is queued for it; in the loop's thread."""
        if self._present is None:
            return
        self._present.refresh()
        if self._present.gone and not self._present.busy:
            self._present = None
            if self._next is not None:
                connection, self._next = self._next, None
                self._admit(connection)

    def forget(self, visitor: Visitor) -> None:
        """The connection is closed; the next client waits until the host has dealt with that."""
        self.host.leave(visitor)

    def close(self) -> None:
        """Listen no more, and let the client go; in the loop's thread, or where the loop does not turn any more."""
        if self._next is not None:
            self._next.close()
            self._next = None
        if self._present is not None:
            self._present.hang_up()
            self._present.refresh()
        self._loop.on_readable(self._listener.fileno(), None)
        self._listener.close()
        self._bell.close()


def address_of(listener: socket.socket) -> str:
    """HOST:PORT of a listening socket, as a debugger wants it."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class VisitorsThread:
    """A thread of its own with a loop for `Visitors`."""

    def __init__(self, listener: socket.socket, host: Host) -> None:
        self._loop = Loop()
        self._visitors = Visitors(self._loop, listener, host)
        self._ending = False
        self._bell = Bell(self._loop, lambda: None)
        self._thread = threading.Thread(target=self._turn, name="visitors", daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        while not self._ending:
            self._loop.turn(None)
        with contextlib.suppress(OSError):
            self._visitors.close()
        self._bell.close()

    def close(self) -> None:
        """End it; more than once does no harm."""
        if not self._ending:
            self._ending = True
            self._bell.ring()
            if self._thread is not threading.current_thread():
                self._thread.join()
