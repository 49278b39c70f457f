from guesthouse.virtual.devices.virtio.entropy import MAX_BYTES, VirtioEntropy
from tests.virtual.devices.fakes import Dice
from tests.virtual.devices.virtio.driver import Driver


def test_fills_all_buffers_of_a_request() -> None:
    driver = Driver(VirtioEntropy(Dice()))
    data = driver.ask(0, [], [100, 28])
    assert data == Dice().bytes(128)


def test_gives_no_more_than_its_bound() -> None:
    driver = Driver(VirtioEntropy(Dice()))
    driver.add(0, [], [MAX_BYTES, MAX_BYTES])
    driver.kick(0)
    done = driver.take(0)
    assert done is not None and done[1] == MAX_BYTES


def test_without_a_source_the_guest_waits() -> None:
    driver = Driver(VirtioEntropy(None))
    driver.add(0, [], [8])
    driver.kick(0)
    assert driver.take(0) is None and not driver.broken
