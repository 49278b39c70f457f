"""CSRs of user mode: the floating-point ones. Volume I, section 20.2 "Floating-Point Control and Status Register"."""

from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.isa.riscv64.status import Status
from guesthouse.virtual.spec.words import State, u64


def user_read(s: State, number: u64) -> u64:
    """The value of a floating-point CSR."""
    match number:
        case Csr.FFLAGS:
            return s.float_flags & 31
        case Csr.FRM:
            return s.frm
        case _:
            return s.frm << 5 | s.float_flags & 31


def user_write(s: State, number: u64, value: u64) -> None:
    """Write a floating-point CSR, which makes the floating-point state dirty."""
    s.mstatus |= Status.FS
    if number != Csr.FRM:
        s.float_flags = value & 31
    if number == Csr.FRM:
        s.frm = value & 7
    elif number == Csr.FCSR:
        s.frm = value >> 5 & 7
