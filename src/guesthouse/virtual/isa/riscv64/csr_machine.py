"""CSRs of machine mode: volume II, chapter 3 (section 3.1 "Machine-Level CSRs")."""

from guesthouse.virtual.isa.riscv64.csr_counters import mcountinhibit_write
from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.isa.riscv64.csr_supervisor import (
    COUNTERS,
    environment_legal,
    status_value,
    status_write,
    vector_legal,
)
from guesthouse.virtual.isa.riscv64.interrupts import notice_interrupts, pending_interrupts
from guesthouse.virtual.isa.riscv64.status import DELEGABLE, MISA, Environment, Interrupt, Status
from guesthouse.virtual.isa.riscv64.translations import forget_pages
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, synchronize, u64


def mstatus_legal(value: u64) -> u64:
    """The stored part of mstatus: MPP has no value 2, which reads as user mode."""
    previous = value & Status.MPP
    if previous == 2 << 11:
        previous = 0
    return value & Status.WRITABLE | previous


@function
def menvcfg_write(s: State, value: u64) -> None:
    """Write menvcfg; PBMTE and ADUE change what page tables mean, STCE what the supervisor timer interrupt is."""
    legal = environment_legal(value, Environment.ALL)
    changed = s.menvcfg ^ legal
    s.menvcfg = legal
    if changed & (Environment.PBMTE | Environment.ADUE) != 0:
        forget_pages(s)
        synchronize(s)
    if changed & Environment.STCE != 0:
        notice_interrupts(s)


def machine_read(s: State, number: u64) -> u64:
    """The value of a machine CSR; those that tell of nothing implemented read zero."""
    match number:
        case Csr.MHARTID:
            return s.mhartid
        case Csr.MSTATUS:
            return status_value(s)
        case Csr.MISA:
            return MISA
        case Csr.MEDELEG:
            return s.medeleg
        case Csr.MIDELEG:
            return s.mideleg
        case Csr.MIE:
            return s.mie
        case Csr.MTVEC:
            return s.mtvec
        case Csr.MCOUNTEREN:
            return s.mcounteren
        case Csr.MSCRATCH:
            return s.mscratch
        case Csr.MEPC:
            return s.mepc
        case Csr.MCAUSE:
            return s.mcause
        case Csr.MTVAL:
            return s.mtval
        case Csr.MIP:
            return pending_interrupts(s)
        case Csr.MENVCFG:
            return s.menvcfg
        case Csr.MCOUNTINHIBIT:
            return s.mcountinhibit
        case Csr.TINFO:
            return 1  # no trigger here
        case _:
            return 0


def machine_write(s: State, number: u64, value: u64) -> None:
    """Write a machine CSR; misa, mseccfg and the triggers are read-only."""
    match number:
        case Csr.MSTATUS:
            status_write(s, mstatus_legal(value))
        case Csr.MEDELEG:
            s.medeleg = value & DELEGABLE
        case Csr.MIDELEG:
            s.mideleg = value & Interrupt.SUPERVISOR
            notice_interrupts(s)
        case Csr.MIE:
            s.mie = value & Interrupt.ALL
            notice_interrupts(s)
        case Csr.MTVEC:
            s.mtvec = vector_legal(value)
        case Csr.MCOUNTEREN:
            s.mcounteren = value & COUNTERS
        case Csr.MSCRATCH:
            s.mscratch = value
        case Csr.MEPC:
            s.mepc = u64(value & ~1)
        case Csr.MCAUSE:
            s.mcause = value
        case Csr.MTVAL:
            s.mtval = value
        case Csr.MIP:
            mip_write(s, value)
        case Csr.MENVCFG:
            menvcfg_write(s, value)
        case Csr.MCOUNTINHIBIT:
            mcountinhibit_write(s, value)
        case _:
            pass


@function
def mip_write(s: State, value: u64) -> None:
    """Write mip; with Sstc the timer bit is the comparator's alone."""
    writable = u64(Interrupt.SUPERVISOR)
    if s.menvcfg & Environment.STCE != 0:
        writable = u64(Interrupt.SSI | Interrupt.SEI)
    s.mip = u64(s.mip & ~writable) | value & writable
    notice_interrupts(s)
