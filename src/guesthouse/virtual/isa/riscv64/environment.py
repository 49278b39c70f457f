"""Environment call and breakpoint, and what an undefined encoding does.

Source: volume I, section 2.8 "Environment Call and Breakpoints"; volume II, section 3.3.1.
"""

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import hook, instruction
from guesthouse.virtual.isa.riscv64.status import Mode
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import State, Trap, fetched, leave, u64

EXTENSION = "I"


@hook
def illegal(s: State) -> None:
    """Raise the illegal-instruction exception; its value is the instruction."""
    raise Trap(Cause.ILLEGAL_INSTRUCTION, fetched(s))


@instruction("ecall", "000000000000 00000 000 00000 1110011")
def ecall(s):
    if s.monitor != 0 and s.mode == Mode.SUPERVISOR:
        leave(s, Exit.HYPERCALL)
    else:
        raise Trap(Cause.USER_ECALL + s.mode, 0)


@instruction("ebreak", "000000000001 00000 000 00000 1110011")
def ebreak(s):
    raise Trap(Cause.BREAKPOINT, s.pc)


@hook
def length(first: u64) -> u64:
    """Bytes of the instruction that begins with this parcel (volume I, section 1.5)."""
    return 4 if first & 3 == 3 else 2
