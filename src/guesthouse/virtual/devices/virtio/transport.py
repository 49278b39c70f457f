"""What all virtio transports share: features, status, queues, and how requests come and go (chapters 2 and 3).

A transport proper (`mmio.py`, `pci.py`) adds the registers through which a driver reaches this. Hooks that are named
alike in both fronts are here.
"""

from collections.abc import Callable
from typing import ClassVar

from guesthouse.virtual.devices.state import State, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.packed import PackedLayout
from guesthouse.virtual.devices.virtio.queue import Chain, Handler, Layout, Queue, RingError
from guesthouse.virtual.devices.virtio.split import SplitLayout
from guesthouse.virtual.devices.wires import BadAddress, Irq, Memory

WORD = 0xFFFF_FFFF

STATUS_DRIVER_OK, STATUS_FEATURES_OK, STATUS_NEEDS_RESET = 4, 8, 0x40
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET = 28, 29, 32, 34, 40
OFFERED = 1 << INDIRECT_DESC | 1 << EVENT_IDX | 1 << VERSION_1 | 1 << RING_PACKED | 1 << RING_RESET
USED_BUFFER, CONFIG_CHANGE = 1, 2
MAX_REQUESTS = 1 << 16
"""Requests done at one go, so that a guest which keeps adding some on another hart can't hold the machine."""
AREAS = ("descriptors", "driver", "device")


class VirtioTransport(Stateful):
    """One device type behind some front of registers; the front declares the fields named below."""

    feature_select: int
    driver_select: int
    queue_select: int
    driver_features: int
    interrupt_status: int
    status: int
    config_generation: int

    generation_mask: ClassVar[int] = WORD
    """As wide as the front's register."""
    state: tuple[State, ...] = (State("driver_features", 0, "features the driver has accepted"),)

    def connect(self, function: Function, irq: Irq, memory: Memory) -> None:
        """Take the device type and its wires; before `start`."""
        self.function = function
        self.irq = irq
        self.memory = memory
        self.offered = function.features | OFFERED if function.device_id else 0
        self.queues = [Queue(size) for size in function.queue_sizes]
        self.layouts: tuple[Layout, Layout] = (SplitLayout(), PackedLayout())
        function.transport = self

    def parts(self) -> dict[str, Stateful]:
        """The device type and its queues."""
        return {"function": self.function, **{f"queue{index}": queue for index, queue in enumerate(self.queues)}}

    # What the device type calls.

    def accepted(self, feature: int) -> bool:
        """Tell whether the driver has accepted a feature bit."""
        return bool(self.driver_features >> feature & 1)

    @property
    def running(self) -> bool:
        """Whether the driver is ready and nothing has gone wrong."""
        return self.status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET) == STATUS_DRIVER_OK

    @property
    def layout(self) -> Layout:
        """How the driver lays out the rings."""
        return self.layouts[self.accepted(RING_PACKED)]

    def serve(self, queue: int, handler: Handler, wanted: Callable[[], bool] | None = None) -> None:
        """Do the requests waiting in a queue, one after the other."""
        self.accept(queue, lambda chain: self.give(queue, chain, handler(chain)), wanted)

    def accept(self, queue: int, begin: Callable[[Chain], None], wanted: Callable[[], bool] | None = None) -> None:
        """Take the requests waiting in a queue and begin each; a broken one sets DEVICE_NEEDS_RESET."""
        try:
            for _ in range(MAX_REQUESTS):
                chain = self.take(queue) if wanted is None or wanted() else None
                if chain is None:
                    break
                begin(chain)
            else:
                self.layout.rearm(self.queues[queue], self.memory)
        except (RingError, BadAddress):
            self.break_off()
        self.settle(queue)

    def take(self, queue: int) -> Chain | None:
        """Take the next waiting request; where there is none, the driver notifies of the one that comes."""
        ring = self.queues[queue]
        if not (self.running and ring.ready):
            return None
        layout, memory = self.layout, self.memory
        try:
            chain = layout.pop(ring, memory)
            if chain is None and not layout.rearm(ring, memory):
                chain = layout.pop(ring, memory)
        except (RingError, BadAddress):
            self.break_off()
            return None
        if chain is not None:
            chain.epoch = ring.epoch
        return chain

    def untake(self, queue: int, chain: Chain) -> None:
        """Put back the request that was taken last, as if it had not been."""
        if chain.epoch == self.queues[queue].epoch:
            self.layout.unpop(self.queues[queue], chain)

    def give(self, queue: int, chain: Chain, written: int) -> None:
        """Give a request back, in any order; one from before the queue's last reset is dropped."""
        ring = self.queues[queue]
        if chain.epoch != ring.epoch or not self.running:
            return
        try:
            self.layout.push(ring, self.memory, chain, written)
        except BadAddress:
            self.break_off()

    def settle(self, queue: int) -> None:
        """Interrupt the driver where it asked to hear of the requests given back since the last call."""
        ring = self.queues[queue]
        if not (self.running and ring.ready):
            return
        try:
            if self.layout.wants_interrupt(ring, self.memory):
                self._interrupt(USED_BUFFER)
        except BadAddress:
            self.break_off()

    def break_off(self) -> None:
        """The driver has broken the rules: nothing works until it resets the device (section 2.1.2)."""
        self.status |= STATUS_NEEDS_RESET
        self._interrupt(CONFIG_CHANGE)

    def config_changed(self) -> None:
        """Tell the driver that the configuration space has changed."""
        self.config_generation = self.config_generation + 1 & self.generation_mask
        if self.status & STATUS_DRIVER_OK:
            self._interrupt(CONFIG_CHANGE)

    def _interrupt(self, cause: int) -> None:
        self.interrupt_status |= cause
        self.resume()

    def resume(self) -> None:
        """Drive the interrupt line."""
        self.irq.set(bool(self.interrupt_status))

    # Features and status (sections 2.1, 2.2, 3.1.1).

    def on_read_features(self) -> int:
        """Answer the selected half of the offered features."""
        return self.offered >> 32 * self.feature_select & WORD if self.feature_select < 2 else 0

    def on_write_accept(self, value: int) -> None:
        """Take the selected half of the accepted features, unless they are settled."""
        if self.driver_select < 2 and not self.status & STATUS_FEATURES_OK:
            shift = 32 * self.driver_select
            self.driver_features = self.driver_features & ~(WORD << shift) | value << shift

    def on_write_status(self, value: int) -> None:
        """Move on in the start-up; bits are only ever added, and FEATURES_OK only for features we can do."""
        if value == 0:
            self.reset()
            return
        new = self.status | value & ~STATUS_NEEDS_RESET
        settled = self.accepted(VERSION_1) and not self.driver_features & ~self.offered
        if not settled:
            new &= ~STATUS_FEATURES_OK
        if not new & STATUS_FEATURES_OK:
            new &= ~STATUS_DRIVER_OK
        started = new & ~self.status & STATUS_DRIVER_OK
        self.status = new
        if started and self.running:
            self.look_at_all()

    def look_at_all(self) -> None:
        """Let the device type look at every queue: requests may wait since before it could."""
        for index in range(len(self.queues)):
            self.function.notify(index)

    # Queues: the registers are about the one that is selected.

    def selected(self) -> Queue | None:
        """The selected queue, None where there is none of that number."""
        return self.queues[self.queue_select] if self.queue_select < len(self.queues) else None

    def on_read_queue_ready(self) -> int:
        """Answer whether the selected queue is in use."""
        queue = self.selected()
        return int(queue.ready) if queue else 0

    def on_write_queue_size(self, value: int) -> None:
        """Set the selected queue's size."""
        queue = self.selected()
        if queue and not queue.ready:
            queue.size = value

    def hand_over(self, queue: Queue) -> None:
        """Begin to use a queue, unless its size or addresses are impossible."""
        fits = queue.size <= queue.max_size and self.layout.valid_size(queue.size) and self.layout.aligned(queue)
        if fits and not queue.ready and self.status & STATUS_FEATURES_OK:
            queue.events, queue.indirect = self.accepted(EVENT_IDX), self.accepted(INDIRECT_DESC)
            queue.available = queue.used = queue.unsignalled = 0
            queue.available_wrap = queue.used_wrap = queue.ready = True

    def notified(self, index: int) -> None:
        """Let the device type look at a queue, of any number that a driver may write."""
        if index < len(self.queues) and self.running and self.queues[index].ready:
            self.function.notify(index)

    def on_write_queue_reset(self, value: int) -> None:
        """Reset the selected queue (section 2.6.1), which is done at once."""
        queue = self.selected()
        if queue and value and self.accepted(RING_RESET):
            self.function.quiesce()
            queue.reset()
