"""The host's sockets for a guest's network: streams, datagrams and echoes that never wait.

Sources: tcp(7), udp(7), ip(7), ipv6(7), icmp(7).
"""

import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from guesthouse.host.network_loop import BROKEN, ENDED, INPUT, OUTPUT, NetworkLoop
from guesthouse.host.network_problem import Broken, Problem

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for a reset at closing."""

IP_RECVERR, IPV6_RECVERR, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, FRAGMENT = 11, 25, 10, 23, 0
EXTENDED_ERROR = struct.Struct("=IBBBB")
LONGEST = 0x10000
AT_ONCE = 32
"""Datagrams that one socket may receive in a turn, and clients that one may take in."""

Buffer = bytes | bytearray | memoryview


PROBLEMS = {
    errno.ECONNREFUSED: Problem.REFUSED, errno.ENETUNREACH: Problem.NO_NETWORK, errno.EADDRNOTAVAIL: Problem.NO_NETWORK,
    errno.EAFNOSUPPORT: Problem.NO_NETWORK, errno.ENETDOWN: Problem.NO_NETWORK, errno.EHOSTUNREACH: Problem.NO_HOST,
    errno.ETIMEDOUT: Problem.TIMED_OUT, errno.EACCES: Problem.FORBIDDEN, errno.EPERM: Problem.FORBIDDEN,
    errno.ECONNRESET: Problem.RESET, errno.EPIPE: Problem.RESET, errno.EMFILE: Problem.BUSY, errno.ENFILE: Problem.BUSY,
    errno.ENOBUFS: Problem.BUSY, errno.ENOMEM: Problem.BUSY, errno.EAGAIN: Problem.BUSY,
    errno.EMSGSIZE: Problem.TOO_LONG,
}  # fmt: skip


def problem_of(number: int | None) -> Problem:
    """What an errno means."""
    return PROBLEMS.get(number or 0, Problem.NO_HOST)


class StreamUser(Protocol):
    """Who is told about a stream; see `virtual.network.outside`."""

    def connected(self) -> None: ...

    def failed(self, problem: Problem) -> None: ...

    def readable(self) -> None: ...

    def writable(self) -> None: ...


class StreamSocket:
    """A TCP connection of the host."""

    def __init__(self, loop: NetworkLoop, made: socket.socket) -> None:
        self._loop = loop
        self._socket = made
        self._user: StreamUser | None = None
        self._connected = False
        self._full = False
        self._dry = False
        self._ended = False
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def begin(self, user: StreamUser, connected: bool = False) -> None:
        """Tell `user` from now on; `connected` where that is so already."""
        self._user = user
        self._connected = connected
        self._loop.watch(self._socket.fileno(), self._happened)

    def _happened(self, events: int) -> None:
        user = self._user
        if user is None or not (self._connected or self._connecting(events)):
            return
        if events & BROKEN:
            problem = problem_of(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            user.failed(problem)
            return
        if events & INPUT:
            self._dry = False
            self._ended = self._ended or bool(events & ENDED)
            user.readable()
        if events & OUTPUT and self._full:
            self._full = False
            user.writable()

    def _connecting(self, events: int) -> bool:
        """Whether the attempt has just come to a good end."""
        assert self._user is not None
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            try:
                self._socket.getpeername()
            except OSError:
                return False  # an event of another socket that had the number before
            self._connected = True
            self._user.connected()
            return self._user is not None
        self._user.failed(problem_of(number))
        return False

    def receive(self, most: int) -> bytes | None:
        """What is there; None for nothing, b"" for the end."""
        if self._dry:
            return None
        try:
            data = self._socket.recv(most)
        except BlockingIOError:
            self._dry = True
            return None
        except OSError as error:
            raise Broken from error
        self._dry = len(data) < most and not self._ended  # more will be told: see epoll(7)
        return data

    def send(self, data: Buffer) -> int:
        """How many bytes were taken."""
        try:
            count = self._socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            count = 0
        except OSError as error:
            raise Broken from error
        if count < len(data):
            self._full = True
        return count

    def finish(self) -> None:
        """Nothing more will be sent."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of it; what was sent still goes out."""
        if self._user is not None:
            self._loop.watch(self._socket.fileno(), None)
        self._user = None
        self._socket.close()

    def reset(self) -> None:
        """Break it off."""
        if self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()


class DatagramSocket:
    """A UDP socket, or one for echoes."""

    def __init__(
        self,
        loop: NetworkLoop,
        made: socket.socket,
        received: Callable[[bytes, bytes, int], None],
        bounced: Callable[[bytes, int, Problem], None] | None = None,
    ) -> None:
        self._loop = loop
        self._socket = made
        self._received = received
        self._bounced = bounced
        six = made.family == socket.AF_INET6
        level, option, discover = (
            (socket.IPPROTO_IPV6, IPV6_RECVERR, IPV6_MTU_DISCOVER)
            if six
            else (socket.IPPROTO_IP, IP_RECVERR, IP_MTU_DISCOVER)
        )
        with suppress(OSError):
            made.setsockopt(level, discover, FRAGMENT)
            made.setsockopt(level, option, 1)
        loop.on_readable(made.fileno(), self._readable)

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            if self._socket.fileno() < 0:
                return  # closed by what it received
            try:
                data, where = self._socket.recvfrom(LONGEST)
            except BlockingIOError:
                self._errors()
                return
            except OSError:
                self._errors()
                continue
            self._received(data, packed(where[0]), where[1])

    def _errors(self) -> None:
        """Take what the host knows of datagrams that did not arrive."""
        for _ in range(AT_ONCE):
            try:
                _, notes, _, where = self._socket.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for _, kind, note in notes:
                if kind in (IP_RECVERR, IPV6_RECVERR) and len(note) >= EXTENDED_ERROR.size and where and self._bounced:
                    self._bounced(packed(where[0]), where[1], problem_of(EXTENDED_ERROR.unpack_from(note)[0]))
            if self._socket.fileno() < 0:
                return

    def send(self, data: Buffer, address: bytes, port: int) -> Problem | None:
        """Send one datagram; None where that went well, or nobody can tell."""
        for _ in range(2):  # an error of an earlier datagram may be told here
            try:
                self._socket.sendto(data, socket.MSG_NOSIGNAL, (unpacked(address), port))
                return None
            except BlockingIOError:
                return None  # the host is busy: datagrams may be lost
            except (OSError, OverflowError) as error:
                problem = problem_of(getattr(error, "errno", None))
        return problem

    def close(self) -> None:
        """Let go of it."""
        if self._socket.fileno() >= 0:
            self._loop.on_readable(self._socket.fileno(), None)
            self._socket.close()


def packed(address: str) -> bytes:
    """The bytes of an address as sockets give it."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return socket.inet_aton(address)


def unpacked(address: bytes) -> str:
    """An address as sockets take it."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


class HostNetwork:
    """The host's network, as `virtual.network.outside.Outside` wants it."""

    def __init__(self, loop: NetworkLoop) -> None:
        self._loop = loop

    def connect(self, address: bytes, port: int, user: StreamUser) -> StreamSocket | Problem:
        """Begin a connection; `user` hears what becomes of it."""
        try:
            made = socket.socket(FAMILIES[4 if len(address) == 4 else 6], STREAM)
        except OSError as error:
            return problem_of(error.errno)
        number = made.connect_ex((unpacked(address), port))
        if number not in (0, errno.EINPROGRESS):
            made.close()
            return problem_of(number)
        stream = StreamSocket(self._loop, made)
        stream.begin(user)
        return stream

    def datagrams(
        self,
        version: int,
        received: Callable[[bytes, bytes, int], None],
        bounced: Callable[[bytes, int, Problem], None],
    ) -> DatagramSocket | None:
        """A UDP socket with a port of its own; None where there is none to have."""
        try:
            return DatagramSocket(self._loop, socket.socket(FAMILIES[version], DATAGRAM), received, bounced)
        except OSError:
            return None

    def echoes(self, version: int, received: Callable[[bytes, bytes, int], None]) -> DatagramSocket | None:
        """A ping socket, which the host permits to the groups in net.ipv4.ping_group_range; None where it does not."""
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        try:
            return DatagramSocket(self._loop, socket.socket(FAMILIES[version], DATAGRAM, protocol), received)
        except OSError:
            return None

    def random(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        return os.urandom(size)
