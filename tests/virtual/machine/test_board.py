import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from guesthouse.virtual.machine.board import Devices, build, virt
from tests.virtual.devices.fakes import Clock, Dice, Disk, Hart, Line, Output, Power, Ram, Work

QEMU_MAP = {
    "test": (0x10_0000, 0),
    "rtc": (0x10_1000, 11),
    "clint": (0x200_0000, 0),
    "plic": (0xC00_0000, 0),
    "uart": (0x1000_0000, 10),
    **{f"virtio{index}": (0x1000_1000 + 0x1000 * index, index + 1) for index in range(8)},
}


FUNCTIONS = [("virtio-block", "disk0"), ("virtio-entropy", "entropy")]
ECAM, WINDOW = 0x3000_0000, 0x4_0000_0000


def connected(bus: str = "mmio") -> tuple[Devices, list[Line], Output]:
    contexts, output = [Line(), Line()], Output()
    devices = build(
        virt(FUNCTIONS, bus),
        memory=Ram(),
        clock=Clock(),
        power=Power(),
        work=Work(),
        harts=[Hart()],
        contexts=contexts,
        backends={"disk0": Disk(), "console": output, "entropy": Dice()},
    )
    return devices, contexts, output


def test_the_memory_map_is_qemu_s() -> None:
    board = virt()
    assert {slot.name: (slot.base, slot.interrupt) for slot in board.slots} == QEMU_MAP
    assert board.memory_base == 0x8000_0000


def test_too_many_functions_are_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="8 virtio slots"):
        virt([("virtio-entropy", None)] * 9)
    assert len(virt([("virtio-entropy", None)] * 31, "pci").functions) == 31
    with pytest.raises(UserError, match="31 slots"):
        virt([("virtio-entropy", None)] * 32, "pci")


@pytest.mark.parametrize(
    ("memory", "upper"), [(64 << 20, 4 << 32), (14 << 30, 4 << 32), ((14 << 30) + 4096, 8 << 32), (16 << 30, 8 << 32)]
)
def test_the_windows_are_qemu_s_and_lie_behind_the_memory(memory: int, upper: int) -> None:
    slot = next(slot for slot in virt(FUNCTIONS, "pci", memory).slots if slot.name == "pci")
    assert (slot.base, slot.size, slot.interrupt, slot.lines) == (ECAM, 0x1000_0000, 32, 4)
    windows = {window.base: (window.size, window.bus_base) for window in slot.windows}
    assert windows == {0x300_0000: (0x1_0000, 0), 1 << 30: (1 << 30, 1 << 30), upper: (16 << 30, upper)}
    assert upper >= 0x8000_0000 + memory


def test_functions_answer_and_interrupt_on_the_pci_bus() -> None:
    devices, contexts, _ = connected("pci")
    bus = devices.bus
    assert [bus.read(ECAM + (number << 15), 4) >> 16 for number in range(4)] == [8, 0x1042, 0x1044, 0xFFFF]
    assert bus.read(0x300_0000, 4) == bus.read(0x4000_0000, 4) == bus.read(WINDOW, 4) == 0xFFFF_FFFF
    bus.write(ECAM + (2 << 15) + 0x10, 8, WINDOW)
    bus.write(ECAM + (2 << 15) + 4, 2, 6)
    assert bus.read(WINDOW + 18, 2) == 1, "a queue"
    region = bus.find(WINDOW)
    assert region is not None and (region.name, region.end) == ("virtio1", WINDOW + 0x4000)
    bus.write(0xC00_0000 + 4 * 34, 4, 1)
    bus.write(0xC00_2084, 4, 0)
    function = devices.by_name["virtio1"]
    assert isinstance(function, VirtioPci)
    function.transport.status = 15
    function.transport.config_changed()
    assert contexts[1].level is False and contexts[0].level is False
    bus.write(0xC00_2080 + 4, 4, 1 << 34 - 32)
    assert [line.level for line in contexts] == [False, True]
    assert bus.read(0xC20_1004, 4) == 34
    other, contexts, _ = connected("pci")
    other.load(devices.save())
    assert other.save() == devices.save()
    assert other.bus.read(WINDOW + 0x1000, 1) == 2
    other.reset()
    assert other.save() == connected("pci")[0].save()
    assert other.bus.read(WINDOW, 4) == 0xFFFF_FFFF


def test_devices_answer_and_interrupt_through_the_controller() -> None:
    devices, contexts, output = connected()
    bus = devices.bus
    assert [bus.read(0x1000_1008 + 0x1000 * slot, 4) for slot in range(3)] == [2, 4, 0]
    bus.write(0x1000_0000, 1, ord("x"))
    assert output.data == b"x"
    bus.write(0xC00_0000 + 4 * 10, 4, 1)
    bus.write(0xC00_2080, 4, 1 << 10)
    bus.write(0x1000_0001, 1, 2)
    assert [line.level for line in contexts] == [False, True]
    assert bus.read(0xC20_1004, 4) == 10


def test_the_whole_board_saves_loads_and_resets() -> None:
    devices, _, _ = connected()
    devices.bus.write(0xC00_0000 + 4 * 10, 4, 1)
    devices.bus.write(0xC00_2080, 4, 1 << 10)
    devices.bus.write(0x1000_0001, 1, 2)
    other, contexts, _ = connected()
    other.load(devices.save())
    assert contexts[1].level
    assert other.save() == devices.save()
    other.reset()
    assert not contexts[1].level
    assert other.save() == connected()[0].save()


def test_a_state_without_a_device_is_refused() -> None:
    devices, _, _ = connected()
    saved = devices.save()
    del saved["uart"]
    with pytest.raises(UserError, match="uart"):
        devices.load(saved)
