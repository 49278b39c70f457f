"""Zifencei, instruction-fetch fence: volume I, chapter 6."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import synchronize

EXTENSION = "Zifencei"


@instruction("fence.i", "imm[11:0] rs1 001 rd 0001111")
def fence_i(s):
    s.refetch = 1
    synchronize(s)
