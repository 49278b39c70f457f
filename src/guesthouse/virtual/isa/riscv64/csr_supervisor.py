"""CSRs of supervisor mode: volume II, chapter 12 (section 12.1 "Supervisor CSRs")."""

from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.interrupts import notice_interrupts, pending_interrupts
from guesthouse.virtual.isa.riscv64.status import Environment, Interrupt, Mode, Status
from guesthouse.virtual.isa.riscv64.translations import enter_space
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, synchronize, u64

COUNTERS = (1 << 32) - 1
TM = 1 << 1  # of mcounteren


def status_value(s: State) -> u64:
    """mstatus as it reads: with the constant widths and the summary of what is dirty."""
    value = s.mstatus | Status.UXL | Status.SXL
    return value | Status.SD if value & Status.FS == Status.FS else value


@function
def status_write(s: State, value: u64) -> None:
    """Make `value`, already legal, the stored mstatus and tell the engine what changed for it."""
    changed = s.mstatus ^ value
    s.mstatus = value
    if changed & Status.CONTEXT != 0:
        synchronize(s)
    if changed & value & (Status.SIE | Status.MIE) != 0:
        notice_interrupts(s)


def vector_legal(value: u64) -> u64:
    """A trap vector: mode 0 direct or 1 vectored (3.1.7)."""
    return u64(value & ~2)


def environment_legal(value: u64, allowed: u64) -> u64:
    """menvcfg or senvcfg: CBIE has a reserved value, which reads as zero."""
    value = value & allowed
    return u64(value & ~Environment.CBIE) if value & Environment.CBIE == Environment.CBIE_RESERVED else value


def stimecmp_check(s: State) -> None:
    """Raise the illegal-instruction exception where machine mode keeps stimecmp for itself (Sstc)."""
    if s.mode != Mode.MACHINE and (s.menvcfg & Environment.STCE == 0 or s.mcounteren & TM == 0):
        illegal(s)


@function
def satp_write(s: State, value: u64) -> None:
    """Write satp; a mode that is not Bare, Sv39, Sv48 or Sv57 leaves it as it is (12.1.11)."""
    mode = value >> 60
    if (mode == 0 or 8 <= mode <= 10) and value != s.satp:
        enter_space(s, value)
        synchronize(s)


def supervisor_read(s: State, number: u64) -> u64:
    """The value of a supervisor CSR."""
    match number:
        case Csr.SSTATUS:
            return status_value(s) & (Status.SUPERVISOR | Status.UXL | Status.SD)
        case Csr.SIE:
            return s.mie & s.mideleg
        case Csr.STVEC:
            return s.stvec
        case Csr.SCOUNTEREN:
            return s.scounteren
        case Csr.SENVCFG:
            return s.senvcfg
        case Csr.SSCRATCH:
            return s.sscratch
        case Csr.SEPC:
            return s.sepc
        case Csr.SCAUSE:
            return s.scause
        case Csr.STVAL:
            return s.stval
        case Csr.SIP:
            return pending_interrupts(s) & s.mideleg
        case Csr.STIMECMP:
            return s.stimecmp
        case Csr.SATP:
            return s.satp
        case _:
            return 0


def supervisor_write(s: State, number: u64, value: u64) -> None:
    """Write a supervisor CSR."""
    match number:
        case Csr.SSTATUS:
            status_write(s, u64(s.mstatus & ~Status.SUPERVISOR) | value & Status.SUPERVISOR)
        case Csr.SIE:
            s.mie = u64(s.mie & ~s.mideleg) | value & s.mideleg
            notice_interrupts(s)
        case Csr.STVEC:
            s.stvec = vector_legal(value)
        case Csr.SCOUNTEREN:
            s.scounteren = value & COUNTERS
        case Csr.SENVCFG:
            s.senvcfg = environment_legal(value, Environment.USER)
        case Csr.SSCRATCH:
            s.sscratch = value
        case Csr.SEPC:
            s.sepc = u64(value & ~1)
        case Csr.SCAUSE:
            s.scause = value
        case Csr.STVAL:
            s.stval = value
        case Csr.SIP:
            writable = s.mideleg & Interrupt.SSI
            s.mip = u64(s.mip & ~writable) | value & writable
            notice_interrupts(s)
        case Csr.STIMECMP:
            s.stimecmp = value
            notice_interrupts(s)
        case Csr.SATP:
            satp_write(s, value)
        case _:
            pass
