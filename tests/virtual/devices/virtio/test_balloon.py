import struct

import pytest

from guesthouse.virtual.devices.virtio import balloon
from guesthouse.virtual.devices.virtio.balloon import PAGE, VirtioBalloon
from tests.virtual.devices.fakes import BASE
from tests.virtual.devices.virtio.driver import Driver

FEATURES = 1 << balloon.STATS_VQ | 1 << balloon.PAGE_REPORTING
LAST = BASE + (1 << 18) - 4 * PAGE


@pytest.fixture
def driver() -> Driver:
    made = Driver(VirtioBalloon(), features=FEATURES)
    made.ram.write(LAST, b"x" * 4 * PAGE)
    return made


def pages(driver: Driver) -> list[bool]:
    return [any(driver.ram.read(LAST + number * PAGE, PAGE)) for number in range(4)]


def test_pages_given_up_are_the_host_s(driver: Driver) -> None:
    first = LAST // PAGE
    driver.ask(balloon.INFLATE, [struct.pack("<3I", first + 3, first, first + 1)])
    assert pages(driver) == [False, False, True, False]
    assert driver.ask(balloon.DEFLATE, [struct.pack("<I", first)]) == b""
    assert not driver.broken


def test_free_pages_reported_are_the_host_s(driver: Driver) -> None:
    request = driver._add_split(balloon.REPORTING, [(LAST + 100, 2 * PAGE, 2), (LAST + 3 * PAGE, PAGE - 1, 2)])
    driver.rooms[balloon.REPORTING, request] = []
    driver.kick(balloon.REPORTING)
    assert pages(driver) == [True, False, True, True], "whole pages only"


def test_pages_outside_memory_break_the_device_off(driver: Driver) -> None:
    driver.add(balloon.INFLATE, [struct.pack("<I", 0xFFFF_FFFF)])
    driver.kick(balloon.INFLATE)
    assert driver.broken


def test_the_size_is_asked_for_and_told() -> None:
    function = VirtioBalloon()
    driver = Driver(function, features=FEATURES)
    function.resize(5 * PAGE + 1)
    assert driver.irq.level and driver.device.read(0x60, 4) & 2
    assert driver.device.read(0x100, 4) == 5
    driver.device.write(0x104, 4, 3)
    assert function.actual == 3


def test_statistics_are_asked_for_by_giving_the_buffer_back() -> None:
    function = VirtioBalloon()
    driver = Driver(function, features=FEATURES)
    driver.add(balloon.STATISTICS, [struct.pack("<HQHQHQ", 4, 1 << 20, 5, 1 << 30, 99, 1)])
    driver.kick(balloon.STATISTICS)
    assert function.statistics == {"free": 1 << 20, "total": 1 << 30}
    assert driver.take(balloon.STATISTICS) is None
    function.ask()
    assert driver.take(balloon.STATISTICS) is not None
    function.ask()
    assert driver.take(balloon.STATISTICS) is None
