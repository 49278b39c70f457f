"""Fences of the page tables: volume II, section 12.2.1 "Supervisor Memory-Management Fence Instruction" and Svinval.

An address-space identifier narrows what must be forgotten. It is ignored with an address, where little would be kept.
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import Mode, Status
from guesthouse.virtual.isa.riscv64.translations import forget_identified, forget_page, forget_pages
from guesthouse.virtual.spec.words import State, synchronize, u64

EXTENSION = "privileged"


def fence_allowed(s: State) -> None:
    """Raise the illegal-instruction exception in user mode, and in supervisor mode where TVM is set."""
    if s.mode == Mode.USER or (s.mode == Mode.SUPERVISOR and s.mstatus & Status.TVM != 0):
        illegal(s)


def invalidate(s: State, rs1: u64, rs2: u64) -> None:
    """Forget what a fence with these operands is about: an address, an address space, or everything."""
    if rs1 != 0:
        forget_page(s, s.x[rs1])
    elif rs2 != 0:
        forget_identified(s, s.x[rs2])
    else:
        forget_pages(s)


@instruction("sfence.vma rs1, rs2", "0001001 rs2 rs1 000 00000 1110011")
def sfence_vma(s, rs1, rs2):
    fence_allowed(s)
    invalidate(s, rs1, rs2)
    synchronize(s)


@instruction("sinval.vma rs1, rs2", "0001011 rs2 rs1 000 00000 1110011", "Svinval")
def sinval_vma(s, rs1, rs2):
    fence_allowed(s)
    invalidate(s, rs1, rs2)


@instruction("sfence.w.inval", "0001100 00000 00000 000 00000 1110011", "Svinval")
def sfence_w_inval(s):
    if s.mode == Mode.USER:
        illegal(s)


@instruction("sfence.inval.ir", "0001100 00001 00000 000 00000 1110011", "Svinval")
def sfence_inval_ir(s):
    if s.mode == Mode.USER:
        illegal(s)
    synchronize(s)
