"""Interrupts: what is pending, which is taken, and waiting for one.

Source: volume II, sections 3.1.9 "Machine Interrupt Registers (mip and mie)", 3.3.3 "Wait for Interrupt", 12.1.3
"Supervisor Interrupt Registers (sip and sie)", and Sstc.
"""

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.csr_counters import NEVER, moment, ticks
from guesthouse.virtual.isa.riscv64.description import hook, instruction
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import Environment, Interrupt, Mode, Status
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import State, Trap, fence, leave, minimum, synchronize, u64

EXTENSION = "privileged"


@function
def pending_interrupts(s: State) -> u64:
    """mip: what software set, what devices hold up, and the two timers."""
    pending = s.mip
    time = ticks(s)
    if s.menvcfg & Environment.STCE != 0:
        pending = u64(pending & ~Interrupt.STI)
        if time >= s.stimecmp:
            pending |= Interrupt.STI
    if time >= s.mtimecmp:
        pending |= Interrupt.MTI
    return pending | s.external


@function
def notice_interrupts(s: State) -> None:
    """Have the engine look where an enabled interrupt is pending: after anything that may have made it so."""
    if pending_interrupts(s) & s.mie != 0:
        s.attention = 1
        synchronize(s)


@hook
def poll(s: State) -> None:
    """Raise the interrupt that is to be taken now, if any.

    `attention` is cleared before anything is looked at: who raises a signal later sets it again.
    """
    s.attention = 0
    take_raised(s)
    pending = pending_interrupts(s) & s.mie
    if pending != 0:
        machine = u64(pending & ~s.mideleg)
        if s.mode < Mode.MACHINE or s.mstatus & Status.MIE != 0:
            take_first(machine)
        if s.mode < Mode.SUPERVISOR or (s.mode == Mode.SUPERVISOR and s.mstatus & Status.SIE != 0):
            take_first(pending & s.mideleg)


def take_raised(s: State) -> None:
    """Take over what other harts have raised; what they stored before is seen by what comes after."""
    raised = s.raised
    if raised != 0:
        s.raised = 0
        fence(s)
        s.mip |= raised


def take_first(interrupts: u64) -> None:
    """Raise the one of highest priority (3.1.9), if any."""
    if interrupts & Interrupt.MEI != 0:
        raise Trap(Cause.MACHINE_EXTERNAL_INTERRUPT, 0)
    if interrupts & Interrupt.MSI != 0:
        raise Trap(Cause.MACHINE_SOFTWARE_INTERRUPT, 0)
    if interrupts & Interrupt.MTI != 0:
        raise Trap(Cause.MACHINE_TIMER_INTERRUPT, 0)
    if interrupts & Interrupt.SEI != 0:
        raise Trap(Cause.SUPERVISOR_EXTERNAL_INTERRUPT, 0)
    if interrupts & Interrupt.SSI != 0:
        raise Trap(Cause.SUPERVISOR_SOFTWARE_INTERRUPT, 0)
    if interrupts & Interrupt.STI != 0:
        raise Trap(Cause.SUPERVISOR_TIMER_INTERRUPT, 0)


def next_timer(s: State) -> u64:
    """The machine's clock in nanoseconds at which an enabled timer interrupt is pending; all ones for never."""
    soonest = NEVER
    if s.mie & Interrupt.MTI != 0:
        soonest = moment(s, s.mtimecmp)
    if s.mie & Interrupt.STI != 0 and s.menvcfg & Environment.STCE != 0:
        soonest = minimum(soonest, moment(s, s.stimecmp))
    return soonest


@instruction("wfi", "0001000 00101 00000 000 00000 1110011")
def wfi(s):
    if s.mode == Mode.USER or (s.mode == Mode.SUPERVISOR and s.mstatus & Status.TW != 0):
        illegal(s)
    if pending_interrupts(s) & s.mie != 0:
        s.attention = 1
        synchronize(s)
    else:
        leave(s, Exit.WAIT)
