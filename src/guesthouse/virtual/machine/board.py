"""Boards as data, and how a board becomes devices on a bus."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.devices.catalogue import make
from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.plic import Plic, PlicSource
from guesthouse.virtual.devices.wires import Clock, HartTimer, Irq, Memory, Power, Shortcut, Wires, Work
from guesthouse.virtual.machine.bus import Bus, Region


class Slot(msgspec.Struct, frozen=True):
    """A device's place: its name, its kind in the catalogue, addresses in bytes, interrupt number (0: none)."""

    name: str
    kind: str
    base: int
    size: int
    interrupt: int = 0
    backend: str | None = None
    """The name under which `build` finds the device's backend."""


class Board(msgspec.Struct, frozen=True):
    """A machine's devices and where its memory starts."""

    name: str
    memory_base: int
    timebase: int
    """Ticks of the time CSR a second."""
    slots: tuple[Slot, ...]


VIRTIO_BASE = 0x1000_1000
VIRTIO_SIZE = 0x1000
VIRTIO_SLOTS = 8

CONSOLE = "console"
"""Name of the backend that the guest's console has."""

FIXED = (
    Slot("test", "test", 0x10_0000, 0x1000),
    Slot("rtc", "rtc", 0x10_1000, 0x1000, interrupt=11),
    Slot("clint", "clint", 0x200_0000, 0x1_0000),
    Slot("plic", "plic", 0xC00_0000, 0x60_0000),
    Slot("uart", "uart", 0x1000_0000, 0x100, interrupt=10, backend=CONSOLE),
)


def virt(functions: Sequence[tuple[str, str | None]] = ()) -> Board:
    """Return the board with the memory map of QEMU's `virt` machine.

    `functions` fills the virtio slots in order, each as (kind, backend name), for example ("virtio-block", "disk0");
    the slots left over are empty. Raises `UserError` for more than eight.
    """
    if len(functions) > VIRTIO_SLOTS:
        count = len(functions)
        raise UserError(f"The board has {VIRTIO_SLOTS} virtio slots, but {count} are asked for; take some away.")
    filled = list(functions) + [("virtio-empty", None)] * (VIRTIO_SLOTS - len(functions))
    slots = tuple(
        Slot(f"virtio{index}", kind, VIRTIO_BASE + index * VIRTIO_SIZE, VIRTIO_SIZE, index + 1, backend)
        for index, (kind, backend) in enumerate(filled)
    )
    return Board("virt", memory_base=0x8000_0000, timebase=10_000_000, slots=FIXED + slots)


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
    for slot in sorted(board.slots, key=lambda slot: slot.kind != "plic"):
        irq: Irq = PlicSource(plic, slot.interrupt) if plic is not None and slot.interrupt else Unconnected()
        backend = backends.get(slot.backend) if slot.backend else None
        short = shortcut(slot.base) if shortcut is not None and slot.backend == CONSOLE else None
        device = make(slot.kind, Wires(irq, memory, clock, power, work, backend, tuple(harts), tuple(contexts), short))
        by_name[slot.name] = device
        if isinstance(device, Plic):
            plic = device
    regions = [Region(slot.base, slot.base + slot.size, by_name[slot.name], slot.name) for slot in board.slots]
    return Devices(Bus(regions), by_name)
