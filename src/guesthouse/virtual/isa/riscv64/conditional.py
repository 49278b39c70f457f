"""Zicond, integer conditional operations: volume I, chapter 12."""

from guesthouse.virtual.isa.riscv64.description import instruction

EXTENSION = "Zicond"


@instruction("czero.eqz rd, rs1, rs2", "0000111 rs2 rs1 101 rd 0110011")
def czero_eqz(s, rd, rs1, rs2):
    s.x[rd] = 0 if s.x[rs2] == 0 else s.x[rs1]


@instruction("czero.nez rd, rs1, rs2", "0000111 rs2 rs1 111 rd 0110011")
def czero_nez(s, rd, rs1, rs2):
    s.x[rd] = 0 if s.x[rs2] != 0 else s.x[rs1]
