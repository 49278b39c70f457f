import pytest

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.machine.bus import AccessFault, Bus, Region


class Words(Device):
    """Four words of storage."""

    registers = (Register("words", 0, 4, count=4, writable=0xFFFF_FFFF),)

    def __init__(self) -> None:
        self.start()


def bus() -> Bus:
    regions = [(0x2000, "c"), (0x1000, "a"), (0x1010, "b")]
    return Bus(Region(base, base + 16, Words(), name) for base, name in regions)


def test_addresses_find_their_device() -> None:
    board = bus()
    board.write(0x1014, 4, 77)
    assert board.read(0x1014, 4) == 77
    found = [board.find(address) for address in (0xFFF, 0x1000, 0x100F, 0x1010, 0x1020, 0x2000)]
    assert [region and region.name for region in found] == [None, "a", "a", "b", None, "c"]


def test_an_access_across_two_devices_reaches_both() -> None:
    board = bus()
    board.write(0x100C, 8, 0x1122_3344_5566_7788)
    assert board.read(0x100C, 4) == 0x5566_7788
    assert board.read(0x1010, 4) == 0x1122_3344
    assert board.read(0x100E, 4) == 0x3344_5566


@pytest.mark.parametrize("address", [0, 0x101C, 0x1020, 0x1FFC, 1 << 64])
def test_unmapped_bytes_fault_and_change_nothing(address: int) -> None:
    board = bus()
    with pytest.raises(AccessFault):
        board.read(address, 8)
    with pytest.raises(AccessFault):
        board.write(address, 8, (1 << 64) - 1)
    assert board.read(0x1018, 8) == board.read(0x2000, 8) == 0


def test_a_region_may_name_another_one_for_an_address() -> None:
    inner = Region(0x1008, 0x1010, Words(), "inner")
    outer = Region(0x1000, 0x1020, Words(), "outer", lambda address: inner if 0x1008 <= address < 0x1010 else None)
    board = Bus([outer])
    board.write(0x1004, 8, 0x1122_3344_5566_7788)
    assert inner.device.read(0, 4) == 0x1122_3344
    assert outer.device.read(4, 4) == 0x5566_7788
    found = [board.find(address) for address in (0x1000, 0x100F, 0x1010)]
    assert [region and region.name for region in found] == ["outer", "inner", "outer"]


def test_overlapping_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Bus([Region(0, 16, Words(), "a"), Region(8, 24, Words(), "b")])
