"""What a virtio device shows in PCI configuration space: identity (section 4.1.2) and capabilities (4.1.4)."""

import struct

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.header import FIRST_CAPABILITY, Header, Identity
from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.wires import Irq

COMMON, ISR, DEVICE, NOTIFY = 0x0000, 0x1000, 0x2000, 0x3000
"""Where the structures lie in the BAR, each in a page of its own."""
BAR_SIZE = 0x4000
COMMON_LENGTH = 64
NOTIFY_STRIDE = 4

VENDOR, FIRST_DEVICE = 0x1AF4, 0x1040
SUBSYSTEM = 0x40
REVISION = 1
CLASSES = {1: 0x02_00_00, 2: 0x01_80_00, 3: 0x07_80_00}
"""Ethernet, other mass storage, other communication; the class code by device number."""
OTHER = 0xFF_00_00

CAPABILITY = struct.Struct("<BBBBBBHII")
"""ID, next, length, type, BAR, number, padding, offset, length."""
VENDOR_SPECIFIC = 9
TYPE_COMMON, TYPE_NOTIFY, TYPE_ISR, TYPE_DEVICE, TYPE_PCI = 1, 2, 3, 4, 5
WORD = 0xFFFF_FFFF


def identity(device: int) -> Identity:
    """What a virtio device of this number is on a PCI bus."""
    return Identity(
        VENDOR,
        FIRST_DEVICE + device,
        CLASSES.get(device, OTHER),
        REVISION,
        VENDOR,
        SUBSYSTEM,
        capabilities=True,
        interrupts=True,
    )


def capabilities(queues: int) -> bytes:
    """The list, whose last entry is the head of the access capability (its other fields are registers)."""
    structures = (
        (TYPE_COMMON, COMMON, COMMON_LENGTH, b""),
        (TYPE_ISR, ISR, 4, b""),
        (TYPE_DEVICE, DEVICE, NOTIFY - DEVICE, b""),
        (TYPE_NOTIFY, NOTIFY, NOTIFY_STRIDE * queues, NOTIFY_STRIDE.to_bytes(4, "little")),
    )
    data = b""
    for kind, offset, length, more in structures:
        size = CAPABILITY.size + len(more)
        following = FIRST_CAPABILITY + len(data) + size
        data += CAPABILITY.pack(VENDOR_SPECIFIC, following, size, kind, 0, 0, 0, offset, length) + more
    return data + bytes((VENDOR_SPECIFIC, 0, CAPABILITY.size + 4, TYPE_PCI))


class VirtioHeader(Header):
    """The header of a virtio function with a BAR that shows `device`."""

    access_bar: int
    access_offset: int
    access_length: int

    def __init__(self, irq: Irq, identity: Identity, queues: int, device: Device) -> None:
        self.list = capabilities(queues)
        self.device = device
        access = FIRST_CAPABILITY + len(self.list)
        registers = (
            Register(
                "capability", FIRST_CAPABILITY, count=len(self.list) // 4, stored=False,
                doc="where the structures of the BAR are (section 4.1.4)",
            ),
            Register("access_bar", access, 1, "whose register `access_data` is: BAR 0", writable=0xFF),
            Register("access_offset", access + 4, 4, "its offset there", writable=WORD),
            Register("access_length", access + 8, 4, "its width: 1, 2 or 4 bytes", writable=WORD),
            Register(
                "access_data", access + 12, 4, writable=WORD, stored=False, effects=True,
                doc="that register, also where the BAR does not answer (section 4.1.4.9)",
            ),
        )  # fmt: skip
        super().__init__(irq, identity, BAR_SIZE, registers)

    def on_read_capability(self, index: int) -> int:
        """Answer four bytes of the list."""
        return int.from_bytes(self.list[4 * index : 4 * index + 4], "little")

    def _accessible(self) -> bool:
        offset, length = self.access_offset, self.access_length
        return self.access_bar == 0 and length in (1, 2, 4) and offset % length == 0 and offset + length <= BAR_SIZE

    def on_read_access_data(self) -> int:
        """Read what the fields say; zero where they say nothing that is."""
        return self.device.read(self.access_offset, self.access_length) if self._accessible() else 0

    def on_write_access_data(self, value: int) -> None:
        """Write what the fields say."""
        if self._accessible():
            self.device.write(self.access_offset, self.access_length, value & (1 << 8 * self.access_length) - 1)
