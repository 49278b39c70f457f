"""The address bus: which device answers at a guest-physical address."""

from bisect import bisect_right
from collections.abc import Iterable

from guesthouse.virtual.devices.device import Region as Region


class AccessFault(Exception):
    """Nothing answers at an address; the engine turns this into the guest's access-fault trap."""


class Bus:
    """Maps addresses outside RAM to devices."""

    def __init__(self, regions: Iterable[Region]) -> None:
        """Take regions in any order; raises `ValueError` where two overlap."""
        self.regions = sorted(regions, key=lambda region: region.base)
        for lower, upper in zip(self.regions, self.regions[1:], strict=False):
            if upper.base < lower.end:
                raise ValueError(f"{lower.name} and {upper.name} overlap at {upper.base:#x}")
        self._bases = [region.base for region in self.regions]

    def find(self, address: int) -> Region | None:
        """Return the region of an address, or None."""
        index = bisect_right(self._bases, address) - 1
        region = self.regions[index] if index >= 0 else None
        if region is None or address >= region.end:
            return None
        return region if region.route is None else region.route(address) or region

    def _split(self, address: int, size: int) -> list[tuple[Region, int, int, int]]:
        """Cut an access that may touch several regions into (region, offset, size, shift); all of it must be mapped."""
        pieces = []
        for position in range(size):
            region = self.find(address + position)
            if region is None:
                raise AccessFault(f"nothing at {address + position:#x}")
            pieces.append((region, address + position - region.base, 1, 8 * position))
        return pieces

    def read(self, address: int, size: int) -> int:
        """Load `size` bytes (1, 2, 4 or 8); raises `AccessFault` where a byte belongs to no device."""
        region = self.find(address)
        if region is not None and address + size <= region.end and region.route is None:
            return region.device.read(address - region.base, size)
        pieces = self._split(address, size)
        return sum(part.device.read(offset, width) << shift for part, offset, width, shift in pieces)

    def write(self, address: int, size: int, value: int) -> None:
        """Store `size` bytes (1, 2, 4 or 8); raises `AccessFault`, having changed nothing, like `read`."""
        region = self.find(address)
        if region is not None and address + size <= region.end and region.route is None:
            region.device.write(address - region.base, size, value)
            return
        for part, offset, width, shift in self._split(address, size):
            part.device.write(offset, width, value >> shift & 0xFF)
