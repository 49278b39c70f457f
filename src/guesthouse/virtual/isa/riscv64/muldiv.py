"""M, integer multiplication and division: volume I, chapter 13.

Section 13.2 gives the two corner cases: by zero the quotient is all ones and the remainder the dividend; the most
negative number by -1 gives itself and remainder zero.
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import divide, multiply_high, remainder, s32, s64, u32

EXTENSION = "M"

# 13.1 Multiplication Operations


@instruction("mul rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0110011")
def mul(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] * s.x[rs2]


@instruction("mulh rd, rs1, rs2", "0000001 rs2 rs1 001 rd 0110011")
def mulh(s, rd, rs1, rs2):
    s.x[rd] = multiply_high(s64(s.x[rs1]), s64(s.x[rs2]))


@instruction("mulhsu rd, rs1, rs2", "0000001 rs2 rs1 010 rd 0110011")
def mulhsu(s, rd, rs1, rs2):
    s.x[rd] = multiply_high(s64(s.x[rs1]), s.x[rs2])


@instruction("mulhu rd, rs1, rs2", "0000001 rs2 rs1 011 rd 0110011")
def mulhu(s, rd, rs1, rs2):
    s.x[rd] = multiply_high(s.x[rs1], s.x[rs2])


@instruction("mulw rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0111011")
def mulw(s, rd, rs1, rs2):
    s.x[rd] = s32(s.x[rs1] * s.x[rs2])


# 13.2 Division Operations


@instruction("div rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0110011")
def div(s, rd, rs1, rs2):
    s.x[rd] = divide(s64(s.x[rs1]), s64(s.x[rs2]))


@instruction("divu rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0110011")
def divu(s, rd, rs1, rs2):
    s.x[rd] = divide(s.x[rs1], s.x[rs2])


@instruction("rem rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0110011")
def rem(s, rd, rs1, rs2):
    s.x[rd] = remainder(s64(s.x[rs1]), s64(s.x[rs2]))


@instruction("remu rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0110011")
def remu(s, rd, rs1, rs2):
    s.x[rd] = remainder(s.x[rs1], s.x[rs2])


@instruction("divw rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0111011")
def divw(s, rd, rs1, rs2):
    s.x[rd] = s32(divide(s32(s.x[rs1]), s32(s.x[rs2])))


@instruction("divuw rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0111011")
def divuw(s, rd, rs1, rs2):
    s.x[rd] = s32(divide(u32(s.x[rs1]), u32(s.x[rs2])))


@instruction("remw rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0111011")
def remw(s, rd, rs1, rs2):
    s.x[rd] = s32(remainder(s32(s.x[rs1]), s32(s.x[rs2])))


@instruction("remuw rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0111011")
def remuw(s, rd, rs1, rs2):
    s.x[rd] = s32(remainder(u32(s.x[rs1]), u32(s.x[rs2])))
