"""A network of which the other end is Python: frames of a guest as bytes, for tests and tools."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from guesthouse.errors import UserError
from guesthouse.host.network_wires import HEADER_SIZE, LONGEST_FRAME, PLAIN
from guesthouse.virtual.devices.wires import NetDevice
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.machine.network import Look

MOST = 1024
"""Frames that may wait on their way to the guest, or for somebody who takes them."""
LEAST_FRAME = 14


class NetworkPort:
    """What a machine's card is plugged into, with Ethernet frames (no checksum at the end) as bytes.

    `put` and `get` may be called from any thread. With `on_frame` each frame of the guest goes there at once, in the
    machine's thread, and not to `get`. With `offload` the guest leaves checksums and segmentation to us: then
    all frames here have the virtio header of twelve bytes before them (VIRTIO 1.3, 5.1.6). `look` sees all frames.
    """

    def __init__(
        self,
        mac: bytes | str = "52:54:00:12:34:56",
        *,
        mtu: int = 1500,
        offload: bool = False,
        on_frame: Callable[[bytes], object] | None = None,
    ) -> None:
        """Raises UserError for what is no address of a card."""
        self.mac = bytes.fromhex(mac.replace(":", "")) if isinstance(mac, str) else bytes(mac)
        if len(self.mac) != 6 or self.mac[0] & 1:
            raise UserError(f"{mac!r} is no address of a card; write it as 52:54:00:12:34:56.")
        self.mtu, self.offload = mtu, offload
        self.look: Look | None = None
        self.up = True
        self._on_frame = on_frame
        self._device: NetDevice | None = None
        self._inbox: Inbox | None = None
        self._to_guest: deque[bytes] = deque()
        self._from_guest: deque[bytes] = deque()
        self._arrived = threading.Condition()

    # What the caller calls.

    def put(self, frame: bytes) -> bool:
        """Have the guest receive a frame; false, and the frame lost, where very many wait already."""
        head = HEADER_SIZE if self.offload else 0
        if not LEAST_FRAME <= len(frame) - head <= LONGEST_FRAME:
            raise ValueError(f"a frame has {LEAST_FRAME} to {LONGEST_FRAME} bytes, not {len(frame) - head}")
        if len(self._to_guest) >= MOST:
            return False
        self._to_guest.append(bytes(frame) if self.offload else PLAIN + frame)
        if self._inbox is not None:
            self._inbox.post(self.room)
        return True

    def get(self, timeout: float | None = 0) -> bytes | None:
        """The next frame that the guest has sent; None where none comes within `timeout` seconds (None: ever).

        Only a thread that does not run the machine may wait. Beyond 1024 frames the oldest are forgotten.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self._from_guest), timeout)
            return self._from_guest.popleft() if self._from_guest else None

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out."""
        self.up = up
        if self._inbox is not None:
            self._inbox.post(self._tell_link)

    # What the machine and its card call.

    def connect(self, inbox: Inbox) -> None:
        """Take the place that calls are posted to."""
        self._inbox = inbox

    def attach(self, device: NetDevice) -> None:
        """Take the card."""
        self._device = device

    def send(self, packet: Sequence[memoryview]) -> bool:
        """Take a packet of the guest's; there is always room."""
        whole = b"".join(packet)
        frame = whole if self.offload else whole[HEADER_SIZE:]
        if self.look is not None:
            self.look(memoryview(whole)[HEADER_SIZE:], True)
        if self._on_frame is not None:
            self._on_frame(frame)
            return True
        with self._arrived:
            self._from_guest.append(frame)
            if len(self._from_guest) > MOST:
                self._from_guest.popleft()
            self._arrived.notify_all()
        return True

    def room(self) -> None:
        """Hand over what waits, as far as the guest has room."""
        if self._device is None:
            return
        while self._to_guest and self._device.deliver(memoryview(self._to_guest[0])):
            packet = self._to_guest.popleft()
            if self.look is not None:
                self.look(memoryview(packet)[HEADER_SIZE:], False)
        self._device.settle()

    def _tell_link(self) -> None:
        if self._device is not None:
            self._device.set_link(self.up)

    def close(self) -> None:
        """The machine is gone: nothing more is taken or given."""
        self._device = self._inbox = None
