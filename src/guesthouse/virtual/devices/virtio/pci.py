"""The virtio transport over PCI (section 4.1), modern only: one BAR with all registers, interrupts over INTA#.

A device uses memory only while the driver lets it (bus mastering); what is under way when that ends is dropped.

Not modelled: the transitional interface, MSI-X (no interrupt controller of the board takes messages), notification
data, shared memory regions, the administration queue.
"""

from typing import ClassVar

from guesthouse.virtual.devices.pci.function import CONFIGURATION, PciFunction
from guesthouse.virtual.devices.pci.header import Header
from guesthouse.virtual.devices.state import Register, State, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.pci_capabilities import (
    BAR_SIZE,
    COMMON,
    DEVICE,
    ISR,
    NOTIFY,
    NOTIFY_STRIDE,
    VirtioHeader,
    identity,
)
from guesthouse.virtual.devices.virtio.transport import AREAS, WORD, VirtioTransport
from guesthouse.virtual.devices.wires import Irq, Memory

NO_VECTOR = 0xFFFF
LONG = (1 << 64) - 1
MOST_QUEUES = (BAR_SIZE - NOTIFY) // NOTIFY_STRIDE


class PciFront(VirtioTransport):
    """The registers of the BAR: common configuration (4.1.4.3), interrupt status (4.1.4.5), notification (4.1.4.4)."""

    generation_mask: ClassVar[int] = 0xFF
    state = (
        *VirtioTransport.state,
        State("interrupt_status", 0, "bit 0 buffers given back, bit 1 configuration changed"),
    )

    def __init__(self, function: Function, header: Header, memory: Memory) -> None:
        self.header = header
        self.connect(function, header, memory)
        self.registers = (
            Register("feature_select", 0, writable=WORD, doc="which 32 bits of the offered features show"),
            Register("features", 4, stored=False, doc="offered features, the selected 32 bits"),
            Register("driver_select", 8, writable=WORD, doc="which 32 bits of the accepted features show"),
            Register("accept", 12, writable=WORD, stored=False, doc="accepted features, the selected 32 bits"),
            Register("config_vector", 16, 2, "65535: no message for a change of configuration", reset=NO_VECTOR),
            Register("num_queues", 18, 2, "queues", stored=False),
            Register("status", 20, 1, "device status (section 2.1); 0 resets", writable=0xFF, effects=True),
            Register("config_generation", 21, 1, "changes with the configuration space"),
            Register("queue_select", 22, 2, "the queue the following are about", writable=0xFFFF),
            Register("queue_size", 24, 2, "its size; the largest until it is set", writable=0xFFFF, stored=False),
            Register("queue_vector", 26, 2, "65535: no message for its interrupts", reset=NO_VECTOR),
            Register("queue_ready", 28, 2, "1 while the device may use the queue", writable=1, stored=False),
            Register("queue_notify_off", 30, 2, "its number among the notification registers", stored=False),
            Register(
                "area", 32, 8, count=3, writable=LONG, stored=False,
                doc="addresses of the selected queue's descriptor, driver and device areas",
            ),
            Register("queue_notify_data", 56, 2, "0"),
            Register("queue_reset", 58, 2, "1 resets the selected queue", writable=1, stored=False, effects=True),
            Register("admin_queue_index", 60, 2, "0"),
            Register("admin_queue_num", 62, 2, "0: there is no administration queue"),
            Register("isr", ISR, 1, "why the device interrupts; reading clears it", stored=False, effects=True),
            Register(
                "doorbell", NOTIFY, 2, count=len(self.queues), stride=NOTIFY_STRIDE, writable=0xFFFF, stored=False,
                effects=True, doc="a queue has new requests; any value",
            ),
        )  # fmt: skip
        self.start()

    @property
    def running(self) -> bool:
        """Whether the driver is ready, nothing has gone wrong, and memory may be used."""
        return super().running and self.header.master

    def mastered(self) -> None:
        """Memory may be used from now on, or not any more."""
        if self.header.master:
            self.look_at_all()
        else:
            self.function.quiesce()

    def on_read_accept(self) -> int:
        """Answer the selected half of the accepted features."""
        return self.driver_features >> 32 * self.driver_select & WORD if self.driver_select < 2 else 0

    def on_read_num_queues(self) -> int:
        """Answer the number of queues."""
        return len(self.queues)

    def on_read_queue_size(self) -> int:
        """Answer the selected queue's size, 0 where there is no such queue."""
        queue = self.selected()
        return (queue.size or queue.max_size) if queue else 0

    def on_write_queue_ready(self, value: int) -> None:
        """Hand over the selected queue; it is taken back by a reset only."""
        queue = self.selected()
        if queue and value:
            queue.size = queue.size or queue.max_size
            self.hand_over(queue)

    def on_read_queue_notify_off(self) -> int:
        """Answer the selected queue's number among the notification registers."""
        return self.queue_select if self.selected() else 0

    def on_read_area(self, index: int) -> int:
        """Answer an address of the selected queue."""
        queue = self.selected()
        address: int = getattr(queue, AREAS[index]) if queue else 0
        return address

    def on_write_area(self, index: int, value: int) -> None:
        """Set an address of the selected queue."""
        queue = self.selected()
        if queue and not queue.ready:
            setattr(queue, AREAS[index], value)

    def on_read_isr(self) -> int:
        """Answer the causes of the interrupt, which ends."""
        causes, self.interrupt_status = self.interrupt_status, 0
        self.resume()
        return causes

    def on_write_doorbell(self, index: int, value: int) -> None:
        """Let the device type look at a queue."""
        self.notified(index)


class VirtioPci(PciFunction):
    """One virtio device type as a PCI function."""

    def __init__(self, function: Function, irq: Irq, memory: Memory) -> None:
        if len(function.queue_sizes) > MOST_QUEUES:
            raise ValueError(f"{len(function.queue_sizes)} queues have no room in the notification registers")
        self.function = function
        self.header = VirtioHeader(irq, identity(function.device_id), len(function.queue_sizes), self)
        self.transport = PciFront(function, self.header, memory)
        self.header.mastered = self.transport.mastered
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        """The registers, the device type's configuration space among them, and the header."""
        return [(COMMON, self.transport), (DEVICE, self.function), (CONFIGURATION, self.header)]

    def parts(self) -> dict[str, Stateful]:
        """What a reset by the driver resets, and the header, which that leaves alone."""
        return {"transport": self.transport, "header": self.header}
