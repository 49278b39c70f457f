"""The virtio transport over memory-mapped registers (section 4.2).

Not modelled: the legacy interface (version 1), notification data, shared memory regions (their length reads as -1).
"""

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.transport import AREAS, WORD, VirtioTransport
from guesthouse.virtual.devices.wires import Irq, Memory

CONFIG = 0x100
MAGIC = int.from_bytes(b"virt", "little")
VENDOR = int.from_bytes(b"GSTH", "little")


class VirtioMmio(VirtioTransport, Device):
    """One virtio-mmio slot with a device type in it."""

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

    def __init__(self, function: Function, irq: Irq, memory: Memory) -> None:
        self.connect(function, irq, memory)
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        """The transport's registers, and the device type's configuration space behind them."""
        return [(0, self), (CONFIG, self.function)]

    def on_read_device_id(self) -> int:
        """Answer the device type."""
        return self.function.device_id

    def on_write_interrupt_ack(self, value: int) -> None:
        """Clear the interrupt's causes."""
        self.interrupt_status &= ~value
        self.resume()

    # Queues (section 4.2.3.2).

    def on_read_queue_size_max(self) -> int:
        """Answer the selected queue's largest size."""
        queue = self.selected()
        return queue.max_size if queue else 0

    def on_read_queue_size(self) -> int:
        """Answer the selected queue's size."""
        queue = self.selected()
        return queue.size if queue else 0

    def on_write_queue_ready(self, value: int) -> None:
        """Hand over the selected queue, or take it back."""
        queue = self.selected()
        if queue is None:
            return
        if value:
            self.hand_over(queue)
        elif queue.ready:
            self.function.quiesce()
            queue.ready = False
            queue.epoch += 1

    def on_write_queue_notify(self, value: int) -> None:
        """Let the device type look at a queue."""
        self.notified(value)

    def on_read_area(self, index: int) -> int:
        """Answer half of an address of the selected queue."""
        queue = self.selected()
        return getattr(queue, AREAS[index // 2]) >> 32 * (index % 2) & WORD if queue else 0

    def on_write_area(self, index: int, value: int) -> None:
        """Set half of an address of the selected queue."""
        queue = self.selected()
        if queue and not queue.ready:
            shift = 32 * (index % 2)
            kept = getattr(queue, AREAS[index // 2]) & ~(WORD << shift)
            setattr(queue, AREAS[index // 2], kept | value << shift)
