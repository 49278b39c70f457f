import pytest

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.function import CONFIGURATION
from guesthouse.virtual.devices.pci.header import Header, Identity
from guesthouse.virtual.devices.state import Stateful
from tests.virtual.devices.fakes import Line

IDENTITY = Identity(0x1234, 0x5678, 0x02_80_01, 3, 0x4321, 0x8765, capabilities=True, interrupts=True)


class Shown(Device):
    """A device that is nothing but its header."""

    def __init__(self, bar_size: int) -> None:
        self.irq = Line()
        self.header = Header(self.irq, IDENTITY, bar_size)
        self.events: list[str] = []
        self.header.moved = lambda: self.events.append("moved")
        self.header.mastered = lambda: self.events.append("mastered")
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        return [(0, self.header)]


def test_it_tells_what_it_is() -> None:
    shown = Shown(0x4000)
    words = [shown.read(offset, 4) for offset in (0x00, 0x04, 0x08, 0x0C, 0x2C, 0x30, 0x34, 0x3C)]
    assert words == [0x5678_1234, 0x0010_0000, 0x0280_0103, 0, 0x8765_4321, 0, 0x40, 0x0100]


@pytest.mark.parametrize("size", [16, 0x4000, 1 << 31, 1 << 33])
def test_ones_written_to_a_bar_tell_its_size(size: int) -> None:
    shown = Shown(size)
    shown.write(0x10, 8, (1 << 64) - 1)
    assert shown.read(0x10, 8) == (1 << 64) - size | 4
    assert [shown.read(0x18 + 4 * bar, 4) for bar in range(4)] == [0] * 4
    shown.write(0x18, 4, 0xFFFF_FFFF)
    assert shown.read(0x18, 4) == 0


def test_without_a_bar_there_is_none() -> None:
    shown = Shown(0)
    shown.write(0x10, 8, (1 << 64) - 1)
    shown.write(4, 2, 2)
    assert shown.read(0x10, 8) == 0
    assert shown.header.claim is None


def test_it_answers_where_the_bar_says_while_it_may() -> None:
    shown = Shown(0x1000)
    shown.write(0x10, 8, 0x4_1234_5678)
    assert shown.header.claim is None and not shown.events
    shown.write(4, 2, 2)
    assert shown.header.claim == (0x4_1234_5000, 0x1000)
    shown.write(0x14, 4, 5)
    assert shown.header.claim == (0x5_1234_5000, 0x1000)
    shown.write(4, 2, 0)
    assert shown.header.claim is None
    assert shown.events == ["moved"] * 3


def test_mastering_is_told_once() -> None:
    shown = Shown(0x1000)
    for command in (4, 4, 0x404, 0):
        shown.write(4, 2, command)
    assert shown.events == ["mastered"] * 2


def test_an_interrupt_shows_in_the_status_even_where_the_pin_is_off() -> None:
    shown = Shown(0x1000)
    shown.header.set(True)
    assert shown.irq.level and shown.read(6, 2) == 0x18
    shown.write(4, 2, 0x400)
    assert not shown.irq.level and shown.read(6, 2) == 0x18
    shown.write(4, 2, 0)
    assert shown.irq.level
    shown.header.set(False)
    assert not shown.irq.level and shown.read(6, 2) == 0x10


def test_the_header_lies_behind_any_bar() -> None:
    assert CONFIGURATION >= 0x1_0000
