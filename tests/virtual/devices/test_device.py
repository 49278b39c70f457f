from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register


class Sample(Device):
    """A device for the test."""

    registers = (
        Register("word", 0, 4, writable=0x0FFF_FFF0, reset=5),
        Register("port", 4, 4, writable=0xFFFF_FFFF, stored=False, effects=True),
        Register("bytes", 8, 1, count=4, writable=0xFF),
    )

    def __init__(self) -> None:
        self.written: list[int] = []
        self.start()

    def on_read_port(self) -> int:
        return 0x1122_3344

    def on_write_port(self, value: int) -> None:
        self.written.append(value)


def test_narrow_writes_merge_and_reserved_bits_stay() -> None:
    device = Sample()
    device.write(1, 2, 0xABCD)
    assert device.read(0, 4) == 0x00AB_CD05
    device.write(0, 4, 0xFFFF_FFFF)
    assert device.read(0, 4) == 0x0FFF_FFF5


def test_wide_accesses_are_split_at_registers() -> None:
    device = Sample()
    assert device.read(0, 8) == 0x1122_3344_0000_0005
    device.write(4, 8, 0x0403_0201_DEAD_BEEF)
    assert device.written == [0xDEAD_BEEF]
    assert device.read(8, 4) == 0x0403_0201
    assert device.read(6, 4) == 0x0201_1122


def test_a_register_without_storage_takes_narrow_writes_alone() -> None:
    device = Sample()
    device.write(6, 1, 0x7F)
    assert device.written == [0x7F_0000]


def test_the_end_of_the_registers_reads_zero() -> None:
    assert Sample().read(10, 8) == 0
