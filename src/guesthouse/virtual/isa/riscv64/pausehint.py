"""Zihintpause, a hint in a spin loop: volume I, chapter 10. It waits where others could use the time."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import relax

EXTENSION = "Zihintpause"


@instruction("pause", "0000 0001 0000 00000 000 00000 0001111")
def pause(s):
    relax(s)
