"""A machine with a balloon, whose guest does nothing about it."""

import pytest

from guesthouse import Machine, UserError
from guesthouse.virtual.devices.virtio.balloon import VirtioBalloon

LOOP = bytes.fromhex("6f000000")


@pytest.mark.parametrize("bus", ["mmio", "pci"])
def test_what_it_is_asked_for_is_told(bus: str) -> None:
    with Machine(firmware=LOOP, memory="64M", balloon=True, bus=bus) as machine:
        assert machine.statistics()["balloon"] == {"asked": 0, "given": 0}
        machine.set_balloon((1 << 20) + 1)
        assert machine.statistics()["balloon"] == {"asked": 1 << 20, "given": 0}
        assert isinstance(machine._core.balloon, VirtioBalloon) and machine._core.balloon.num_pages == 256
        with Machine.load(machine.save()) as other:
            assert other.statistics()["balloon"]["asked"] == 1 << 20
        for size in (-1, (64 << 20) + 1):
            with pytest.raises(UserError, match="A guest of 67108864 bytes can't give up"):
                machine.set_balloon(size)


def test_without_one_nothing_can_be_asked_for() -> None:
    with Machine(firmware=LOOP, memory="64M") as machine:
        assert "balloon" not in machine.statistics()
        with pytest.raises(UserError, match="The machine has no balloon"):
            machine.set_balloon(0)
