"""The device contract: two methods, `read` and `write`, that hold for every offset, width and value.

A register is accessed as a whole: a wider access is split into the registers it covers, lowest first; a narrower one
reads its byte lanes of the register, or writes them and leaves the other lanes as they are (as zero where reading the
register has effects and nothing is stored). Offsets without a register read zero and ignore writes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from guesthouse.virtual.devices.state import Register, Stateful


class Cell(NamedTuple):
    """One byte of a register: which lane it is, and how to reach the register."""

    lane: int
    size: int
    read: Callable[[], int]
    stored: Callable[[], int]
    """What a narrower write is merged with."""
    write: Callable[[int], None]
    writable: int


class Device(Stateful):
    """A device on the bus, described by its register table and those of its banks."""

    def banks(self) -> list[tuple[int, Stateful]]:
        """The register tables mapped into this device, each with the offset it starts at."""
        return [(0, self)]

    def start(self) -> None:
        """Set the first state and build the map of the registers; the constructor's last call."""
        super().start()
        self._cells: dict[int, Cell] = {}
        for base, owner in self.banks():
            for register in owner.registers:
                self._map(base, owner, register)

    def _map(self, base: int, owner: Stateful, register: Register) -> None:
        for index, offset in enumerate(register.offsets()):
            element = None if register.count is None else index
            stored: Callable[[], int] = partial(_stored, owner, register, element)
            read: Callable[[], int] = _hook(owner, f"on_read_{register.name}", element) or stored
            store = partial(_store, owner, register, element)
            write: Callable[[int], None] = _hook(owner, f"on_write_{register.name}", element) or store
            if not register.stored and not register.effects:
                stored = read
            for lane in range(register.size):
                self._cells[base + offset + lane] = Cell(lane, register.size, read, stored, write, register.writable)

    def read(self, offset: int, size: int) -> int:
        """Answer a load of `size` bytes (1, 2, 4 or 8) at `offset`."""
        cell = self._cells.get(offset)
        if cell is not None and cell.lane == 0 and cell.size == size:
            return cell.read()
        value = position = 0
        while position < size:
            cell = self._cells.get(offset + position)
            if cell is None:
                position += 1
                continue
            width = min(cell.size - cell.lane, size - position)
            value |= (cell.read() >> 8 * cell.lane & (1 << 8 * width) - 1) << 8 * position
            position += width
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Take a store of `size` bytes (1, 2, 4 or 8) at `offset`; bits of `value` above them are ignored."""
        position = 0
        while position < size:
            cell = self._cells.get(offset + position)
            if cell is None:
                position += 1
                continue
            width = min(cell.size - cell.lane, size - position)
            lanes = (1 << 8 * width) - 1 << 8 * cell.lane
            placed = value >> 8 * position << 8 * cell.lane & lanes
            if cell.writable:
                mask = lanes & cell.writable
                cell.write(cell.stored() & ~mask | placed & mask)
            position += width


class Region(NamedTuple):
    """Addresses `base` to `end` - 1, which belong to one device; `route` may name another one for one of them."""

    base: int
    end: int
    device: Device
    name: str
    route: Callable[[int], "Region | None"] | None = None


def _hook(owner: Stateful, name: str, index: int | None) -> Callable[..., Any] | None:
    method: Callable[..., Any] | None = getattr(owner, name, None)
    return method if method is None or index is None else partial(method, index)


def _stored(owner: Stateful, register: Register, index: int | None) -> int:
    if not register.stored:
        return 0
    value: int = getattr(owner, register.name) if index is None else getattr(owner, register.name)[index]
    return value


def _store(owner: Stateful, register: Register, index: int | None, value: int) -> None:
    if not register.stored:
        return
    if index is None:
        setattr(owner, register.name, value)
    else:
        getattr(owner, register.name)[index] = value
