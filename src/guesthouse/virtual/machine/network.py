"""The machine's end of a network: packets between the card and a wire, in the machine's own thread."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from guesthouse.host.network_wires import HEADER_SIZE, Wire
from guesthouse.virtual.devices.wires import NetBackend, NetDevice
from guesthouse.virtual.machine.inbox import Inbox

AT_ONCE = 64
"""Packets taken in before the guest runs on."""

Look = Callable[[memoryview | bytes, bool], None]
"""Sees a frame, and whether the guest has sent it; the frame is good until it returns."""


class Cable(NetBackend, Protocol):
    """What a machine's network card may be plugged into."""

    look: Look | None

    def connect(self, inbox: Inbox) -> None:
        """Take the place that calls are posted to."""

    def close(self) -> None:
        """The machine is gone."""


class NetworkLink:
    """A card's network at the other end of a wire.

    All but the watching is done by the machine's thread. A network that has ended is a cable pulled out.
    """

    def __init__(self, wire: Wire, mac: bytes, mtu: int = 1500) -> None:
        """`wire` is the machine's from now on."""
        self.mac, self.mtu, self.offload = mac, mtu, wire.offload
        self.look: Look | None = None
        self._wire = wire
        self._held: memoryview | None = None
        """A packet that the guest had no room for."""
        self._device: NetDevice | None = None
        self._inbox: Inbox | None = None
        self._full = False
        self._told = wire.up
        self._epoll = select.epoll()
        self._watched = -1
        """The wire's descriptor as it is watched."""
        self._bell, self._rung = socket.socketpair()
        self._epoll.register(self._rung.fileno(), select.EPOLLIN)
        self._thread = threading.Thread(target=self._watch, name="network", daemon=True)
        self._watching = False
        """The thread runs: not before the guest does, as the process may still have to confine itself."""

    @property
    def up(self) -> bool:
        """Whether there is somebody at the other end."""
        return self._wire.up

    def connect(self, inbox: Inbox) -> None:
        """Take the place that calls are posted to."""
        self._inbox = inbox

    # What the card calls.

    def attach(self, device: NetDevice) -> None:
        """Take the card."""
        self._device = device

    def send(self, packet: Sequence[memoryview]) -> bool:
        """Take a packet; false where the wire is full."""
        if not self._wire.send(packet):
            self._full = True
            self._rearm()
            return False
        if self.look is not None:
            self.look(memoryview(b"".join(packet))[HEADER_SIZE:], True)
        if self._wire.clogged or not self._wire.up:
            self._rearm()
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
            packet = packet or self._receive()
            if packet is None or not device.deliver(packet):
                self._held = packet
                break
            packet = None
        self._rearm()
        device.settle()

    def _receive(self) -> memoryview | None:
        """The next packet; None where there is none."""
        packet = self._wire.receive()
        self._tell()
        if packet is not None and self.look is not None:
            self.look(packet[HEADER_SIZE:], False)
        return packet

    def _tell(self) -> None:
        """Have the guest know whether its cable is plugged in."""
        if self._wire.up != self._told and self._device is not None:
            self._told = self._wire.up
            self._device.set_link(self._told)

    def _rearm(self) -> None:
        """Have the thread wait for what is wanted now."""
        self._tell()
        events = select.EPOLLONESHOT | (select.EPOLLIN if self._held is None else 0)
        events |= select.EPOLLOUT if self._full or self._wire.clogged else 0
        descriptor = -1 if self._wire.ended else self._wire.descriptor
        if self._watched not in (-1, descriptor):
            with suppress(OSError):  # closed by now
                self._epoll.unregister(self._watched)
        self._watched = descriptor
        if descriptor >= 0:
            try:
                self._epoll.modify(descriptor, events)
            except FileNotFoundError:
                self._epoll.register(descriptor, events)
        if not self._watching:
            self._watching = True
            self._thread.start()

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
        self._wire.push()
        if self._device is not None:
            self._device.send_all()
        self._take()

    def close(self) -> None:
        """Pull the cable, and give the wire back."""
        self._bell.close()
        if self._watching:
            self._thread.join()
        self._epoll.close()
        self._rung.close()
        self._wire.close()
