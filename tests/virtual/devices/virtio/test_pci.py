"""The virtio transport over PCI, as a driver meets it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from guesthouse.virtual.devices.virtio.block import VirtioBlock
from guesthouse.virtual.devices.virtio.console import PortDefinition, VirtioConsole
from guesthouse.virtual.devices.virtio.entropy import VirtioEntropy
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from tests.virtual.devices.fakes import Dice, Disk, Line, Output, Ram, Work
from tests.virtual.devices.virtio.driver import SIZE
from tests.virtual.devices.virtio.pci_driver import INTX_DISABLE, MASTER, MEMORY, PciDriver

ONES = 0xFFFF_FFFF
RING_RESET = 1 << 40


def entropy(**options: bool) -> PciDriver:
    return PciDriver(VirtioEntropy(Dice()), features=RING_RESET, **options)


def test_structures_lie_apart_within_the_bar() -> None:
    driver = entropy()
    assert driver.bar_size == 0x4000
    assert sorted(driver.structures) == [1, 2, 3, 4, 5]
    places = sorted((driver.structures[kind] - driver.base, driver.lengths[kind]) for kind in (1, 2, 3, 4))
    ends = [start + length for start, length in places]
    assert all(end <= start for end, (start, _) in zip(ends, places[1:], strict=False)) and ends[-1] <= driver.bar_size
    assert driver.lengths[1] >= 64 and driver.lengths[3] >= 1
    assert all(place % 4 == 0 for place in driver.capabilities.values())


@pytest.mark.parametrize(("function", "number"), [(VirtioBlock(Disk(), Work()), 2), (VirtioEntropy(Dice()), 4)])
def test_it_is_a_modern_device_of_its_number(function: Function, number: int) -> None:
    driver = PciDriver(function)
    assert (driver.config(0), driver.config(8, 1)) == ((0x1040 + number) << 16 | 0x1AF4, 1)
    assert driver.config(0x2E, 2) >= 0x40
    assert driver.config(0x3D, 1) == 1


@pytest.mark.skipif(not shutil.which("lspci"), reason="the package pciutils is not installed")
def test_lspci_reads_the_same(tmp_path: Path) -> None:
    driver = PciDriver(VirtioBlock(Disk(), Work()))
    rows = [[driver.config(register + column, 1) for column in range(16)] for register in range(0, 0x100, 16)]
    lines = [f"{16 * number:02x}: {' '.join(f'{byte:02x}' for byte in row)}\n" for number, row in enumerate(rows)]
    dump = tmp_path / "dump"
    dump.write_text("00:06.0 Device\n" + "".join(lines))
    told = subprocess.run(["lspci", "-nvv", "-F", dump], capture_output=True, text=True, check=True).stdout
    words = " ".join(told.split())
    assert words.startswith("00:06.0 0180: 1af4:1042 (rev 01) Subsystem: 1af4:0040 Control: I/O- Mem+ BusMaster+")
    assert f"Region 0: Memory at {driver.base:x} (64-bit, non-prefetchable)" in words
    assert "Interrupt: pin A" in words
    for at, name, place in (
        (0x40, "CommonCfg", "offset=00000000 size=00000040"),
        (0x50, "ISR", "offset=00001000 size=00000004"),
        (0x60, "DeviceCfg", "offset=00002000 size=00001000"),
        (0x70, "Notify", "offset=00003000 size=00000004 multiplier=00000004"),
    ):
        assert f"[{at:02x}] Vendor Specific Information: VirtIO: {name} BAR=0 {place}" in words


@pytest.mark.parametrize("indirect", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_requests_are_served_and_interrupt_on_the_pin(packed: bool, indirect: bool) -> None:
    driver = entropy(packed=packed, indirect=indirect)
    for _ in range(3 * SIZE):
        assert driver.ask(0, [], [16]) != bytes(16)
        assert driver.irq.level and driver.config(6, 2) & 8
        assert driver.acknowledge() == 1
        assert driver.acknowledge() == 0


def test_the_pin_can_be_disabled() -> None:
    driver = entropy()
    driver.configure(4, MEMORY | MASTER | INTX_DISABLE, 2)
    driver.ask(0, [], [16])
    assert not driver.irq.level
    driver.configure(4, MEMORY | MASTER, 2)
    assert driver.irq.level


def test_memory_is_used_only_while_the_driver_lets_it() -> None:
    driver = entropy()
    driver.configure(4, MEMORY, 2)
    driver.add(0, [], [16])
    driver.kick(0)
    assert driver.take(0) is None and not driver.irq.level and not driver.broken
    driver.configure(4, MEMORY | MASTER, 2)
    done = driver.take(0)
    assert done is not None and done[2] != bytes(16)
    assert driver.irq.level


def test_what_is_under_way_when_mastering_ends_does_not_reach_memory() -> None:
    work = Work(later=True)
    driver = PciDriver(VirtioBlock(Disk(), work))
    driver.add(0, [bytes(16)], [512, 1])
    driver.kick(0)
    assert len(work.jobs) == 1
    driver.configure(4, MEMORY, 2)
    assert not work.jobs
    assert driver.take(0) is None
    driver.configure(4, MEMORY | MASTER, 2)
    assert driver.take(0) is None and not driver.broken


def test_a_reset_by_the_driver_leaves_configuration_space_alone() -> None:
    driver = entropy()
    driver.ask(0, [], [16])
    driver.set_common(20, 0, 1)
    assert driver.common(20, 1) == 0
    assert not driver.irq.level
    assert driver.config(4, 2) == MEMORY | MASTER
    assert driver.common(24, 2) == 64 and driver.common(28, 2) == 0
    driver.start()


def test_features_can_be_read_back_by_halves() -> None:
    driver = entropy()
    accepted = []
    for half in range(3):
        driver.set_common(8, half)
        accepted.append(driver.common(12))
    assert accepted == [driver.features & ONES, driver.features >> 32, 0]
    driver.set_common(0, 1)
    assert driver.common(4) & 1
    driver.set_common(0, 2)
    assert driver.common(4) == 0


def test_a_queue_has_its_largest_size_until_the_driver_sets_one() -> None:
    driver = entropy()
    driver.set_common(20, 0, 1)
    for status in (1, 3):
        driver.set_common(20, status, 1)
    driver.set_common(8, 1)
    driver.set_common(12, driver.features >> 32)
    driver.set_common(20, 11, 1)
    assert driver.common(24, 2) == 64
    driver.set_common(32, driver.area(0, 0), 8)
    driver.set_common(40, driver.area(0, 0x400), 8)
    driver.set_common(48, driver.area(0, 0x800), 8)
    driver.set_common(28, 1, 2)
    assert driver.common(28, 2) == 1
    assert driver.pci.transport.queues[0].size == 64


def test_a_queue_that_is_not_there_has_size_zero() -> None:
    driver = entropy()
    for number in (1, 2, 0xFFFF):
        driver.set_common(22, number, 2)
        for register in (24, 28, 32, 48, 58):
            driver.set_common(register, 1, 2)
            assert driver.common(register, 2) == 0
    assert driver.common(26, 2) == 0xFFFF, "no message vector"
    driver.set_common(26, 0, 2)
    driver.set_common(16, 0, 2)
    assert (driver.common(26, 2), driver.common(16, 2)) == (0xFFFF, 0xFFFF)


def test_a_queue_is_taken_back_by_its_reset_alone() -> None:
    driver = entropy()
    driver.set_common(22, 0, 2)
    driver.set_common(28, 0, 2)
    assert driver.common(28, 2) == 1
    driver.set_common(58, 1, 2)
    assert (driver.common(58, 2), driver.common(28, 2), driver.common(24, 2)) == (0, 0, 64)
    assert driver.common(20, 1) == 15


def test_addresses_are_set_in_halves_or_whole_but_not_under_way() -> None:
    driver = entropy()
    before = driver.common(32, 8)
    driver.set_common(32, 0x1234, 4)
    assert driver.common(32, 8) == before == driver.area(0, 0)
    driver.set_common(58, 1, 2)
    driver.set_common(36, 0x55, 4)
    driver.set_common(32, 0x66, 4)
    assert driver.common(32, 8) == 0x55_0000_0066


def test_a_change_of_configuration_counts_and_interrupts() -> None:
    driver = PciDriver(VirtioConsole([PortDefinition("console", Output())]))
    console = driver.pci.function
    assert isinstance(console, VirtioConsole)
    for count in range(1, 258):
        console.resize(100 + count, 40)
        assert driver.common(21, 1) == count & 0xFF
        assert driver.acknowledge() == 2
    assert driver.bus.read(driver.structures[4], 4) == 40 << 16 | 357


def test_a_broken_ring_asks_for_a_reset() -> None:
    driver = entropy()
    driver.ram.store(driver.area(0, 0x402), 2, SIZE + 1)
    driver.kick(0)
    assert driver.broken and driver.acknowledge() == 2


def access(driver: PciDriver, bar: int, offset: int, length: int) -> int:
    at = driver.capabilities[5]
    driver.configure(at + 4, bar, 1)
    driver.configure(at + 8, offset)
    driver.configure(at + 12, length)
    return at + 16


def test_registers_are_reached_through_configuration_space() -> None:
    driver = entropy()
    driver.configure(4, MASTER, 2)
    assert driver.config(access(driver, 0, 20, 1)) == 15
    driver.configure(access(driver, 0, 22, 2), 0xAB_1234)
    assert driver.config(access(driver, 0, 22, 2)) == 0x1234
    driver.add(0, [], [16])
    driver.configure(access(driver, 0, 0x3000, 2), 0)
    assert driver.take(0) is not None
    assert driver.config(access(driver, 0, 0x1000, 1)) == 1
    assert not driver.irq.level


@pytest.mark.parametrize(
    ("bar", "offset", "length"),
    [(1, 20, 1), (0, 20, 0), (0, 20, 3), (0, 20, 8), (0, 21, 2), (0, 0x4000, 4), (0, 0x1_0084, 4), (0, ONES, 1)],
)
def test_an_impossible_access_does_nothing(bar: int, offset: int, length: int) -> None:
    driver = entropy()
    before = driver.pci.transport.save()
    place = access(driver, bar, offset, length)
    driver.configure(place, 0)
    assert driver.config(place) == 0
    assert driver.pci.transport.save() == before


def test_state_moves_to_a_new_device_in_the_middle() -> None:
    driver, other = entropy(packed=True), entropy(packed=True)
    for _ in range(5):
        driver.ask(0, [], [8])
    other.ram.data[:] = driver.ram.data
    other.host.load(driver.host.save())
    other.pci.load(driver.pci.save())
    assert other.irq.level
    other.next, other.wrap, other.seen, other.seen_wrap = driver.next, driver.wrap, driver.seen, driver.seen_wrap
    other.rooms, other.free = driver.rooms, driver.free
    for _ in range(20):
        assert other.ask(0, [], [8]) != bytes(8)


def test_more_queues_than_notification_registers_are_refused() -> None:
    console = VirtioConsole([PortDefinition(str(number)) for number in range(600)])
    with pytest.raises(ValueError, match="queues"):
        VirtioPci(console, Line(), Ram())
