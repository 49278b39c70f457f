"""The virtio socket device (section 5.10): packets between the guest and a backend, which knows what they mean.

A packet to the guest is cut into as many as the guest's buffers ask for. Connections do not outlive a loaded state: the
guest hears of it by the event that its transport has been reset.

Not modelled: SEQPACKET sockets.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import ClassVar

from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import Chain, RingError
from guesthouse.virtual.devices.wires import SocketBackend

RECEIVE, TRANSMIT, EVENT = 0, 1, 2
F_STREAM = 0
QUEUE_SIZE = 128
CID = 3
"""The guest's address: the first that is not reserved (section 5.10.4)."""
HEADER = 44
LENGTH = struct.Struct("<I")
LENGTH_OFFSET = 24
LONGEST = HEADER + (128 << 10)
"""Bytes taken of a packet; no connection may have more under way, and one that is cut short is seen to be wrong."""
TRANSPORT_RESET = struct.pack("<I", 0)


class VirtioVsock(Function):
    """Sockets between the guest and the host."""

    device_id: ClassVar[int] = 19
    queue_sizes = (QUEUE_SIZE,) * 3
    features = 1 << F_STREAM
    registers = (Register("guest_cid", 0, 8, "the guest's address", reset=CID),)

    def __init__(self, backend: SocketBackend | None) -> None:
        self.backend = backend
        self._waiting: deque[bytes] = deque()
        """Packets that the guest has had no room for."""
        self._interrupted = False
        """The guest is to be told that its connections are gone."""
        if backend is not None:
            backend.attach(self)
        self.start()

    def resume(self) -> None:
        """Forget all connections: a driver that starts has none, and those of a loaded state were another machine's."""
        self._waiting.clear()
        self._interrupted = self.transport.running
        if self.backend is not None:
            self.backend.reset()

    def notify(self, queue: int) -> None:
        """Take what the guest sends, or use the room that it gives."""
        if queue == TRANSMIT:
            self._transmit()
        elif queue == RECEIVE:
            self._deliver()
        else:
            self._tell()

    def _transmit(self) -> None:
        backend = self.backend
        self.transport.serve(TRANSMIT, self._forward, None if backend is None else lambda: backend.ready)

    def _forward(self, chain: Chain) -> int:
        packet = chain.read(self.transport.memory, 0, min(chain.to_read, LONGEST))
        if self.backend is not None and len(packet) >= HEADER:
            self.backend.send(packet)
        return 0

    # To the guest.

    @property
    def hungry(self) -> bool:
        """Whether the guest has everything that came."""
        return not self._waiting

    def receive(self, packet: bytes) -> None:
        """Take a packet for the guest."""
        self._waiting.append(packet)

    def proceed(self) -> None:
        """Hand over what has come, and send on."""
        self._deliver()
        self._transmit()
        self._tell()

    def _deliver(self) -> None:
        if self._waiting:
            self.transport.serve(RECEIVE, self._fill, lambda: bool(self._waiting))
        if not self._waiting and self.backend is not None:
            self.backend.more()

    def _fill(self, chain: Chain) -> int:
        """One packet into one buffer: the first, or as much of it as there is room for."""
        packet, room = self._waiting[0], chain.to_write
        if room < min(len(packet), HEADER + 1):
            raise RingError("a receive buffer without room for a packet")
        if len(packet) > room:
            self._waiting[0] = _with_data(packet, packet[room:])
            packet = _with_data(packet, packet[HEADER:room])
        else:
            self._waiting.popleft()
        chain.write(self.transport.memory, 0, packet)
        return len(packet)

    def fail(self) -> None:
        """The backend is gone: whatever the guest sends leads nowhere, and its connections are over."""
        self.backend = None
        self._waiting.clear()
        self._interrupted = True
        self.proceed()

    def _tell(self) -> None:
        """Have the guest close its connections, once it has a buffer for the event."""
        if self._interrupted:
            self.transport.serve(EVENT, self._interrupt, lambda: self._interrupted)

    def _interrupt(self, chain: Chain) -> int:
        if chain.to_write < len(TRANSPORT_RESET):
            raise RingError("an event buffer without room")
        chain.write(self.transport.memory, 0, TRANSPORT_RESET)
        self._interrupted = False
        return len(TRANSPORT_RESET)


def _with_data(packet: bytes, data: bytes) -> bytes:
    """A packet like this one that holds other data."""
    return packet[:LENGTH_OFFSET] + LENGTH.pack(len(data)) + packet[LENGTH_OFFSET + LENGTH.size : HEADER] + data
