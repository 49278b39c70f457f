"""Traps: entry, delegation and return; and the state after reset.

Source: volume II, sections 3.1.6.1 "Privilege and Global Interrupt-Enable Stack in mstatus", 3.1.8 "Machine Trap
Delegation Registers", 3.3.2 "Trap-Return Instructions", 3.4 "Reset".
"""

from guesthouse.virtual.isa.riscv64.causes import INTERRUPT
from guesthouse.virtual.isa.riscv64.description import hook, instruction
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import DELEGABLE, Environment, Interrupt, Mode, Status
from guesthouse.virtual.spec.words import State, flag, synchronize, u64

EXTENSION = "privileged"
NOWHERE = (1 << 64) - 1  # no reservation


@hook
def reset(s: State) -> None:
    """Enter machine mode; firmware finds the features of menvcfg switched on, as on the board it was built for."""
    s.mode = Mode.MACHINE
    s.menvcfg = Environment.PBMTE | Environment.CBIE | Environment.CBCFE | Environment.CBZE


def start_monitored(s: State) -> None:
    """Enter supervisor mode under a monitor, with all that SBI firmware would delegate and permit."""
    s.monitor = 1
    s.mode = Mode.SUPERVISOR
    s.medeleg = DELEGABLE
    s.mideleg = Interrupt.SUPERVISOR
    s.mcounteren = (1 << 32) - 1
    s.scounteren = 0b111  # programs may read cycle, time and instret; the supervisor may take that back
    s.menvcfg = u64(Environment.ALL & ~Environment.ADUE)
    s.pmpaddr[0] = (1 << 54) - 1
    s.pmpcfg[0] = 0b11111  # all addresses, NAPOT, may be read, written and executed


def delegated(s: State, cause: u64) -> flag:
    """Whether the trap goes to supervisor mode: never from machine mode, always where that does not exist."""
    if s.mode == Mode.MACHINE:
        return 0
    if s.monitor != 0:
        return 1
    delegation = s.mideleg if cause >= INTERRUPT else s.medeleg
    return delegation >> (cause & 63) & 1


def handler(vector: u64, cause: u64) -> u64:
    """Where a trap goes: interrupts to a slot each where the vector's mode is 1 (3.1.7)."""
    base = u64(vector & ~3)
    if vector & 1 != 0 and cause >= INTERRUPT:
        return u64(base + 4 * (cause & 63))
    return base


@hook
def take_trap(s: State, cause: u64, value: u64) -> None:
    """Enter the handler of an exception or interrupt that happened at `pc`."""
    status = s.mstatus
    if delegated(s, cause):
        s.sepc = s.pc
        s.scause = cause
        s.stval = value
        kept = u64(status & ~(Status.SPP | Status.SPIE | Status.SIE))
        previous = Status.SPP if s.mode == Mode.SUPERVISOR else 0
        s.mstatus = kept | previous | (status & Status.SIE) << 4
        s.mode = Mode.SUPERVISOR
        s.pc = handler(s.stvec, cause)
    else:
        s.mepc = s.pc
        s.mcause = cause
        s.mtval = value
        kept = u64(status & ~(Status.MPP | Status.MPIE | Status.MIE))
        s.mstatus = kept | s.mode << 11 | (status & Status.MIE) << 4
        s.mode = Mode.MACHINE
        s.pc = handler(s.mtvec, cause)
    s.reservation_address = NOWHERE
    s.attention = 1


@instruction("mret", "0011000 00010 00000 000 00000 1110011")
def mret(s):
    if s.mode != Mode.MACHINE:
        illegal(s)
    status = s.mstatus
    mode = status >> 11 & 3
    kept = u64(status & ~(Status.MPP | Status.MPIE | Status.MIE))
    if mode != Mode.MACHINE:
        kept = u64(kept & ~Status.MPRV)
    s.mstatus = kept | Status.MPIE | (status & Status.MPIE) >> 4
    s.mode = mode
    s.next_pc = s.mepc
    s.attention = 1
    synchronize(s)


@instruction("sret", "0001000 00010 00000 000 00000 1110011")
def sret(s):
    if s.mode == Mode.USER or (s.mode == Mode.SUPERVISOR and s.mstatus & Status.TSR != 0):
        illegal(s)
    status = s.mstatus
    kept = u64(status & ~(Status.SPP | Status.SPIE | Status.SIE | Status.MPRV))
    s.mstatus = kept | Status.SPIE | (status & Status.SPIE) >> 4
    s.mode = status >> 8 & 1
    s.next_pc = s.sepc
    s.attention = 1
    synchronize(s)
