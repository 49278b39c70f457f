"""The tiny virtio driver on PCI: it finds everything as a guest does, through configuration space and a bus."""

from guesthouse.virtual.devices.pci.host import PciHost, Unclaimed
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from guesthouse.virtual.machine.bus import Bus, Region
from tests.virtual.devices.fakes import Line
from tests.virtual.devices.virtio.driver import SIZE, Driver

ECAM = 0x3000_0000
WINDOW, WINDOW_END = 0x4000_0000, 0x8000_0000
DEVICE = 6
MEMORY, MASTER, INTX_DISABLE = 2, 4, 0x400


def bus_with(host: PciHost) -> Bus:
    return Bus(
        [
            Region(ECAM, ECAM + 0x1000_0000, host, "pci"),
            Region(WINDOW, WINDOW_END, Unclaimed(), "window", host.find),
        ]
    )


class PciDriver(Driver):
    """Drives one virtio device on PCI; `structures` has where each structure lies, by its type."""

    base = WINDOW + 0x10_0000

    def connect(self, function: Function) -> None:
        self.lines = [Line() for _ in range(4)]
        self.irq = self.lines[DEVICE % 4]
        self.host = PciHost(self.lines)
        self.pci = VirtioPci(function, self.host.line(DEVICE), self.ram)
        self.host.attach(DEVICE, "function", self.pci)
        self.bus = bus_with(self.host)
        self.find_structures()

    def config(self, register: int, size: int = 4) -> int:
        return self.bus.read(ECAM + (DEVICE << 15) + register, size)

    def configure(self, register: int, value: int, size: int = 4) -> None:
        self.bus.write(ECAM + (DEVICE << 15) + register, size, value)

    def find_structures(self) -> None:
        assert self.config(0, 2) == 0x1AF4 and self.config(6, 2) & 0x10
        self.configure(0x10, 0xFFFF_FFFF)
        self.configure(0x14, 0xFFFF_FFFF)
        self.bar_size = (~(self.config(0x10) & ~0xF) & 0xFFFF_FFFF) + 1
        assert self.config(0x10) & 0xF == 4 and self.config(0x14) == 0xFFFF_FFFF
        self.configure(0x10, self.base & 0xFFFF_FFFF)
        self.configure(0x14, self.base >> 32)
        self.configure(4, MEMORY | MASTER, 2)
        self.structures: dict[int, int] = {}
        self.lengths: dict[int, int] = {}
        self.capabilities: dict[int, int] = {}
        at = self.config(0x34, 1)
        while at:
            assert self.config(at, 1) == 9
            kind = self.config(at + 3, 1)
            self.capabilities[kind] = at
            self.structures[kind] = self.base + self.config(at + 8)
            self.lengths[kind] = self.config(at + 12)
            at = self.config(at + 1, 1)
        self.notify_stride = self.config(self.capabilities[2] + 16)

    def common(self, register: int, size: int = 4) -> int:
        assert register + size <= self.lengths[1]
        return self.bus.read(self.structures[1] + register, size)

    def set_common(self, register: int, value: int, size: int = 4) -> None:
        self.bus.write(self.structures[1] + register, size, value)

    def start(self) -> None:
        for status in (0, 1, 3):
            self.set_common(20, status, 1)
        for half in range(2):
            self.set_common(8, half)
            self.set_common(12, self.features >> 32 * half & 0xFFFF_FFFF)
        self.set_common(20, 11, 1)
        assert self.common(20, 1) == 11, "features refused"
        assert self.common(18, 2) == self.queues
        for queue in range(self.queues):
            self.set_common(22, queue, 2)
            assert self.common(24, 2) >= SIZE
            self.set_common(24, SIZE, 2)
            for register, area in ((32, 0), (40, 0x400), (48, 0x800)):
                address = self.area(queue, area)
                self.set_common(register, address & 0xFFFF_FFFF)
                self.set_common(register + 4, address >> 32)
            assert self.common(28, 2) == 0
            self.set_common(28, 1, 2)
            assert self.common(28, 2) == 1
        self.set_common(20, 15, 1)

    def kick(self, queue: int) -> None:
        self.set_common(22, queue, 2)
        place = self.structures[2] + self.common(30, 2) * self.notify_stride
        self.bus.write(place, 2, queue)

    def acknowledge(self) -> int:
        causes = self.bus.read(self.structures[3], 1)
        assert not self.irq.level
        return causes

    @property
    def broken(self) -> bool:
        return bool(self.common(20, 1) & 0x40)
