"""Ends of networks on this host, for a guest's card: whole packets out and in, and nothing that waits.

A packet is a virtio header of twelve bytes and an Ethernet frame. All is opened before a process confines itself; what
is done later is reading, writing, and taking in a peer. Sources: packet(7), the kernel's tuntap document, unix(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from guesthouse.errors import UserError

HEADER_SIZE = 12
PLAIN = bytes(10) + b"\1\0"
"""The header of a frame that is whole."""
LONGEST_FRAME = 65550
LONGEST = HEADER_SIZE + LONGEST_FRAME
MOST_PARTS = 1000
"""Of what is written at once (IOV_MAX is 1024)."""

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CHECKSUMS, TSO4, TSO6, TSO_ECN = 1, 2, 4, 8
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.EBADFD, errno.ENODEV)
LENGTH = struct.Struct(">I")
PIECE = 1 << 18
"""Bytes of a stream that are read at once, more than any frame."""


class Wire(Protocol):
    """Where packets go and come from; used by one thread."""

    offload: bool
    """Whether packets may lack checksums, and be segments of up to 64 KiB."""

    @property
    def descriptor(self) -> int:
        """What is to be watched for input and room; may change with every call of `receive`."""

    @property
    def up(self) -> bool:
        """Whether there is somebody at the other end, or may be."""

    @property
    def ended(self) -> bool:
        """Whether nobody will ever be there again."""

    @property
    def clogged(self) -> bool:
        """Whether part of a packet still waits for room."""

    def send(self, packet: Sequence[memoryview]) -> bool:
        """Take a packet, in parts, or lose it; false where there is no room for it now."""

    def receive(self) -> memoryview | None:
        """The next packet, good until the next call; None where there is none now."""

    def push(self) -> None:
        """Write what waits for room."""

    def close(self) -> None:
        """Give the descriptors back."""


class PacketWire:
    """A descriptor of which each write and each read is one packet: a SOCK_SEQPACKET socket, or a tap."""

    clogged = False

    def __init__(self, descriptor: int, offload: bool = True) -> None:
        """`descriptor` is this object's from now on."""
        os.set_blocking(descriptor, False)
        self.descriptor, self.offload = descriptor, offload
        self.ended = False
        self._buffer = memoryview(bytearray(LONGEST))

    @property
    def up(self) -> bool:
        """Whether the other end has not gone."""
        return not self.ended

    def send(self, packet: Sequence[memoryview]) -> bool:
        """See `Wire`."""
        try:
            # As files are written and read, which is all that a confined process may do.
            os.writev(self.descriptor, packet if len(packet) <= MOST_PARTS else [b"".join(packet)])
        except BlockingIOError:
            return False
        except OSError as error:  # of a tap, also: it is not up, or the frame is malformed
            self.ended = self.ended or error.errno in GONE
        return True

    def receive(self) -> memoryview | None:
        """See `Wire`."""
        try:
            count = os.readv(self.descriptor, [self._buffer])
        except BlockingIOError:
            return None
        except OSError as error:
            self.ended = error.errno in GONE
            return None
        if not count:
            self.ended = True
            return None
        return self._buffer[:count]

    def push(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """See `Wire`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class StreamWire:
    """A stream socket that carries frames, each behind its length as four bytes, highest first.

    One that listens serves one peer after the other; until there is one, the cable is out.
    """

    offload = False

    def __init__(self, connected: socket.socket | None, listening: socket.socket | None = None) -> None:
        """The sockets are this object's from now on."""
        self._peer, self._listening = connected, listening
        self.ended = False
        self._out = bytearray()
        self._buffer = bytearray(2 * PIECE)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        for made in (connected, listening):
            if made is not None:
                made.setblocking(False)

    @property
    def descriptor(self) -> int:
        """See `Wire`."""
        made = self._peer or self._listening
        return made.fileno() if made is not None else -1

    @property
    def up(self) -> bool:
        """Whether there is a peer."""
        return self._peer is not None and not self.ended

    @property
    def clogged(self) -> bool:
        """Whether part of a frame waits."""
        return bool(self._out)

    @property
    def listens(self) -> bool:
        """Whether it takes in peers."""
        return self._listening is not None

    def send(self, packet: Sequence[memoryview]) -> bool:
        """See `Wire`."""
        self.push()
        if self._out:
            return False
        if self._peer is None or self.ended:
            return True
        whole = b"".join(packet)
        data = memoryview(LENGTH.pack(len(whole) - HEADER_SIZE) + whole[HEADER_SIZE:])
        try:
            count = os.write(self._peer.fileno(), data)
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return True
        self._out += data[count:]
        return True

    def push(self) -> None:
        """See `Wire`."""
        if self._out and self._peer is not None:
            try:
                del self._out[: os.write(self._peer.fileno(), self._out)]
            except BlockingIOError:
                return
            except OSError:
                self._lose()

    def receive(self) -> memoryview | None:
        """See `Wire`."""
        if self._peer is None and not self._welcome():
            return None
        while True:
            if (packet := self._next()) is not None:
                return packet
            if not self.up or not self._read():
                return None

    def _next(self) -> memoryview | None:
        """The next whole frame of those that have been read; a peer that sends impossible ones is left."""
        while self._end - self._start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer, self._start)
            if length > LONGEST_FRAME:
                self._lose()
                return None
            at = self._start + LENGTH.size
            if self._end - at < length:
                return None
            self._start = at + length
            if length:
                return memoryview(PLAIN + self._buffer[at : at + length])
        return None

    def _read(self) -> bool:
        """Read on; false where nothing has come."""
        rest = self._end - self._start
        if self._start and len(self._buffer) - self._end < PIECE:
            self._view[:rest] = self._view[self._start : self._end]
            self._start, self._end = 0, rest
        assert self._peer is not None
        try:
            count = os.readv(self._peer.fileno(), [self._view[self._end : self._end + PIECE]])
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        if not count:
            self._lose()
            return False
        self._end += count
        return True

    def _welcome(self) -> bool:
        """Take in the next peer; false where there is none."""
        if self._listening is None:
            return False
        try:
            peer, _ = self._listening.accept()
        except OSError:
            return False
        flags = fcntl.fcntl(peer, fcntl.F_GETFL)
        fcntl.fcntl(peer, fcntl.F_SETFL, flags | os.O_NONBLOCK)  # a confined process may do it so only
        self._peer = peer
        return True

    def _lose(self) -> None:
        """The peer has gone."""
        if self._peer is not None and self._listening is not None:
            self._peer.close()
            self._peer = None
        self.ended = self._listening is None
        self._out.clear()
        self._start = self._end = 0

    def close(self) -> None:
        """See `Wire`."""
        for made in (self._peer, self._listening):
            if made is not None:
                made.close()
        self._peer = self._listening = None
        self.ended = True


def open_tap(name: str) -> PacketWire:
    """A tap device of this host, with offloads; raises UserError where it can't be had."""
    encoded = os.fsencode(name)
    if not 0 < len(encoded) < 16 or b"/" in encoded:
        raise UserError(f"{name!r} is no name of a tap device; it has 1 to 15 characters.")
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(
            f"/dev/net/tun can't be opened ({why.lower()}); use --network user, which needs none."
        ) from None
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", encoded, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(descriptor, TUNSETVNETHDRSZ, struct.pack("i", HEADER_SIZE))
        fcntl.ioctl(descriptor, TUNSETOFFLOAD, CHECKSUMS | TSO4 | TSO6 | TSO_ECN)
    except OSError as error:
        os.close(descriptor)
        raise UserError(_why_no_tap(name, error)) from None
    return PacketWire(descriptor)


def _why_no_tap(name: str, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return f"The tap device {name} is in use by another program; choose another one."
    if error.errno == errno.EPERM:
        return (
            f"The tap device {name} is not this user's; have an administrator make it: "
            f"ip tuntap add {name} mode tap user {os.getuid()} && ip link set {name} up."
        )
    return f"The tap device {name} can't be had ({(error.strerror or str(error)).lower()}); choose another one."


def open_stream(path: str) -> StreamWire:
    """The stream socket at a path: its client where somebody listens there, else who listens.

    Raises UserError where neither can be.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.connect(path)
        return StreamWire(made)
    except (ConnectionRefusedError, FileNotFoundError):
        made.close()
    except (OSError, ValueError) as error:
        made.close()
        raise UserError(_why_no_socket(path, error)) from None
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
            Path(path).unlink()  # of somebody who has ended
        mask = os.umask(0o077)  # whoever may open the socket is in the guest's network
        try:
            listening.bind(path)
        finally:
            os.umask(mask)
        listening.listen(1)
    except (OSError, ValueError) as error:
        listening.close()
        raise UserError(_why_no_socket(path, error)) from None
    return StreamWire(None, listening)


def _why_no_socket(path: str, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"The network's socket {path} can't be used ({why.lower()}); choose another path."
