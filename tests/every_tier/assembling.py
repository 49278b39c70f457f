"""Assembly for tests: one assembler for all of them, because making one takes longer than most tests."""

import functools

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler


@functools.cache
def _assembler() -> Assembler:
    return Assembler(ISA, RISCV64_SYNTAX)


def assemble(text: str, address: int) -> bytes:
    """RISC-V machine code that lies at `address`."""
    return _assembler().assemble(text, address)
