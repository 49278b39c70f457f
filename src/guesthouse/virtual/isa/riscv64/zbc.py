"""Zbc, carry-less multiplication: volume I, section 30.4.3."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, u64

EXTENSION = "Zbc"


@function
def carryless_low(s: State, a: u64, b: u64) -> u64:
    """Bits 63..0 of the product of two polynomials over GF(2)."""
    product = u64(0)
    for i in range(64):
        if b >> i & 1 != 0:
            product = u64(product ^ a << i)
    return product


@function
def carryless_high(s: State, a: u64, b: u64) -> u64:
    """Bits 127..64 of the product of two polynomials over GF(2)."""
    product = u64(0)
    for i in range(1, 64):
        if b >> i & 1 != 0:
            product = u64(product ^ a >> (64 - i & 63))
    return product


@function
def carryless_reversed(s: State, a: u64, b: u64) -> u64:
    """Bits 126..63 of the product of two polynomials over GF(2)."""
    product = u64(0)
    for i in range(64):
        if b >> i & 1 != 0:
            product = u64(product ^ a >> (63 - i & 63))
    return product


@instruction("clmul rd, rs1, rs2", "0000101 rs2 rs1 001 rd 0110011")
def clmul(s, rd, rs1, rs2):
    s.x[rd] = carryless_low(s, s.x[rs1], s.x[rs2])


@instruction("clmulh rd, rs1, rs2", "0000101 rs2 rs1 011 rd 0110011")
def clmulh(s, rd, rs1, rs2):
    s.x[rd] = carryless_high(s, s.x[rs1], s.x[rs2])


@instruction("clmulr rd, rs1, rs2", "0000101 rs2 rs1 010 rd 0110011")
def clmulr(s, rd, rs1, rs2):
    s.x[rd] = carryless_reversed(s, s.x[rs1], s.x[rs2])
