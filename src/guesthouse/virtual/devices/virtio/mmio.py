"""The virtio transport over memory-mapped registers (section 4.2).

Not modelled: the legacy interface (version 1), notification data, shared memory regions (their length reads as -1).
"""

from collections.abc import Callable

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, State, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.packed import PackedLayout
from guesthouse.virtual.devices.virtio.queue import Chain, Handler, Layout, Queue, RingError
from guesthouse.virtual.devices.virtio.split import SplitLayout
from guesthouse.virtual.devices.wires import BadAddress, Irq, Memory

WORD = 0xFFFF_FFFF
CONFIG = 0x100
MAGIC = int.from_bytes(b"virt", "little")
VENDOR = int.from_bytes(b"GSTH", "little")

STATUS_DRIVER_OK, STATUS_FEATURES_OK, STATUS_NEEDS_RESET = 4, 8, 0x40
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET = 28, 29, 32, 34, 40
OFFERED = 1 << INDIRECT_DESC | 1 << EVENT_IDX | 1 << VERSION_1 | 1 << RING_PACKED | 1 << RING_RESET
USED_BUFFER, CONFIG_CHANGE = 1, 2
MAX_REQUESTS = 1 << 16
"""Requests done at one go, so that a guest which keeps adding some on another hart can't hold the machine."""


AREAS = ("descriptors", "driver", "device")


class VirtioMmio(Device):
    """One virtio-mmio slot with a device type in it."""

    feature_select: int
    driver_select: int
    queue_select: int
    driver_features: int
    interrupt_status: int
    status: int
    config_generation: int

    registers = (
        Register("magic", 0x000, reset=MAGIC, doc='"virt"'),
        Register("transport_version", 0x004, reset=2, doc="2"),
        Register("device_id", 0x008, stored=False, doc="the device type, 0 for an empty slot"),
        Register("vendor", 0x00C, reset=VENDOR, doc='"GSTH"'),
        Register("features", 0x010, stored=False, doc="offered features, the selected 32 bits"),
        Register("feature_select", 0x014, writable=WORD, doc="which 32 bits of the offered features show"),
        Register("accept", 0x020, writable=WORD, stored=False, effects=True, doc="accepted features"),
        Register("driver_select", 0x024, writable=WORD, doc="which 32 bits of the accepted ones"),
        Register("queue_select", 0x030, writable=WORD, doc="the queue the following are about"),
        Register("queue_size_max", 0x034, stored=False, doc="largest size of the selected queue or 0"),
        Register("queue_size", 0x038, writable=0xFFFF, stored=False, doc="size of the selected queue"),
        Register("queue_ready", 0x044, writable=1, stored=False, doc="1 while the device may use the queue"),
        Register("queue_notify", 0x050, writable=WORD, stored=False, effects=True, doc="a queue with new requests"),
        Register("interrupt_status", 0x060, doc="bit 0 buffers given back, bit 1 configuration changed"),
        Register("interrupt_ack", 0x064, writable=WORD, stored=False, effects=True, doc="clears bits of the former"),
        Register("status", 0x070, writable=0xFF, effects=True, doc="device status (section 2.1); 0 resets"),
        Register(
            "area", 0x080, count=2, rows=3, row_stride=0x10, writable=WORD, stored=False,
            doc="addresses of the selected queue's descriptor, driver and device areas, lower and upper halves",
        ),
        Register("shm_select", 0x0AC, writable=WORD, stored=False, effects=True, doc="without effect"),
        Register("shm_length", 0x0B0, 8, reset=(1 << 64) - 1, doc="-1: there are no shared memory regions"),
        Register("shm_base", 0x0B8, 8, reset=(1 << 64) - 1, doc="-1"),
        Register("queue_reset", 0x0C0, writable=1, stored=False, effects=True, doc="1 resets the selected queue"),
        Register("config_generation", 0x0FC, doc="changes with the configuration space"),
    )  # fmt: skip
    state = (State("driver_features", 0, "features the driver has accepted"),)

    def __init__(self, function: Function, irq: Irq, memory: Memory) -> None:
        self.function = function
        self.irq = irq
        self.memory = memory
        self.offered = function.features | OFFERED if function.device_id else 0
        self.queues = [Queue(size) for size in function.queue_sizes]
        self.layouts: tuple[Layout, Layout] = (SplitLayout(), PackedLayout())
        function.transport = self
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        """The transport's registers, and the device type's configuration space behind them."""
        return [(0, self), (CONFIG, self.function)]

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
            self._break_off()
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
            self._break_off()
            return None
        if chain is not None:
            chain.epoch = ring.epoch
        return chain

    def give(self, queue: int, chain: Chain, written: int) -> None:
        """Give a request back, in any order; one from before the queue's last reset is dropped."""
        ring = self.queues[queue]
        if chain.epoch != ring.epoch or not self.running:
            return
        try:
            self.layout.push(ring, self.memory, chain, written)
        except BadAddress:
            self._break_off()

    def settle(self, queue: int) -> None:
        """Interrupt the driver where it asked to hear of the requests given back since the last call."""
        ring = self.queues[queue]
        if not (self.running and ring.ready):
            return
        try:
            if self.layout.wants_interrupt(ring, self.memory):
                self._interrupt(USED_BUFFER)
        except BadAddress:
            self._break_off()

    def _break_off(self) -> None:
        """The driver has broken the rules: nothing works until it resets the device (section 2.1.2)."""
        self.status |= STATUS_NEEDS_RESET
        self._interrupt(CONFIG_CHANGE)

    def config_changed(self) -> None:
        """Tell the driver that the configuration space has changed."""
        self.config_generation = self.config_generation + 1 & WORD
        if self.status & STATUS_DRIVER_OK:
            self._interrupt(CONFIG_CHANGE)

    def _interrupt(self, cause: int) -> None:
        self.interrupt_status |= cause
        self.resume()

    def resume(self) -> None:
        """Drive the interrupt line."""
        self.irq.set(bool(self.interrupt_status))

    # Identification and features (sections 2.2, 3.1.1).

    def on_read_device_id(self) -> int:
        """Answer the device type."""
        return self.function.device_id

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
            for index in range(len(self.queues)):
                self.function.notify(index)

    # Queues (section 4.2.3.2).

    def _queue(self) -> Queue | None:
        return self.queues[self.queue_select] if self.queue_select < len(self.queues) else None

    def on_read_queue_size_max(self) -> int:
        """Answer the selected queue's largest size."""
        queue = self._queue()
        return queue.max_size if queue else 0

    def on_read_queue_size(self) -> int:
        """Answer the selected queue's size."""
        queue = self._queue()
        return queue.size if queue else 0

    def on_write_queue_size(self, value: int) -> None:
        """Set the selected queue's size."""
        queue = self._queue()
        if queue and not queue.ready:
            queue.size = value

    def on_read_queue_ready(self) -> int:
        """Answer whether the selected queue is in use."""
        queue = self._queue()
        return int(queue.ready) if queue else 0

    def on_write_queue_ready(self, value: int) -> None:
        """Hand over the selected queue, unless its size or addresses are impossible, or take it back."""
        queue = self._queue()
        if queue is None or bool(value) == queue.ready:
            return
        if not value:
            self.function.quiesce()
            queue.ready = False
            queue.epoch += 1
            return
        fits = queue.size <= queue.max_size and self.layout.valid_size(queue.size) and self.layout.aligned(queue)
        if fits and self.status & STATUS_FEATURES_OK:
            queue.events, queue.indirect = self.accepted(EVENT_IDX), self.accepted(INDIRECT_DESC)
            queue.available = queue.used = queue.unsignalled = 0
            queue.available_wrap = queue.used_wrap = queue.ready = True

    def on_write_queue_notify(self, value: int) -> None:
        """Let the device type look at a queue."""
        if value < len(self.queues) and self.running and self.queues[value].ready:
            self.function.notify(value)

    def on_write_queue_reset(self, value: int) -> None:
        """Reset the selected queue (section 2.6.1), which is done at once."""
        queue = self._queue()
        if queue and value and self.accepted(RING_RESET):
            self.function.quiesce()
            queue.reset()

    def on_write_interrupt_ack(self, value: int) -> None:
        """Clear the interrupt's causes."""
        self.interrupt_status &= ~value
        self.resume()

    def on_read_area(self, index: int) -> int:
        """Answer half of an address of the selected queue."""
        queue = self._queue()
        return getattr(queue, AREAS[index // 2]) >> 32 * (index % 2) & WORD if queue else 0

    def on_write_area(self, index: int, value: int) -> None:
        """Set half of an address of the selected queue."""
        queue = self._queue()
        if queue and not queue.ready:
            shift = 32 * (index % 2)
            kept = getattr(queue, AREAS[index // 2]) & ~(WORD << shift)
            setattr(queue, AREAS[index // 2], kept | value << shift)
