"""Random accesses to every device: nothing a guest does may raise, hang or grow without bound."""

import pickle
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.pci.function import CONFIGURATION
from guesthouse.virtual.devices.virtio.mmio import VirtioMmio
from guesthouse.virtual.devices.virtio.pci import VirtioPci
from tests.virtual.devices.fakes import BASE, Ram, kinds, make_device
from tests.virtual.devices.virtio.driver import Driver
from tests.virtual.devices.virtio.pci_driver import PciDriver

SEEDS = range(30)
VIRTIO = [kind for kind in kinds("virtio-") if kind != "virtio-empty"]

accesses = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(
            st.integers(0, 0x200),
            st.integers(CONFIGURATION, CONFIGURATION + 0xA0),
            st.integers(0, 1 << 22),
            st.integers(0, 1 << 64),
        ),
        st.sampled_from((1, 2, 4, 8)),
        st.one_of(st.integers(0, 255), st.integers(0, (1 << 64) - 1)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("kind", kinds())
@settings(max_examples=100, deadline=None)
@given(accesses=accesses)
def test_random_accesses(kind: str, accesses: list[tuple[bool, int, int, int]]) -> None:
    device = make_device(kind)
    for is_read, offset, size, value in accesses:
        if is_read:
            assert 0 <= device.read(offset, size) < 1 << 8 * size
        else:
            device.write(offset, size, value)
    assert len(pickle.dumps(device.save())) < 1 << 17


def queues_of(device: Device) -> int:
    assert isinstance(device, VirtioMmio | VirtioPci)
    return len(device.function.queue_sizes)


def start_up(device: Device, dice: random.Random) -> None:
    """Bring a device up the way a driver does, with rings at random places."""
    if isinstance(device, VirtioPci):
        start_up_on_pci(device, dice)
    else:
        start_up_on_mmio(device, dice)


def kick(device: Device, queue: int) -> None:
    if isinstance(device, VirtioPci):
        device.write(0x3000 + 4 * queue, 2, queue)
    else:
        device.write(0x50, 4, queue)


def ring_address(dice: random.Random) -> int:
    return BASE + dice.randrange(0, 0x2000, 16) + dice.choice((0, 0, 0, 0, 0, 1 << 40))


def start_up_on_pci(device: VirtioPci, dice: random.Random) -> None:
    device.write(CONFIGURATION + 4, 2, dice.choice((6, 6, 6, 4, 2, 0x406)))
    device.write(20, 1, 0)
    device.write(20, 1, 3)
    for half in range(2):
        device.write(0, 4, half)
        device.write(8, 4, half)
        mask = dice.choice((0xFFFF_FFFF, dice.getrandbits(32))) | (half and 1)
        device.write(12, 4, device.read(4, 4) & mask)
    device.write(20, 1, 11)
    for queue in range(queues_of(device)):
        device.write(22, 2, queue)
        device.write(24, 2, dice.choice((4, 8, 16, 64)))
        for register in (32, 40, 48):
            device.write(register, 8, ring_address(dice))
        device.write(28, 2, 1)
    device.write(20, 1, 15)


def start_up_on_mmio(device: Device, dice: random.Random) -> None:
    device.write(0x70, 4, 0)
    device.write(0x70, 4, 3)
    for half in range(2):
        device.write(0x14, 4, half)
        device.write(0x24, 4, half)
        mask = dice.choice((0xFFFF_FFFF, dice.getrandbits(32))) | (half and 1)
        device.write(0x20, 4, device.read(0x10, 4) & mask)
    device.write(0x70, 4, 11)
    for queue in range(queues_of(device)):
        device.write(0x30, 4, queue)
        device.write(0x38, 4, dice.choice((4, 8, 16, 64)))
        for register in (0x80, 0x90, 0xA0):
            device.write(register, 8, ring_address(dice))
        device.write(0x44, 4, 1)
    device.write(0x70, 4, 15)


def dirty(ram: Ram, dice: random.Random) -> None:
    """Fill the first pages with something like descriptors, indices and headers."""
    for address in range(0, 0x2100, 16):
        place = dice.choice((BASE + dice.randrange(0x4000), dice.getrandbits(64), BASE + len(ram.data) - 8))
        length = dice.choice((0, 1, 16, 512, 16 * dice.randrange(20), 0xFFFF_FFFF, dice.getrandbits(32)))
        flags = dice.choice((0, 1, 2, 3, 4, 0x80, 0x81, 0x8080, dice.getrandbits(16)))
        entry = place.to_bytes(8, "little") + length.to_bytes(4, "little")
        tail = dice.choice((flags | dice.randrange(20) << 16, flags << 16 | dice.randrange(20)))
        entry += (tail & 0xFFFF_FFFF).to_bytes(4, "little")
        ram.data[address : address + 16] = entry if dice.random() < 0.8 else dice.randbytes(16)


@pytest.mark.parametrize("kind", VIRTIO)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_rings(kind: str, seed: int) -> None:
    dice, ram = random.Random(seed), Ram()
    device = make_device(kind, ram)
    on_pci = isinstance(device, VirtioPci)
    for _ in range(10):
        dirty(ram, dice)
        start_up(device, dice)
        for _ in range(8):
            kick(device, dice.randrange(queues_of(device) + 1))
            if dice.random() < 0.3:
                dirty(ram, dice)
            if dice.random() < 0.3:
                where = dice.choice((0, 0x3000, CONFIGURATION)) if on_pci else 0
                device.write(where + dice.randrange(0x120), 4, dice.getrandbits(32))
            assert (device.read(0x1000, 1) if on_pci else device.read(0x60, 4)) < 4
    assert len(pickle.dumps(device.save())) < 1 << 18


@pytest.mark.parametrize("kind", VIRTIO)
@pytest.mark.parametrize("seed", SEEDS)
def test_almost_right_requests(kind: str, seed: int) -> None:
    dice = random.Random(seed)
    device = make_device(kind)
    assert isinstance(device, VirtioMmio | VirtioPci)
    front = PciDriver if isinstance(device, VirtioPci) else Driver
    finished = 0
    for _ in range(6):
        options = {name: dice.random() < 0.5 for name in ("packed", "indirect", "events")}
        driver = front(device.function, features=device.function.features, **options)
        for _ in range(30):
            queue = dice.randrange(driver.queues)
            head = struct.pack("<IIQ", dice.choice((0, 1, 4, 8, 11, 13, 77)), 0, dice.choice((0, 5, 63, 64, 1 << 60)))
            event = struct.pack("<IHH", dice.randrange(3), dice.randrange(9), dice.randrange(2))
            frame = bytes((dice.randrange(2), dice.choice((0, 1, 4, 0x81)))) + bytes(2) + dice.randbytes(6) + bytes(90)
            order = bytes((dice.randrange(6), dice.randrange(3))) + dice.choice((b"\1", b"\1\0", dice.randbytes(12)))
            send = dice.choice(
                ([head], [head, bytes(512)], [head, struct.pack("<QII", 1, 1, 0)], [event], [frame], [order])
            )
            rooms = dice.choice(([1], [512, 1], [20, 1], [8, 8], [1526]))
            if dice.random() < 0.1:
                send, rooms = dice.choice((([], [0]), ([b""], []), ([head], []), ([], [1])))
            driver.add(queue, send, rooms)
            if dice.random() < 0.05:
                driver.ram.data[0x1000 * queue + dice.randrange(0x100)] ^= 1 << dice.randrange(8)
            driver.kick(queue)
            finished += not driver.broken
            if driver.broken or driver.free > BASE + 0x30000:
                break
    assert finished, "the fuzz must reach the requests"
