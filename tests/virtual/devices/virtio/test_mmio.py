import struct

import pytest

from guesthouse.virtual.devices.virtio.block import VirtioBlock
from guesthouse.virtual.devices.virtio.entropy import VirtioEntropy
from guesthouse.virtual.devices.virtio.function import Nothing
from guesthouse.virtual.devices.virtio.mmio import VirtioMmio
from tests.virtual.devices.fakes import BASE, Dice, Disk, Line, Ram, Work
from tests.virtual.devices.virtio.driver import SIZE, Driver


def entropy(**options: bool) -> Driver:
    return Driver(VirtioEntropy(Dice()), **options)


def test_an_empty_slot_has_device_number_zero() -> None:
    slot = VirtioMmio(Nothing(), Line(), Ram())
    assert [slot.read(offset, 4) for offset in (0, 4, 8)] == [0x74726976, 2, 0]
    assert slot.read(0xB0, 8) == (1 << 64) - 1


def test_features_without_version_1_are_refused() -> None:
    device = VirtioMmio(VirtioBlock(Disk(), Work()), Line(), Ram())
    device.write(0x70, 4, 3)
    device.write(0x70, 4, 11)
    assert device.read(0x70, 4) == 3


def test_features_not_offered_are_refused() -> None:
    device = VirtioMmio(VirtioBlock(Disk(), Work()), Line(), Ram())
    device.write(0x70, 4, 3)
    device.write(0x24, 4, 1)
    device.write(0x20, 4, 1 | 1 << 31)
    device.write(0x70, 4, 15)
    assert device.read(0x70, 4) == 3


def test_nothing_moves_before_driver_ok() -> None:
    driver = entropy()
    driver.device.status = 11
    driver.add(0, [], [16])
    driver.kick(0)
    assert driver.take(0) is None
    driver.device.write(0x70, 4, 15)
    assert driver.take(0) is not None


@pytest.mark.parametrize("packed", [False, True])
def test_interrupt_is_raised_and_acknowledged(packed: bool) -> None:
    driver = entropy(packed=packed)
    assert driver.ask(0, [], [16]) != bytes(16)
    assert driver.irq.level
    assert driver.acknowledge() == 1


@pytest.mark.parametrize("packed", [False, True])
def test_no_interrupt_where_the_driver_wants_none(packed: bool) -> None:
    driver = entropy(packed=packed)
    driver.ram.store(driver.area(0, 0x402 if packed else 0x400), 2, 1)
    driver.ask(0, [], [16])
    assert not driver.irq.level


def test_split_event_index_picks_the_interrupt() -> None:
    driver = entropy(events=True)
    driver.ram.store(driver.area(0, 0x404 + 2 * SIZE), 2, 2)
    raised = []
    for _ in range(4):
        driver.ask(0, [], [4])
        raised.append(driver.irq.level)
        driver.acknowledge()
    assert raised == [False, False, True, False]
    assert driver.ram.load(driver.area(0, 0x804 + 8 * SIZE), 2) == 4


@pytest.mark.parametrize("goal", [2, SIZE - 1, SIZE + 1])
def test_packed_event_index_picks_the_interrupt(goal: int) -> None:
    driver = entropy(packed=True, events=True)
    wrap = goal < SIZE
    driver.ram.write(driver.area(0, 0x400), struct.pack("<HH", goal % SIZE | wrap << 15, 2))
    raised = []
    for _ in range(SIZE + 4):
        driver.ask(0, [], [4])
        raised.append(driver.irq.level)
        driver.acknowledge()
    assert [index for index, level in enumerate(raised) if level] == [goal]


@pytest.mark.parametrize("packed", [False, True])
def test_many_requests_at_once(packed: bool) -> None:
    driver = entropy(packed=packed)
    for _ in range(5):
        requests = [driver.add(0, [], [8]) for _ in range(SIZE - 1)]
        driver.kick(0)
        assert [driver.take(0)[0] for _ in requests] == requests  # type: ignore[index]
    assert driver.take(0) is None


@pytest.mark.parametrize("packed", [False, True])
def test_state_can_move_to_a_new_device_in_the_middle(packed: bool) -> None:
    driver = entropy(packed=packed)
    for _ in range(5):
        driver.ask(0, [], [8])
    other = VirtioMmio(VirtioEntropy(Dice()), Line(), driver.ram)
    other.load(driver.device.save())
    assert other.irq.level  # type: ignore[attr-defined]
    driver.device = other
    for _ in range(20):
        assert driver.ask(0, [], [8]) != bytes(8)


def test_a_loop_in_a_chain_stops_the_device() -> None:
    driver = entropy()
    driver.ram.write(driver.area(0, 0), struct.pack("<QIHH", BASE, 1, 3, 1) + struct.pack("<QIHH", BASE, 1, 3, 0))
    driver.ram.store(driver.area(0, 0x402), 2, 1)
    driver.kick(0)
    assert driver.broken


@pytest.mark.parametrize(
    "descriptor",
    [(BASE, 16, 4, 0), (BASE, 8, 4 | 1, 0), (BASE, 16, 1, 99)],
    ids=["indirect not negotiated", "indirect and next", "next outside the table"],
)
def test_a_broken_descriptor_stops_the_device(descriptor: tuple[int, int, int, int]) -> None:
    driver = entropy()
    driver.ram.write(driver.area(0, 0), struct.pack("<QIHH", *descriptor))
    driver.ram.store(driver.area(0, 0x402), 2, 1)
    driver.kick(0)
    assert driver.broken


def test_an_impossible_available_index_stops_the_device() -> None:
    driver = entropy()
    driver.ram.store(driver.area(0, 0x402), 2, SIZE + 1)
    driver.kick(0)
    assert driver.broken


def test_a_packed_chain_without_end_stops_the_device() -> None:
    driver = entropy(packed=True)
    for slot in range(SIZE):
        driver.ram.write(driver.area(0, 16 * slot), struct.pack("<QIHH", BASE, 1, 0, 0x80 | 2 | 1))
    driver.kick(0)
    assert driver.broken


@pytest.mark.parametrize("size", [0, 3, 1 << 15])
def test_an_impossible_split_queue_does_not_get_ready(size: int) -> None:
    driver = entropy()
    device = driver.device
    device.write(0x44, 4, 0)
    device.write(0x38, 4, size)
    device.write(0x44, 4, 1)
    assert device.read(0x44, 4) == 0


def test_a_queue_can_be_reset_alone() -> None:
    driver = Driver(VirtioEntropy(Dice()), features=1 << 40)
    driver.ask(0, [], [4])
    driver.device.write(0xC0, 4, 1)
    assert driver.device.read(0xC0, 4) == 0
    assert driver.device.read(0x44, 4) == 0
    assert driver.device.read(0x70, 4) == 15
