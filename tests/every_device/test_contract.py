"""What every device of the catalogue must do, with nothing written per device."""

import random

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, Stateful
from tests.virtual.devices.fakes import kinds, make_device

ONES = (1 << 64) - 1
SIZES = (1, 2, 4, 8)
SEEDS = range(8)


def fresh(kind: str) -> Device:
    return make_device(kind)


def registers(device: Device) -> list[tuple[int, Stateful, Register]]:
    return [
        (base + offset, owner, register)
        for base, owner in device.banks()
        for register in owner.registers
        for offset in register.offsets()
    ]


def scribble(device: Device, dice: random.Random, count: int) -> list[int]:
    """Do random accesses near registers, and return what the reads answered."""
    offsets = [offset for offset, _, _ in registers(device)]
    answers = []
    for _ in range(count):
        offset = max(0, dice.choice(offsets) + dice.choice((0, 0, 0, 0, 1, 2, 3, 4, -1)))
        size = dice.choice(SIZES)
        if dice.random() < 0.5:
            answers.append(device.read(offset, size))
        else:
            value = dice.choice((0, 1, 2, 3, 4, 8, 15, 0x80, ONES, dice.getrandbits(64)))
            device.write(offset, size, value & (1 << 8 * size) - 1)
    return answers


@pytest.fixture(params=kinds())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_registers_do_not_overlap(kind: str) -> None:
    device = fresh(kind)
    taken: set[int] = set()
    for offset, _, register in registers(device):
        lanes = set(range(offset, offset + register.size))
        assert not lanes & taken, f"{register.name} at {offset:#x} overlaps"
        taken |= lanes


def test_reset_values_are_read(kind: str) -> None:
    device = fresh(kind)
    for offset, owner, register in registers(device):
        if register.stored and not hasattr(owner, f"on_read_{register.name}"):
            assert device.read(offset, register.size) == register.reset, register.name


def test_reserved_bits_stay(kind: str) -> None:
    for offset, _, register in registers(fresh(kind)):
        if register.effects:
            continue
        for value in (ONES, 0):
            device = fresh(kind)
            before = device.read(offset, register.size)
            device.write(offset, register.size, value)
            changed = device.read(offset, register.size) ^ before
            assert not changed & ~register.writable, register.name


@pytest.mark.parametrize("seed", SEEDS)
def test_any_width_reads_equal_byte_lanes(kind: str, seed: int) -> None:
    device, dice = fresh(kind), random.Random(seed)
    scribble(device, dice, 50)
    restless = {
        offset + lane for offset, _, register in registers(device) if register.effects for lane in range(register.size)
    }
    for offset, _, _ in registers(device):
        for size in SIZES:
            for start in range(offset, offset + 8):
                if not restless & set(range(start, start + size)):
                    lanes = [device.read(start + lane, 1) for lane in range(size)]
                    assert device.read(start, size) == int.from_bytes(bytes(lanes), "little"), hex(start)


def test_any_width_writes_equal_byte_lanes(kind: str) -> None:
    for offset, _, register in registers(fresh(kind)):
        if register.effects:
            continue
        for size in SIZES:
            if size > register.size:
                continue
            whole, pieces = fresh(kind), fresh(kind)
            value = 0x8182_8384_8586_8788 & (1 << 8 * size) - 1
            whole.write(offset, size, value)
            for lane in range(size):
                pieces.write(offset + lane, 1, value >> 8 * lane & 0xFF)
            assert whole.save() == pieces.save(), register.name


def test_unknown_offsets_read_zero_and_ignore_writes(kind: str) -> None:
    device = fresh(kind)
    before = device.save()
    for offset in (0xFFF0, 0x3F_FFF8, 1 << 40):
        for size in SIZES:
            device.write(offset, size, ONES)
            # A PCI bus on which nothing answers reads as ones.
            assert device.read(offset, size) == ((1 << 8 * size) - 1 if kind == "pci-host" else 0)
    assert device.save() == before


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_fit_their_width(kind: str, seed: int) -> None:
    device, dice = fresh(kind), random.Random(seed)
    for offset, _, _ in registers(device):
        size = dice.choice(SIZES)
        scribble(device, dice, 3)
        assert 0 <= device.read(offset, size) < 1 << 8 * size


@pytest.mark.parametrize("seed", SEEDS)
def test_save_load_then_replay_is_identical(kind: str, seed: int) -> None:
    first, dice = fresh(kind), random.Random(seed)
    scribble(first, dice, 80)
    second = fresh(kind)
    second.load(first.save())
    assert second.save() == first.save()
    replay = random.Random(seed + 1000), random.Random(seed + 1000)
    # The fake hart keeps mtimecmp, which belongs to the hart's state, not the CLINT's.
    if kind != "clint":
        assert scribble(first, replay[0], 80) == scribble(second, replay[1], 80)
    assert plain(second.save())


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and plain(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return isinstance(value, int | bytes | str)


@pytest.mark.parametrize("seed", SEEDS)
def test_reset_is_as_new_but_for_what_is_kept(kind: str, seed: int) -> None:
    device = fresh(kind)
    scribble(device, random.Random(seed), 80)
    device.reset()
    assert device.save() == fresh(kind).save()


def test_everything_is_documented(kind: str) -> None:
    device = fresh(kind)
    for _, _, register in registers(device):
        assert register.doc, register.name
    described = device.describe()
    assert described["doc"]
    assert len(described["registers"]) == len(device.registers)


@pytest.mark.parametrize("damage", ["version", "fields", "type"])
def test_a_foreign_state_is_refused_in_a_sentence(kind: str, damage: str) -> None:
    device = fresh(kind)
    saved = device.save()
    fields = saved["fields"]
    assert isinstance(fields, dict)
    if damage == "version":
        saved["version"] = 99
    elif not fields:
        pytest.skip("this device has no state")
    elif damage == "fields":
        fields.pop(next(iter(fields)))
    else:
        fields[next(iter(fields))] = "nonsense"
    with pytest.raises(UserError):
        device.load(saved)
