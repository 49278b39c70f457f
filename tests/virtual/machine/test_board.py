import pytest

from guesthouse.errors import UserError
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


def connected() -> tuple[Devices, list[Line], Output]:
    contexts, output = [Line(), Line()], Output()
    devices = build(
        virt([("virtio-block", "disk0"), ("virtio-entropy", "entropy")]),
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
