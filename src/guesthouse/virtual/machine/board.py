"""Boards as data, and how a board becomes devices on a bus."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from guesthouse.errors import UserError
from guesthouse.virtual.devices.catalogue import make
from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.function import PciFunction
from guesthouse.virtual.devices.pci.host import DEVICES, LINES, PciHost, Unclaimed
from guesthouse.virtual.devices.plic import Plic, PlicSource
from guesthouse.virtual.devices.wires import Clock, HartTimer, Irq, Memory, Power, Shortcut, Wires, Work
from guesthouse.virtual.machine.bus import Bus, Region


class Window(msgspec.Struct, frozen=True):
    """Addresses through which processors reach a PCI bus, in bytes; `space` is the binding's code of what is there."""

    name: str
    space: int
    base: int
    size: int
    bus_base: int


class Slot(msgspec.Struct, frozen=True):
    """A device's place: its name, its kind in the catalogue, addresses in bytes, interrupt number (0: none)."""

    name: str
    kind: str
    base: int
    size: int
    interrupt: int = 0
    backend: str | None = None
    """The name under which `build` finds the device's backend."""
    lines: int = 1
    """How many interrupts it has, from `interrupt` on."""
    windows: tuple[Window, ...] = ()
    """Of a PCI host bridge."""


class PciSlot(msgspec.Struct, frozen=True):
    """A function's place on the PCI bus: its name, its kind in the catalogue, its device number, its backend's name."""

    name: str
    kind: str
    device: int
    backend: str | None = None


class Board(msgspec.Struct, frozen=True):
    """A machine's devices and where its memory starts."""

    name: str
    memory_base: int
    timebase: int
    """Ticks of the time CSR a second."""
    slots: tuple[Slot, ...]
    functions: tuple[PciSlot, ...] = ()
    """What is on its PCI bus, where it has a host bridge."""


VIRTIO_BASE = 0x1000_1000
VIRTIO_SIZE = 0x1000
VIRTIO_SLOTS = 8

PCI_SLOTS = DEVICES - 1
"""Device 0 is the host bridge."""
IO_SPACE, MEMORY_SPACE, MEMORY_64_SPACE = 0x100_0000, 0x200_0000, 0x300_0000
PCI_UPPER_SIZE = 16 << 30
MEMORY_BASE = 0x8000_0000
TIMEBASE = 10_000_000
SLOTS = {"mmio": VIRTIO_SLOTS, "pci": PCI_SLOTS}
"""Places for virtio devices, by bus."""

CONSOLE = "console"
"""Name of the backend that the guest's console has."""

FIXED = (
    Slot("test", "test", 0x10_0000, 0x1000),
    Slot("rtc", "rtc", 0x10_1000, 0x1000, interrupt=11),
    Slot("clint", "clint", 0x200_0000, 0x1_0000),
    Slot("plic", "plic", 0xC00_0000, 0x60_0000),
    Slot("uart", "uart", 0x1000_0000, 0x100, interrupt=10, backend=CONSOLE),
)


def virt(functions: Sequence[tuple[str, str | None]] = (), bus: str = "mmio", memory: int = 0) -> Board:
    """Return the board with the memory map of QEMU's `virt` machine.

    `functions` fills the virtio slots in order, each as (kind, backend name), for example ("virtio-block", "disk0");
    the slots left over are empty. On the bus "pci" they are functions there instead, and no virtio slots are.
    `memory` is in bytes; the PCI bus's upper window lies behind it. Raises `UserError` for more than the bus takes.
    """
    if bus == "pci":
        return _virt_pci(functions, memory)
    if len(functions) > VIRTIO_SLOTS:
        count = len(functions)
        raise UserError(f"The board has {VIRTIO_SLOTS} virtio slots, but {count} are asked for; take some away.")
    filled = list(functions) + [("virtio-empty", None)] * (VIRTIO_SLOTS - len(functions))
    slots = tuple(
        Slot(f"virtio{index}", kind, VIRTIO_BASE + index * VIRTIO_SIZE, VIRTIO_SIZE, index + 1, backend)
        for index, (kind, backend) in enumerate(filled)
    )
    return Board("virt", MEMORY_BASE, TIMEBASE, slots=FIXED + slots)


def _virt_pci(functions: Sequence[tuple[str, str | None]], memory: int) -> Board:
    if len(functions) > PCI_SLOTS:
        count = len(functions)
        raise UserError(f"The board's PCI bus has {PCI_SLOTS} slots, but {count} are asked for; take some away.")
    upper = -(-(MEMORY_BASE + memory) // PCI_UPPER_SIZE) * PCI_UPPER_SIZE
    windows = (
        Window("pci-io", IO_SPACE, 0x300_0000, 0x1_0000, 0),
        Window("pci-memory", MEMORY_SPACE, 0x4000_0000, 0x4000_0000, 0x4000_0000),
        Window("pci-memory-64", MEMORY_64_SPACE, upper, PCI_UPPER_SIZE, upper),
    )
    bridge = Slot("pci", "pci-host", 0x3000_0000, 0x1000_0000, interrupt=32, lines=LINES, windows=windows)
    places = tuple(
        PciSlot(f"virtio{index}", kind, index + 1, backend) for index, (kind, backend) in enumerate(functions)
    )
    return Board("virt", MEMORY_BASE, TIMEBASE, slots=(*FIXED, bridge), functions=places)


class Unconnected:
    """The interrupt wire of a device that has none."""

    def set(self, level: bool) -> None:
        """Lead nowhere."""


class Devices(msgspec.Struct, frozen=True):
    """A board come alive: the devices by their slots' names, and the bus they answer on."""

    bus: Bus
    by_name: dict[str, Device]

    def __iter__(self) -> Iterator[tuple[str, Device]]:
        return iter(self.by_name.items())

    def reset(self) -> None:
        """Reset every device, the interrupt controller first, as the others drive its lines again."""
        for _, device in self:
            device.reset()

    def save(self) -> dict[str, object]:
        """Return the state of every device as plain data."""
        return {name: device.save() for name, device in self}

    def load(self, saved: Mapping[str, object]) -> None:
        """Take over what `save` returned; raises `UserError` where it is of another board."""
        for name, device in self:
            state = saved.get(name)
            if not isinstance(state, dict):
                raise UserError(f"The saved state lacks the device {name!r}; it is of another machine.")
            device.load(state)


def build(
    board: Board,
    *,
    memory: Memory,
    clock: Clock,
    power: Power,
    work: Work,
    harts: Sequence[HartTimer],
    contexts: Sequence[Irq],
    backends: Mapping[str, object],
    shortcut: Callable[[int], Shortcut] | None = None,
) -> Devices:
    """Make a board's devices and connect them.

    `contexts` are the external interrupt wires, two a hart: machine, then supervisor. `backends` has what the slots
    name; a name that is missing connects nothing. `shortcut` makes that of the console, given the device's base.
    """
    by_name: dict[str, Device] = {}
    plic: Plic | None = None
    wires = Wires(Unconnected(), memory, clock, power, work, None, tuple(harts), tuple(contexts))
    for slot in sorted(board.slots, key=lambda slot: slot.kind != "plic"):
        irq: Irq = PlicSource(plic, slot.interrupt) if plic is not None and slot.interrupt else Unconnected()
        backend = backends.get(slot.backend) if slot.backend else None
        short = shortcut(slot.base) if shortcut is not None and slot.backend == CONSOLE else None
        lines = tuple(PlicSource(plic, slot.interrupt + line) for line in range(slot.lines)) if plic is not None else ()
        device = make(slot.kind, replace(wires, irq=irq, backend=backend, shortcut=short, lines=lines))
        by_name[slot.name] = device
        if isinstance(device, Plic):
            plic = device
        elif isinstance(device, PciHost):
            by_name |= _functions(board, device, wires, backends)
    return Devices(Bus(_regions(board, by_name)), by_name)


def _functions(board: Board, host: PciHost, wires: Wires, backends: Mapping[str, object]) -> dict[str, Device]:
    """Make what is on the PCI bus, and tell the bridge of it."""
    made: dict[str, Device] = {}
    for place in board.functions:
        backend = backends.get(place.backend) if place.backend else None
        device = make(place.kind, replace(wires, irq=host.line(place.device), backend=backend, on_pci=True))
        assert isinstance(device, PciFunction)
        host.attach(place.device, place.name, device)
        made[place.name] = device
    return made


def _regions(board: Board, by_name: Mapping[str, Device]) -> Iterator[Region]:
    for slot in board.slots:
        device = by_name[slot.name]
        yield Region(slot.base, slot.base + slot.size, device, slot.name)
        for window in slot.windows:
            route = device.find if isinstance(device, PciHost) and window.space != IO_SPACE else None
            yield Region(window.base, window.base + window.size, Unclaimed(), window.name, route)
