"""Sockets of the host that wait for others, and the one that carries a guest's frames."""

import resource
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from guesthouse.errors import UserError
from guesthouse.host.network_loop import NetworkLoop
from guesthouse.host.network_problem import Problem
from guesthouse.host.network_sockets import (
    DATAGRAM,
    STREAM,
    Buffer,
    DatagramSocket,
    StreamSocket,
    StreamUser,
    packed,
)

LOOPBACKS = ("127.0.0.1", "::1")
QUEUE = 128
LINK_BUFFER = 4 << 20
"""Bytes that a link to a guest should hold each way; the host may allow less."""

LONGEST_FRAME = 65550 + 12
FRAMES_AT_ONCE = 64
SPARE_DESCRIPTORS = 64


def bind(host: str, port: int, protocol: str) -> list[socket.socket]:
    """Sockets that wait at a port ("" for both loopback addresses); raises UserError where none can."""
    kind = STREAM if protocol == "tcp" else DATAGRAM
    sockets: list[socket.socket] = []
    for address in [host] if host else LOOPBACKS:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            made = socket.socket(family, kind)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if protocol == "tcp":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if protocol == "tcp":
                made.listen(QUEUE)
        except OSError as error:
            if host or address == LOOPBACKS[0]:
                where = f"[{address}]" if ":" in address else address
                why = error.strerror or str(error)
                raise UserError(f"Port {port}/{protocol} at {where} cannot be had: {why}; choose another.") from None
            continue  # a host without IPv6
        sockets.append(made)
        port = made.getsockname()[1]
    return sockets


class Listener:
    """A TCP port: each client becomes a stream, which `accepted` gives a user, or does not take."""

    def __init__(
        self,
        loop: NetworkLoop,
        listening: socket.socket,
        accepted: Callable[[StreamSocket, bytes, int], StreamUser | None],
    ) -> None:
        self._loop = loop
        self._socket = listening
        self._accepted = accepted
        loop.watch(listening.fileno(), self._happened)

    def _happened(self, events: int) -> None:
        while True:  # the edge is told once
            try:
                made, where = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:
                return  # no descriptors: the next client comes with a new edge
            made.setblocking(False)
            stream = StreamSocket(self._loop, made)
            user = self._accepted(stream, packed(where[0]), where[1])
            if user is None:
                stream.reset()
            else:
                stream.begin(user, connected=True)


class UdpPort:
    """A UDP port: `received` gets the socket to answer with, the datagram, and from whom it is."""

    def __init__(
        self, loop: NetworkLoop, bound: socket.socket, received: Callable[[DatagramSocket, bytes, bytes, int], None]
    ) -> None:
        self._received = received
        self._datagrams = DatagramSocket(loop, bound, self._on_datagram, self._on_bounce)

    def _on_datagram(self, data: bytes, address: bytes, port: int) -> None:
        self._received(self._datagrams, data, address, port)

    def _on_bounce(self, address: bytes, port: int, problem: Problem) -> None:
        """A client that is gone."""


class GuestLink:
    """The socket (sequenced packets) between a guest's device and its network."""

    def __init__(
        self,
        loop: NetworkLoop,
        descriptor: int,
        received: Callable[[memoryview], None],
        roomy: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        """`received` gets a view that is good for the call only; `roomy` is called once there is room again."""
        self._loop = loop
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        widen(self._socket)
        self._received = received
        self._roomy = roomy
        self._ended = ended
        self._space = memoryview(bytearray(LONGEST_FRAME))
        self._waiting = False
        loop.on_readable(descriptor, self._readable)

    def _readable(self) -> None:
        space, receive, received = self._space, self._socket.recv_into, self._received
        for _ in range(FRAMES_AT_ONCE):
            try:
                size = receive(space)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._loop.on_readable(self._socket.fileno(), None)
                self._ended()
                return
            received(space[:size])

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Give the guest a message; False where there is no room now."""
        try:
            self._socket.sendmsg(parts)
            return True
        except BlockingIOError:
            if not self._waiting:
                self._waiting = True
                self._loop.on_writable(self._socket.fileno(), self._writable)
            return False
        except OSError:
            return True  # nobody is there: the end is told by reading

    def _writable(self) -> None:
        self._waiting = False
        self._loop.on_writable(self._socket.fileno(), None)
        self._roomy()


def link_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a link for frames."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        widen(end)
    return ends


def widen(end: socket.socket) -> None:
    """Have a socket hold as much as the host allows."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LINK_BUFFER)


def most_sockets() -> int:
    """How many sockets this process may open; raises the limit as far as that goes without privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(SPARE_DESCRIPTORS, soft - SPARE_DESCRIPTORS)
