"""Zbb, basic bit manipulation: volume I, section 30.4.2."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import (
    byte_swap,
    count_leading_zeros,
    count_ones,
    count_trailing_zeros,
    maximum,
    minimum,
    s8,
    s16,
    s32,
    s64,
    u16,
    u32,
    u64,
)

EXTENSION = "Zbb"


# Logical with negate


@instruction("andn rd, rs1, rs2", "0100000 rs2 rs1 111 rd 0110011")
def andn(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] & ~s.x[rs2]


@instruction("orn rd, rs1, rs2", "0100000 rs2 rs1 110 rd 0110011")
def orn(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] | ~s.x[rs2]


@instruction("xnor rd, rs1, rs2", "0100000 rs2 rs1 100 rd 0110011")
def xnor(s, rd, rs1, rs2):
    s.x[rd] = ~(s.x[rs1] ^ s.x[rs2])


# Count bits


@instruction("clz rd, rs1", "0110000 00000 rs1 001 rd 0010011")
def clz(s, rd, rs1):
    s.x[rd] = count_leading_zeros(s.x[rs1], 64)


@instruction("clzw rd, rs1", "0110000 00000 rs1 001 rd 0011011")
def clzw(s, rd, rs1):
    s.x[rd] = count_leading_zeros(u32(s.x[rs1]), 32)


@instruction("ctz rd, rs1", "0110000 00001 rs1 001 rd 0010011")
def ctz(s, rd, rs1):
    s.x[rd] = count_trailing_zeros(s.x[rs1], 64)


@instruction("ctzw rd, rs1", "0110000 00001 rs1 001 rd 0011011")
def ctzw(s, rd, rs1):
    s.x[rd] = count_trailing_zeros(u32(s.x[rs1]), 32)


@instruction("cpop rd, rs1", "0110000 00010 rs1 001 rd 0010011")
def cpop(s, rd, rs1):
    s.x[rd] = count_ones(s.x[rs1])


@instruction("cpopw rd, rs1", "0110000 00010 rs1 001 rd 0011011")
def cpopw(s, rd, rs1):
    s.x[rd] = count_ones(u32(s.x[rs1]))


# Integer minimum and maximum


@instruction("max rd, rs1, rs2", "0000101 rs2 rs1 110 rd 0110011")
def max_(s, rd, rs1, rs2):
    s.x[rd] = maximum(s64(s.x[rs1]), s64(s.x[rs2]))


@instruction("maxu rd, rs1, rs2", "0000101 rs2 rs1 111 rd 0110011")
def maxu(s, rd, rs1, rs2):
    s.x[rd] = maximum(s.x[rs1], s.x[rs2])


@instruction("min rd, rs1, rs2", "0000101 rs2 rs1 100 rd 0110011")
def min_(s, rd, rs1, rs2):
    s.x[rd] = minimum(s64(s.x[rs1]), s64(s.x[rs2]))


@instruction("minu rd, rs1, rs2", "0000101 rs2 rs1 101 rd 0110011")
def minu(s, rd, rs1, rs2):
    s.x[rd] = minimum(s.x[rs1], s.x[rs2])


# Sign- and zero-extension


@instruction("sext.b rd, rs1", "0110000 00100 rs1 001 rd 0010011")
def sext_b(s, rd, rs1):
    s.x[rd] = s8(s.x[rs1])


@instruction("sext.h rd, rs1", "0110000 00101 rs1 001 rd 0010011")
def sext_h(s, rd, rs1):
    s.x[rd] = s16(s.x[rs1])


@instruction("zext.h rd, rs1", "0000100 00000 rs1 100 rd 0111011")
def zext_h(s, rd, rs1):
    s.x[rd] = u16(s.x[rs1])


# Bitwise rotation


def rotated_left(value: u64, amount: u64) -> u64:
    """The 64 bits of `value` rotated left by the low six bits of `amount`."""
    return u64(value << (amount & 63) | value >> (64 - (amount & 63) & 63))


def rotated_left_word(value: u32, amount: u64) -> s32:
    """The 32 bits of `value` rotated left by the low five bits of `amount`, sign-extended."""
    return s32(value << (amount & 31) | value >> (32 - (amount & 31) & 31))


@instruction("rol rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0110011")
def rol(s, rd, rs1, rs2):
    s.x[rd] = rotated_left(s.x[rs1], s.x[rs2])


@instruction("rolw rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0111011")
def rolw(s, rd, rs1, rs2):
    s.x[rd] = rotated_left_word(u32(s.x[rs1]), s.x[rs2])


@instruction("ror rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0110011")
def ror(s, rd, rs1, rs2):
    s.x[rd] = rotated_left(s.x[rs1], 64 - (s.x[rs2] & 63))


@instruction("rori rd, rs1, shamt", "011000 shamt rs1 101 rd 0010011")
def rori(s, rd, rs1, shamt):
    s.x[rd] = rotated_left(s.x[rs1], 64 - shamt)


@instruction("rorw rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0111011")
def rorw(s, rd, rs1, rs2):
    s.x[rd] = rotated_left_word(u32(s.x[rs1]), 32 - (s.x[rs2] & 31))


@instruction("roriw rd, rs1, shamt", "0110000 shamt[4:0] rs1 101 rd 0011011")
def roriw(s, rd, rs1, shamt):
    s.x[rd] = rotated_left_word(u32(s.x[rs1]), 32 - shamt)


# OR combine and byte-reverse


@instruction("orc.b rd, rs1", "001010 000111 rs1 101 rd 0010011")
def orc_b(s, rd, rs1):
    # Gather each byte's ones in its lowest bit, then spread that bit over the byte.
    low = s.x[rs1] | s.x[rs1] >> 4
    low = low | low >> 2
    low = (low | low >> 1) & 0x0101010101010101
    s.x[rd] = (low << 8) - low


@instruction("rev8 rd, rs1", "011010 111000 rs1 101 rd 0010011")
def rev8(s, rd, rs1):
    s.x[rd] = byte_swap(s.x[rs1])
