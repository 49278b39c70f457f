"""Counters and timers: volume I, chapter 7 (Zicntr, Zihpm); volume II, sections 3.1.10 to 3.1.12.

A cycle is an instruction. The event counters 3 to 31 are there and stay zero. The time base is 10 MHz.
"""

from guesthouse.virtual.isa.riscv64.csr_names import HPMCOUNTER0, MHPMCOUNTER0, MHPMEVENT0, Csr
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import Mode
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, divide, flag, nanoseconds, retired, u64

TICK = 100  # nanoseconds
NEVER = (1 << 64) - 1
CY, IR = 1 << 0, 1 << 2  # of mcountinhibit


def ticks(s: State) -> u64:
    """The value of `time`."""
    return u64(divide(nanoseconds(s), TICK) + s.time_offset)


def moment(s: State, time: u64) -> u64:
    """The machine's clock in nanoseconds at which `time` is reached; all ones where that is out of reach."""
    if time == NEVER:
        return NEVER
    if time < s.time_offset < 1 << 63:  # passed before the clock began
        return 0
    wait = u64(time - s.time_offset)
    return NEVER if wait > NEVER // TICK else u64(wait * TICK)


def is_counter(number: u64) -> flag:
    """Whether this is a counter or the event selector of one (not mcountinhibit, which has selector 0's number)."""
    return (
        HPMCOUNTER0 <= number < HPMCOUNTER0 + 32
        or (MHPMCOUNTER0 <= number < MHPMCOUNTER0 + 32 and number != MHPMCOUNTER0 + 1)
        or MHPMEVENT0 + 3 <= number < MHPMEVENT0 + 32
    )


def counter_check(s: State, number: u64) -> None:
    """Raise the illegal-instruction exception where the modes above do not let this one read a counter."""
    if HPMCOUNTER0 <= number and s.mode != Mode.MACHINE:
        allowed = s.mcounteren
        if s.mode == Mode.USER:
            allowed &= s.scounteren
        if allowed >> (number & 31) & 1 == 0:
            illegal(s)


def running(s: State, count: u64, inhibit: u64) -> u64:
    """The value of a counter whose field holds `count`."""
    if s.mcountinhibit & inhibit != 0:
        return count
    return u64(count + retired(s))


@function
def counter_read(s: State, number: u64) -> u64:
    """The value of a counter."""
    match number:
        case Csr.CYCLE | Csr.MCYCLE:
            return running(s, s.mcycle, CY)
        case Csr.INSTRET | Csr.MINSTRET:
            return running(s, s.minstret, IR)
        case Csr.TIME:
            return ticks(s)
        case _:
            return 0


@function
def counter_write(s: State, number: u64, value: u64) -> None:
    """Write mcycle or minstret: the next instruction reads `value`, this one's own increment is lost."""
    match number:
        case Csr.MCYCLE:
            s.mcycle = value if s.mcountinhibit & CY != 0 else u64(value - retired(s) - 1)
        case Csr.MINSTRET:
            s.minstret = value if s.mcountinhibit & IR != 0 else u64(value - retired(s) - 1)
        case _:
            pass


@function
def mcountinhibit_write(s: State, value: u64) -> None:
    """Stop or start counters; a field holds the count while its counter stands still, else the difference."""
    changed = s.mcountinhibit ^ value
    if changed & CY != 0:
        s.mcycle = u64(s.mcycle + retired(s)) if value & CY != 0 else u64(s.mcycle - retired(s))
    if changed & IR != 0:
        s.minstret = u64(s.minstret + retired(s)) if value & IR != 0 else u64(s.minstret - retired(s))
    s.mcountinhibit = value & (CY | IR)
