"""A generic PCI host bridge: configuration space in memory (ECAM), windows for BARs, four interrupt lines.

Source: PCI Express Base Specification 5.0, 7.2.2; the bindings `pci-host-ecam-generic`.

A function that is not there reads as ones and ignores writes, and so does a place in a window where no BAR is. Where
BARs overlap, the function with the lowest number answers. Device 0 is the bridge itself.

Not modelled: bridges to other buses, several functions in a device, hot plug, I/O BARs.
"""

from bisect import bisect_right
from collections.abc import Sequence

from guesthouse.virtual.devices.device import Device, Region
from guesthouse.virtual.devices.pci.function import CONFIGURATION, PciFunction
from guesthouse.virtual.devices.pci.header import SIZE, Header, Identity
from guesthouse.virtual.devices.state import State, Stateful
from guesthouse.virtual.devices.wires import Irq

DEVICES = 32
LINES = 4
IDENTITY = Identity(vendor=0x1B36, device=0x0008, class_code=0x06_00_00)
"""The bridge of that board whose memory map ours has."""


class Unclaimed(Device):
    """Addresses in a window that no BAR claims."""

    def __init__(self) -> None:
        self.start()

    def read(self, offset: int, size: int) -> int:
        """Answer ones, as a bus does on which nothing answers."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Nobody hears it."""


class NoLine:
    """The bridge itself never interrupts."""

    def set(self, level: bool) -> None:
        """Lead nowhere."""


class Line:
    """The pin INTA# of one device: it shares a line with every fourth (swizzled as bridges do)."""

    def __init__(self, host: "PciHost", device: int) -> None:
        self.host = host
        self.line = device % LINES
        self.bit = 1 << device

    def set(self, level: bool) -> None:
        """Drive this device's part of the line."""
        self.host.drive(self.line, self.bit, level)


class PciHost(Device):
    """The bridge, on `lines`: interrupt pin p (from 1 on) of device d leads to line (d + p - 1) modulo 4."""

    asserted: list[int]

    state = (State("asserted", [0] * LINES, "which devices drive each line, a bit a device"),)

    def __init__(self, lines: Sequence[Irq]) -> None:
        self.lines = tuple(lines)
        self.header = Header(NoLine(), IDENTITY)
        self.functions: dict[int, PciFunction] = {}
        self.names: dict[int, str] = {}
        self._regions: list[Region] = []
        self._bases: list[int] = []
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        """The bridge's own header, which is that of bus 0, device 0, function 0."""
        return [(0, self.header)]

    def parts(self) -> dict[str, Stateful]:
        """The bridge's own header."""
        return {"header": self.header}

    def line(self, device: int) -> Line:
        """The interrupt wire of a device (1 to 31)."""
        return Line(self, device)

    def attach(self, device: int, name: str, function: PciFunction) -> None:
        """Put a function into a place: device 1 to 31 of bus 0."""
        self.functions[device] = function
        self.names[device] = name
        function.header.moved = self._route

    # Interrupts.

    def drive(self, line: int, bit: int, level: bool) -> None:
        """Drive one device's part of a line."""
        before = self.asserted[line]
        after = before | bit if level else before & ~bit
        if before != after:
            self.asserted[line] = after
            self.lines[line].set(bool(after))

    def resume(self) -> None:
        """Drive the lines as they stood."""
        for line, devices in zip(self.lines, self.asserted, strict=True):
            line.set(bool(devices))
        self._route()

    # Configuration space: bus, device, function and register are 8, 5, 3 and 12 bits of the offset.

    def _function(self, offset: int, size: int) -> tuple[Device, int] | None:
        """Whose register an offset is, and its offset there; None where nothing answers."""
        number, register = offset >> 12, offset & SIZE - 1
        if number & 7 or number >> 3 >= DEVICES or register + size > SIZE:
            return None
        if number == 0:
            return self, register
        function = self.functions.get(number >> 3)
        return None if function is None else (function, CONFIGURATION + register)

    def read(self, offset: int, size: int) -> int:
        """Read a function's configuration."""
        found = self._function(offset, size)
        if found is None:
            return (1 << 8 * size) - 1
        device, place = found
        return super().read(place, size) if device is self else device.read(place, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a function's configuration."""
        found = self._function(offset, size)
        if found is None:
            return
        device, place = found
        if device is self:
            super().write(place, size, value)
        else:
            device.write(place, size, value)

    # The windows.

    def find(self, address: int) -> Region | None:
        """The BAR that an address of a window belongs to now."""
        index = bisect_right(self._bases, address) - 1
        region = self._regions[index] if index >= 0 else None
        return region if region is not None and address < region.end else None

    def _route(self) -> None:
        """Find the BARs that answer."""
        regions: list[Region] = []
        for number, function in sorted(self.functions.items()):
            claim = function.header.claim
            if claim is not None:
                base, end = claim[0], sum(claim)
                if all(end <= other.base or other.end <= base for other in regions):
                    regions.append(Region(base, end, function, self.names[number]))
        self._regions = sorted(regions, key=lambda region: region.base)
        self._bases = [region.base for region in self._regions]
