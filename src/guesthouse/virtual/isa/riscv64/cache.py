"""Zicbom, Zicboz and Zicbop, cache-block operations: volume I, chapter 20. A block has 64 bytes.

Memory is coherent here, so management only checks what the manual has it check (20.3 to 20.5): the privilege that
`menvcfg` and `senvcfg` grant, and that the block may be loaded from or stored to. Where an operation fails, it fails as
a store to the address that was given, wherever in its block that is.
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import Environment, Mode
from guesthouse.virtual.spec.access import Access
from guesthouse.virtual.spec.words import State, flag, touch, u64, zero_block

EXTENSION = "Zicbom"

BLOCK = 64


def granted(s: State, field: u64) -> flag:
    """Whether every mode above the current one enables the operation (20.4, "Exceptions")."""
    return flag(s.mode == Mode.MACHINE or (s.menvcfg & field != 0 and (s.mode != Mode.USER or s.senvcfg & field != 0)))


def manage(s: State, address: u64, field: u64) -> None:
    """Do what management of a block of coherent memory does: check, and nothing."""
    if not granted(s, field):
        illegal(s)
    touch(s, address, Access.MANAGE, 1)


# 20.4 Cache-block management


@instruction("cbo.inval (rs1)", "000000000000 rs1 010 00000 0001111")
def cbo_inval(s, rs1):
    manage(s, s.x[rs1], Environment.CBIE)


@instruction("cbo.clean (rs1)", "000000000001 rs1 010 00000 0001111")
def cbo_clean(s, rs1):
    manage(s, s.x[rs1], Environment.CBCFE)


@instruction("cbo.flush (rs1)", "000000000010 rs1 010 00000 0001111")
def cbo_flush(s, rs1):
    manage(s, s.x[rs1], Environment.CBCFE)


@instruction("cbo.zero (rs1)", "000000000100 rs1 010 00000 0001111", extension="Zicboz")
def cbo_zero(s, rs1):
    if not granted(s, Environment.CBZE):
        illegal(s)
    address = s.x[rs1]
    touch(s, address, Access.STORE, 1)  # traps with this address, not with its block's
    zero_block(s, address, BLOCK)


# Prefetches are hints among the encodings of `ori x0`.


@instruction("prefetch.i offset(rs1)", "offset[11:5] 00000 rs1 110 00000 0010011", extension="Zicbop")
def prefetch_i(s):
    pass


@instruction("prefetch.r offset(rs1)", "offset[11:5] 00001 rs1 110 00000 0010011", extension="Zicbop")
def prefetch_r(s):
    pass


@instruction("prefetch.w offset(rs1)", "offset[11:5] 00011 rs1 110 00000 0010011", extension="Zicbop")
def prefetch_w(s):
    pass
