from guesthouse.virtual.devices.clint import Clint
from tests.virtual.devices.fakes import Hart


def test_software_interrupts_reach_their_hart() -> None:
    harts = [Hart(), Hart()]
    clint = Clint(harts)
    clint.write(4, 4, 0xFFFF_FFFF)
    assert [hart.level for hart in harts] == [False, True]
    assert clint.read(4, 4) == 1
    clint.write(4, 4, 0)
    assert not harts[1].level


def test_compare_may_be_written_in_halves() -> None:
    hart = Hart()
    clint = Clint([hart])
    clint.write(0x4000, 8, 0x1111_2222_3333_4444)
    clint.write(0x4004, 4, 0xAAAA_BBBB)
    assert hart.compare == 0xAAAA_BBBB_3333_4444
    assert clint.read(0x4000, 4) == 0x3333_4444


def test_time_is_the_hart_s() -> None:
    hart = Hart()
    hart.ticks = 0x12_3456_789A
    clint = Clint([hart])
    clint.write(0xBFF8, 8, 0)
    assert clint.read(0xBFF8, 8) == 0x12_3456_789A
    assert clint.read(0xBFFC, 4) == 0x12
