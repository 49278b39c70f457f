"""Zba, address generation: volume I, section 30.4.1."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import u32

EXTENSION = "Zba"


@instruction("add.uw rd, rs1, rs2", "0000100 rs2 rs1 000 rd 0111011")
def add_uw(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + u32(s.x[rs1])


@instruction("sh1add rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0110011")
def sh1add(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (s.x[rs1] << 1)


@instruction("sh1add.uw rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0111011")
def sh1add_uw(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (u32(s.x[rs1]) << 1)


@instruction("sh2add rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0110011")
def sh2add(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (s.x[rs1] << 2)


@instruction("sh2add.uw rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0111011")
def sh2add_uw(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (u32(s.x[rs1]) << 2)


@instruction("sh3add rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0110011")
def sh3add(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (s.x[rs1] << 3)


@instruction("sh3add.uw rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0111011")
def sh3add_uw(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs2] + (u32(s.x[rs1]) << 3)


@instruction("slli.uw rd, rs1, shamt", "000010 shamt rs1 001 rd 0011011")
def slli_uw(s, rd, rs1, shamt):
    s.x[rd] = u32(s.x[rs1]) << shamt
