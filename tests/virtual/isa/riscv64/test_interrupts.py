import itertools

import pytest

from guesthouse.virtual.isa.riscv64.causes import INTERRUPT, Cause
from guesthouse.virtual.isa.riscv64.interrupts import next_timer, notice_interrupts, pending_interrupts, poll, wfi
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

SIE, MIE, TW = 1 << 1, 1 << 3, 1 << 21
STCE = 1 << 63
PRIORITY = (11, 3, 7, 9, 1, 5)  # volume II, 3.1.9
ALL = sum(1 << n for n in PRIORITY)


def taken(hart):
    """The number of the interrupt that a poll takes, or None."""
    hart.attention = 1
    try:
        poll(hart)
    except Trap as trap:
        assert trap.cause >> 63 and trap.value == 0
        return trap.cause & ~INTERRUPT
    finally:
        assert hart.attention == 0
    return None


def test_every_set_of_pending_interrupts():
    for chosen in range(64):
        pending = {n for bit, n in enumerate(PRIORITY) if chosen >> bit & 1}
        for delegated, mode, sie, mie in itertools.product((0, 0x222, 0x20), (0, 1, 3), (0, SIE), (0, MIE)):
            hart = Hart()
            hart.mie, hart.mideleg, hart.mode, hart.mstatus = ALL, delegated, mode, sie | mie
            hart.external = sum(1 << n for n in pending)
            machine = [n for n in PRIORITY if n in pending and not delegated >> n & 1]
            supervisor = [n for n in PRIORITY if n in pending and delegated >> n & 1]
            expected = None
            if machine and (mode < 3 or mie):
                expected = machine[0]
            elif supervisor and (mode == 0 or (mode == 1 and sie)):
                expected = supervisor[0]
            assert taken(hart) == expected


def test_only_enabled_interrupts_are_taken():
    hart = Hart()
    hart.mode, hart.external = 0, ALL
    assert taken(hart) is None
    for number in PRIORITY:
        hart.mie = 1 << number
        assert taken(hart) == number


def test_timers():
    hart = Hart()
    hart.mtimecmp, hart.stimecmp, hart.time_offset = 1000, 2000, 10
    hart.environment.clock = 98_999
    assert pending_interrupts(hart) == 0
    hart.environment.clock = 99_000
    assert pending_interrupts(hart) == 1 << 7
    hart.environment.clock = 199_000
    assert pending_interrupts(hart) == 1 << 7
    hart.mip, hart.menvcfg = 1 << 5, 0
    assert pending_interrupts(hart) == 1 << 7 | 1 << 5
    hart.menvcfg, hart.environment.clock = STCE, 198_999
    assert pending_interrupts(hart) == 1 << 7  # the software bit is the comparator's now
    hart.environment.clock = 199_000
    assert pending_interrupts(hart) == 1 << 7 | 1 << 5


def test_next_timer_is_when_the_interrupt_comes():
    hart = Hart()
    assert next_timer(hart) == MASK
    hart.mtimecmp, hart.stimecmp, hart.time_offset, hart.menvcfg = 1000, 900, 10, STCE
    assert next_timer(hart) == MASK
    hart.mie = 1 << 7
    assert next_timer(hart) == 99_000
    hart.mie |= 1 << 5
    assert next_timer(hart) == 89_000
    hart.menvcfg = 0
    assert next_timer(hart) == 99_000
    hart.mtimecmp = 5  # before the clock began
    assert next_timer(hart) == 0
    hart.mtimecmp = MASK - 1  # in 58,000 years
    assert next_timer(hart) == MASK
    hart.mtimecmp, hart.time_offset = 100, MASK - 99  # time began at -100
    assert next_timer(hart) == 200 * 100


def test_notice():
    hart = Hart()
    hart.external = 1 << 9
    notice_interrupts(hart)
    assert (hart.attention, hart.environment.synchronized) == (0, 0)
    hart.mie = 1 << 9
    notice_interrupts(hart)
    assert (hart.attention, hart.environment.synchronized) == (1, 1)


@pytest.mark.parametrize(("mode", "status", "legal"), [(3, TW, 1), (1, 0, 1), (1, TW, 0), (0, 0, 0), (0, TW, 0)])
def test_wfi(mode, status, legal):
    hart = Hart()
    hart.mode, hart.mstatus, hart.mie = mode, status, 1 << 9
    if not legal:
        with pytest.raises(Trap) as raised:
            wfi(hart)
        assert raised.value.cause == Cause.ILLEGAL_INSTRUCTION
        assert hart.environment.left == []
        return
    wfi(hart)
    assert hart.environment.left == [Exit.WAIT]
    hart.external = 1 << 9  # pending and enabled, be it masked by mstatus: there is nothing to wait for
    wfi(hart)
    assert hart.environment.left == [Exit.WAIT] and hart.attention == 1
