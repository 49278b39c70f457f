"""Access to control and status registers: volume II, chapter 2 and section 2.1 "CSR Address Mapping Conventions".

`csr_check` decides whether the access is allowed; after it `csr_read` and `csr_write` cannot trap. They are written
into each instruction: where the number is known, only that register's few lines are left.
"""

from guesthouse.virtual.isa.riscv64.csr_counters import counter_check, counter_read, counter_write, is_counter
from guesthouse.virtual.isa.riscv64.csr_machine import machine_read, machine_write
from guesthouse.virtual.isa.riscv64.csr_names import PMPADDR0, PMPCFG0, Csr
from guesthouse.virtual.isa.riscv64.csr_supervisor import stimecmp_check, supervisor_read, supervisor_write
from guesthouse.virtual.isa.riscv64.csr_user import user_read, user_write
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.pmp import pmp_read, pmp_write
from guesthouse.virtual.isa.riscv64.status import Interrupt, Mode, Status
from guesthouse.virtual.spec.words import State, flag, u64


def is_pmp(number: u64) -> flag:
    """Whether this is one of the PMP registers; RV64 has the even ones of pmpcfg."""
    return PMPCFG0 <= number < PMPADDR0 + 64 and (number >= PMPADDR0 or number & 1 == 0)


def csr_check(s: State, number: u64, writes: flag) -> None:
    """Raise the illegal-instruction exception unless CSR `number` exists and this mode may read (or write) it."""
    if s.mode < number >> 8 & 3 or (writes != 0 and number >> 10 & 3 == 3):
        illegal(s)
    match number:
        case Csr.FFLAGS | Csr.FRM | Csr.FCSR:
            if s.mstatus & Status.FS == 0:
                illegal(s)
        case Csr.SATP:
            if s.mode == Mode.SUPERVISOR and s.mstatus & Status.TVM != 0:
                illegal(s)
        case Csr.STIMECMP:
            stimecmp_check(s)
        case Csr.SSTATUS | Csr.SIE | Csr.STVEC | Csr.SCOUNTEREN | Csr.SENVCFG | Csr.SSCRATCH | Csr.SEPC | Csr.SCAUSE:
            pass
        case Csr.STVAL | Csr.SIP:
            pass
        case Csr.MVENDORID | Csr.MARCHID | Csr.MIMPID | Csr.MHARTID | Csr.MCONFIGPTR | Csr.MSTATUS | Csr.MISA:
            pass
        case Csr.MEDELEG | Csr.MIDELEG | Csr.MIE | Csr.MTVEC | Csr.MCOUNTEREN | Csr.MSCRATCH | Csr.MEPC | Csr.MCAUSE:
            pass
        case Csr.MTVAL | Csr.MIP | Csr.MENVCFG | Csr.MSECCFG | Csr.MCOUNTINHIBIT:
            pass
        case Csr.TSELECT | Csr.TDATA1 | Csr.TDATA2 | Csr.TDATA3 | Csr.TINFO:
            pass
        case _:
            if is_counter(number):
                counter_check(s, number)
            elif not is_pmp(number):
                illegal(s)


def csr_read(s: State, number: u64) -> u64:
    """The value of CSR `number`, which `csr_check` allowed."""
    if is_counter(number):
        return counter_read(s, number)
    if is_pmp(number):
        return pmp_read(s, number)
    match number >> 8 & 3:
        case Mode.USER:
            return user_read(s, number)
        case Mode.SUPERVISOR:
            return supervisor_read(s, number)
        case _:
            return machine_read(s, number)


def csr_write(s: State, number: u64, value: u64) -> None:
    """Write CSR `number`, which `csr_check` allowed; what it cannot hold becomes what it can (WARL)."""
    if is_counter(number):
        counter_write(s, number, value)
    elif is_pmp(number):
        pmp_write(s, number, value)
    else:
        match number >> 8 & 3:
            case Mode.USER:
                user_write(s, number, value)
            case Mode.SUPERVISOR:
                supervisor_write(s, number, value)
            case _:
                machine_write(s, number, value)


def csr_update_base(s: State, number: u64, value: u64) -> u64:
    """What CSRRS and CSRRC change, where `value` was read: SEIP without the controller's signal (3.1.9)."""
    if number == Csr.MIP:
        return u64(value & ~Interrupt.SEI) | s.mip & Interrupt.SEI
    return value
