"""Zihintpause, a hint in a spin loop: volume I, chapter 10. It may wait for no time at all."""

from guesthouse.virtual.isa.riscv64.description import instruction

EXTENSION = "Zihintpause"


@instruction("pause", "0000 0001 0000 00000 000 00000 0001111")
def pause(s):
    pass
