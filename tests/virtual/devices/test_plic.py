from guesthouse.virtual.devices.plic import SOURCES, Plic, PlicSource
from tests.virtual.devices.fakes import Line

ENABLE, THRESHOLD, CLAIM = 0x2000, 0x20_0000, 0x20_0004


def plic() -> tuple[Plic, list[Line]]:
    lines = [Line(), Line()]
    device = Plic(lines)
    for source in range(1, SOURCES):
        device.write(4 * source, 4, 1)
    for word in range(3):
        device.write(ENABLE + 0x80 + 4 * word, 4, 0xFFFF_FFFF)
    return device, lines


def claim(device: Plic) -> int:
    return device.read(CLAIM + 0x1000, 4)


def complete(device: Plic, source: int) -> None:
    device.write(CLAIM + 0x1000, 4, source)


def test_a_source_reaches_the_context_that_hears_it() -> None:
    device, lines = plic()
    device.set_source(10, True)
    assert [line.level for line in lines] == [False, True]
    assert device.read(0x1000, 4) == 1 << 10
    assert claim(device) == 10
    assert not lines[1].level and device.read(0x1000, 4) == 0


def test_a_level_is_heard_again_after_completion_only() -> None:
    device, lines = plic()
    wire = PlicSource(device, 33)
    wire.set(True)
    assert claim(device) == 33
    wire.set(False)
    wire.set(True)
    assert not lines[1].level
    complete(device, 33)
    assert lines[1].level and claim(device) == 33
    wire.set(False)
    complete(device, 33)
    assert not lines[1].level and claim(device) == 0


def test_the_highest_priority_wins_then_the_lowest_number() -> None:
    device, _ = plic()
    device.write(4 * 40, 4, 5)
    for source in (7, 40, 3):
        device.set_source(source, True)
    assert [claim(device) for _ in range(4)] == [40, 3, 7, 0]


def test_threshold_masks_the_interrupt_but_not_the_claim() -> None:
    device, lines = plic()
    device.write(THRESHOLD + 0x1000, 4, 1)
    device.set_source(5, True)
    assert not lines[1].level
    assert claim(device) == 5


def test_priority_zero_and_disabled_sources_are_silent() -> None:
    device, lines = plic()
    device.write(4 * 5, 4, 0)
    device.write(ENABLE + 0x80, 4, ~(1 << 6) & 0xFFFF_FFFF)
    device.set_source(5, True)
    device.set_source(6, True)
    assert not lines[1].level and claim(device) == 0


def test_completion_of_a_source_the_context_does_not_hear_is_ignored() -> None:
    device, lines = plic()
    device.set_source(9, True)
    assert claim(device) == 9
    for context, source in ((0, 9), (1, 0), (1, SOURCES), (1, 0xFFFF_FFFF)):
        device.write(CLAIM + 0x1000 * context, 4, source)
    assert not lines[1].level
    complete(device, 9)
    assert lines[1].level


def test_source_zero_does_not_exist() -> None:
    device, _ = plic()
    device.write(0, 4, 7)
    assert device.read(0, 4) == 0
    assert device.read(ENABLE + 0x80, 4) == 0xFFFF_FFFE
