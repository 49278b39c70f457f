"""The host bridge: who answers in configuration space and in the windows."""

import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.function import CONFIGURATION, PciFunction
from guesthouse.virtual.devices.pci.header import Header, Identity
from guesthouse.virtual.devices.pci.host import PciHost
from guesthouse.virtual.devices.state import Register, Stateful
from guesthouse.virtual.devices.virtio.block import VirtioBlock
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from guesthouse.virtual.devices.wires import Irq
from guesthouse.virtual.machine.bus import AccessFault, Bus
from tests.virtual.devices.fakes import Disk, Line, Ram, Work
from tests.virtual.devices.virtio.pci_driver import ECAM, WINDOW, WINDOW_END, bus_with

SIZE = 0x1000
ONES = (1 << 64) - 1


class Words(PciFunction):
    """A page of storage behind a BAR."""

    registers = (Register("words", 0, 4, count=SIZE // 4, writable=0xFFFF_FFFF, doc="storage"),)

    def __init__(self, irq: Irq, number: int) -> None:
        self.header = Header(irq, Identity(0x1234, number, 0xFF_00_00, interrupts=True), SIZE)
        self.start()

    def banks(self) -> list[tuple[int, Stateful]]:
        return [(0, self), (CONFIGURATION, self.header)]

    def parts(self) -> dict[str, Stateful]:
        return {"header": self.header}


class World:
    """A bridge with functions in some places, on a bus with one window."""

    def __init__(self, *devices: int) -> None:
        self.lines = [Line() for _ in range(4)]
        self.host = PciHost(self.lines)
        self.functions = {device: Words(self.host.line(device), device) for device in devices}
        for device, function in self.functions.items():
            self.host.attach(device, f"function{device}", function)
        self.bus: Bus = bus_with(self.host)

    def place(self, device: int, base: int, command: int = 2) -> None:
        self.bus.write(at(device, 0x10), 8, base)
        self.bus.write(at(device, 4), 2, command)

    def name(self, address: int) -> str | None:
        region = self.bus.find(address)
        return region.name if region else None


def at(device: int, register: int) -> int:
    return ECAM + (device << 15) + register


def test_functions_show_in_their_places() -> None:
    world = World(1, 31)
    found = [world.bus.read(at(device, 0), 4) for device in range(32)]
    assert found[0] == 0x0008_1B36
    assert found[1] == 0x0001_1234 and found[31] == 0x001F_1234
    assert set(found[2:31]) == {0xFFFF_FFFF}
    assert world.bus.read(at(0, 0xA), 2) == 0x0600


@pytest.mark.parametrize(
    "offset",
    [1 << 15 | 1 << 12, 1 << 20, 0xFF << 20 | 1 << 15, 0x1000_0000 - 8],
    ids=["function", "bus", "last", "end"],
)
def test_where_nothing_is_ones_are_read_and_writes_are_lost(offset: int) -> None:
    world = World(1)
    before = world.host.save(), world.functions[1].save()
    for size in (1, 2, 4, 8):
        world.bus.write(ECAM + offset, size, 0)
        assert world.bus.read(ECAM + offset, size) == (1 << 8 * size) - 1
    assert (world.host.save(), world.functions[1].save()) == before


def test_extended_configuration_space_is_empty() -> None:
    world = World(1)
    assert [world.bus.read(at(1, register), 4) for register in range(0x100, 0x1000, 4)] == [0] * 960


def test_a_bar_answers_in_a_window_only_while_decoding_is_on() -> None:
    world = World(1)
    world.place(1, WINDOW, command=0)
    assert world.bus.read(WINDOW, 4) == 0xFFFF_FFFF
    world.place(1, WINDOW)
    world.bus.write(WINDOW + 0x10, 4, 77)
    assert world.bus.read(WINDOW + 0x10, 4) == 77
    assert (world.name(WINDOW), world.name(WINDOW + SIZE)) == ("function1", "window")
    world.bus.write(at(1, 4), 2, 0)
    assert world.bus.read(WINDOW + 0x10, 4) == 0xFFFF_FFFF


def test_a_bar_moves_while_decoding_is_on() -> None:
    world = World(1)
    world.place(1, WINDOW)
    world.bus.write(WINDOW, 4, 5)
    world.bus.write(at(1, 0x10), 4, WINDOW_END - SIZE)
    assert world.bus.read(WINDOW_END - SIZE, 4) == 5
    assert world.bus.read(WINDOW, 4) == 0xFFFF_FFFF
    world.bus.write(at(1, 0x10), 4, 0xFFFF_FFFF)
    assert world.bus.read(WINDOW_END - SIZE, 4) == 0xFFFF_FFFF
    with pytest.raises(AccessFault):
        world.bus.read(0xFFFF_F000, 4)


@pytest.mark.parametrize("base", [ECAM, 0, 0x8000_0000, 1 << 63])
def test_a_bar_outside_the_windows_takes_nothing_from_anybody(base: int) -> None:
    world = World(1)
    world.place(1, base)
    assert world.bus.read(at(1, 0), 4) == 0x0001_1234
    if base != ECAM:
        with pytest.raises(AccessFault):
            world.bus.read(base, 4)


def test_of_overlapping_bars_the_lowest_function_s_answers() -> None:
    world = World(3, 4, 9)
    for device in (9, 4, 3):
        world.place(device, WINDOW)
    assert world.name(WINDOW) == "function3"
    world.place(3, WINDOW + SIZE)
    assert [world.name(WINDOW + offset) for offset in (0, SIZE, 2 * SIZE)] == ["function4", "function3", "window"]


def test_an_access_across_the_end_of_a_bar_reaches_both_sides() -> None:
    world = World(1, 2)
    world.place(1, WINDOW)
    world.place(2, WINDOW + SIZE)
    world.bus.write(WINDOW + SIZE - 4, 8, 0x1122_3344_5566_7788)
    assert (world.bus.read(WINDOW + SIZE - 4, 4), world.bus.read(WINDOW + SIZE, 4)) == (0x5566_7788, 0x1122_3344)
    assert world.bus.read(WINDOW + 2 * SIZE - 2, 4) == 0xFFFF_0000


def test_every_fourth_device_shares_a_line() -> None:
    world = World(*range(1, 32))
    for device, function in world.functions.items():
        function.header.set(True)
        assert [line.level for line in world.lines] == [number == device % 4 for number in range(4)]
        function.header.set(False)
    world.functions[1].header.set(True)
    world.functions[5].header.set(True)
    world.functions[1].header.set(False)
    assert world.lines[1].level
    world.bus.write(at(5, 4), 2, 0x400)
    assert not world.lines[1].level


def test_lines_and_places_come_back_with_the_state() -> None:
    world, other = World(1, 2), World(1, 2)
    world.place(1, WINDOW + 0x8000)
    world.functions[2].header.set(True)
    other.host.load(world.host.save())
    assert other.lines[2].level
    for device in (1, 2):
        other.functions[device].header.level = world.functions[device].header.level
        other.functions[device].load(world.functions[device].save())
    assert other.name(WINDOW + 0x8000) == "function1"
    assert other.host.save() == world.host.save()
    other.host.reset()
    for function in other.functions.values():
        function.header.set(False)
        function.reset()
    assert not any(line.level for line in other.lines)
    assert other.name(WINDOW + 0x8000) == "window"


def virtio_world() -> tuple[Bus, list[Device]]:
    host = PciHost([Line() for _ in range(4)])
    functions: list[Device] = []
    for device in (1, 2, 31):
        function = VirtioPci(VirtioBlock(Disk(), Work()), host.line(device), Ram())
        host.attach(device, str(device), function)
        functions.append(function)
    return bus_with(host), [host, *functions]


places = st.one_of(
    st.integers(0, 0x1000_0000).map(lambda offset: ECAM + offset),
    st.tuples(st.sampled_from((0, 1, 2, 31)), st.integers(0, 0xA0)).map(lambda place: at(*place)),
    st.integers(WINDOW, WINDOW_END),
    st.integers(0, 0x4000).map(lambda offset: WINDOW + offset),
)
values = st.one_of(st.integers(0, 0x500), st.just(WINDOW), st.just(ECAM), st.integers(0, ONES))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), places, st.sampled_from((1, 2, 4, 8)), values), max_size=80))
def test_random_accesses_through_the_bus(accesses: list[tuple[bool, int, int, int]]) -> None:
    bus, devices = virtio_world()
    for is_read, address, size, value in accesses:
        if address + size > WINDOW_END:
            continue
        if is_read:
            assert 0 <= bus.read(address, size) < 1 << 8 * size
        else:
            bus.write(address, size, value & (1 << 8 * size) - 1)
    assert sum(len(pickle.dumps(device.save())) for device in devices) < 1 << 17


@pytest.mark.parametrize("seed", range(10))
def test_random_configuration_is_the_same_after_a_load(seed: int) -> None:
    dice, (bus, devices), (other, others) = random.Random(seed), virtio_world(), virtio_world()
    for _ in range(300):
        bus.write(at(dice.choice((1, 2, 31)), dice.randrange(0x98)), dice.choice((1, 2, 4)), dice.getrandbits(32))
    for device in (1, 2):
        bus.write(at(device, 0x10), 8, WINDOW + device * 0x4000)
        bus.write(at(device, 4), 2, 2)
    for device, copy in zip(devices, others, strict=True):
        copy.load(device.save())
    for address in [at(1, register) for register in range(0, 0x94, 4)] + list(range(WINDOW, WINDOW + 0xC000, 64)):
        assert bus.read(address, 4) == other.read(address, 4), hex(address)
