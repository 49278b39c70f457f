"""Zbs, single-bit instructions: volume I, section 30.4.4."""

from guesthouse.virtual.isa.riscv64.description import instruction

EXTENSION = "Zbs"


@instruction("bclr rd, rs1, rs2", "0100100 rs2 rs1 001 rd 0110011")
def bclr(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] & ~(1 << (s.x[rs2] & 63))


@instruction("bclri rd, rs1, shamt", "010010 shamt rs1 001 rd 0010011")
def bclri(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] & ~(1 << shamt)


@instruction("bext rd, rs1, rs2", "0100100 rs2 rs1 101 rd 0110011")
def bext(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] >> (s.x[rs2] & 63) & 1


@instruction("bexti rd, rs1, shamt", "010010 shamt rs1 101 rd 0010011")
def bexti(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] >> shamt & 1


@instruction("binv rd, rs1, rs2", "0110100 rs2 rs1 001 rd 0110011")
def binv(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] ^ 1 << (s.x[rs2] & 63)


@instruction("binvi rd, rs1, shamt", "011010 shamt rs1 001 rd 0010011")
def binvi(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] ^ 1 << shamt


@instruction("bset rd, rs1, rs2", "0010100 rs2 rs1 001 rd 0110011")
def bset(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] | 1 << (s.x[rs2] & 63)


@instruction("bseti rd, rs1, shamt", "001010 shamt rs1 001 rd 0010011")
def bseti(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] | 1 << shamt
