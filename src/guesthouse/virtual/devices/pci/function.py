"""A function on a PCI bus, as the bridge sees it."""

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.header import Header

CONFIGURATION = 0x1_0000
"""Where a function's configuration space lies in its own address space, behind what its BAR shows."""


class PciFunction(Device):
    """A device whose first `header.bar_size` bytes show in its BAR; one bank is the header, at `CONFIGURATION`."""

    header: Header
