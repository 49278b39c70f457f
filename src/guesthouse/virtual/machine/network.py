"""The machine's end of a network: packets between the card and a socket, in the machine's own thread."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Sequence

from guesthouse.virtual.devices.wires import NetDevice
from guesthouse.virtual.machine.inbox import Inbox

LONGEST = 12 + 65550
AT_ONCE = 64
"""Packets taken in before the guest runs on."""
MOST_PARTS = 1024
"""Of what is sent at once (IOV_MAX)."""

Look = Callable[[bytes, bool], None]
"""Sees a frame, and whether the guest has sent it."""


class NetworkLink:
    """A card's network behind a SOCK_SEQPACKET socket, of which each message is one packet.

    All but the watching is done by the machine's thread. A network that has ended is a cable pulled out.
    """

    def __init__(self, link: socket.socket, mac: bytes, mtu: int = 1500, offload: bool = True) -> None:
        """`link` is the machine's from now on."""
        self.mac, self.mtu, self.offload = mac, mtu, offload
        self.look: Look | None = None
        link.setblocking(False)
        self._socket = link
        self._buffer = memoryview(bytearray(LONGEST))
        self._held: memoryview | None = None
        """A packet that the guest had no room for."""
        self._device: NetDevice | None = None
        self._inbox: Inbox | None = None
        self._full = self.ended = False
        self._epoll = select.epoll()
        self._epoll.register(link.fileno(), select.EPOLLONESHOT)
        self._bell, self._rung = socket.socketpair()
        self._epoll.register(self._rung.fileno(), select.EPOLLIN)
        self._thread = threading.Thread(target=self._watch, name="network", daemon=True)
        self._watching = False
        """The thread runs: not before the guest does, as the process may still have to confine itself."""

    def connect(self, inbox: Inbox) -> None:
        """Take the place that calls are posted to."""
        self._inbox = inbox

    # What the card calls.

    def attach(self, device: NetDevice) -> None:
        """Take the card."""
        self._device = device

    def send(self, packet: Sequence[memoryview]) -> bool:
        """Take a packet; false where the socket is full."""
        if self.look is not None:
            self.look(b"".join(packet)[12:], True)
        try:
            # As files are written and read, which is all that a confined process may do.
            os.writev(self._socket.fileno(), packet if len(packet) <= MOST_PARTS else [b"".join(packet)])
        except BlockingIOError:
            self._full = True
            self._rearm()
            return False
        except OSError:
            self.ended = True
        return True

    def room(self) -> None:
        """Begin, or go on where a packet waits for room."""
        if self._held is not None or not self._watching:
            self._take()

    # What comes in.

    def _take(self) -> None:
        """Hand over what has come, as far as the guest has room."""
        device = self._device
        if device is None:
            return
        packet, self._held = self._held, None
        for _ in range(AT_ONCE):
            if packet is None:
                packet = self._receive()
            if packet is None:
                break
            if not device.deliver(packet):
                self._held = packet
                break
            packet = None
        else:
            self._rearm()
        device.settle()

    def _receive(self) -> memoryview | None:
        """The next packet; None, and the socket watched again, where there is none."""
        try:
            count = os.readv(self._socket.fileno(), [self._buffer])
        except BlockingIOError:
            self._rearm()
            return None
        except OSError:
            count = 0
        if not count:
            self.ended = True
            return None
        if self.look is not None:
            self.look(bytes(self._buffer[12:count]), False)
        return self._buffer[:count]

    def _rearm(self) -> None:
        events = select.EPOLLIN if self._held is None else 0
        events |= select.EPOLLOUT if self._full else 0
        if not self._watching:
            self._watching = True
            self._thread.start()
        if not self.ended:
            self._epoll.modify(self._socket.fileno(), events | select.EPOLLONESHOT)

    def _watch(self) -> None:
        """What the thread does: has the machine's called when something comes, or there is room again."""
        assert self._inbox is not None
        while True:
            for descriptor, events in self._epoll.poll():
                if descriptor == self._rung.fileno():
                    return
                self._inbox.post(self._woken if events & select.EPOLLOUT else self._take)

    def _woken(self) -> None:
        self._full = False
        if self._device is not None:
            self._device.send_all()
        self._take()

    def close(self) -> None:
        """Pull the cable, and give the socket back."""
        self._bell.close()
        if self._watching:
            self._thread.join()
        self._epoll.close()
        self._rung.close()
        self._socket.close()
