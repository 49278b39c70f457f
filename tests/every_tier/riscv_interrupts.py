"""What comes to a RISC-V hart from outside at any instruction: wires, timers, other harts; and masks that let it in."""

from __future__ import annotations

import random

from guesthouse.virtual.isa.riscv64.csr_counters import TICK
from guesthouse.virtual.isa.riscv64.status import Interrupt, Status

from .cases import MASK
from .engines import Rig

WIRES = Interrupt.MSI | Interrupt.SEI | Interrupt.MEI
MASKABLE = 0xAAA
SOON = 4  # ticks


def disturb(rng: random.Random, rigs: list[Rig]) -> None:
    """Change the same on all processors, as devices, other harts, or a debugger do between two instructions."""
    kind, bits, soon = rng.randrange(8), rng.getrandbits(12), rng.randrange(SOON)
    for rig in rigs:
        s = rig.state
        time = (int(s.instructions) + int(s.clock_offset)) // TICK + int(s.time_offset)
        if kind == 0:
            s.external = bits & WIRES
        elif kind == 1:
            s.raised = int(Interrupt.SSI)
        elif kind == 2:
            s.mtimecmp = (time + soon) & MASK
        elif kind == 3:
            s.stimecmp = (time + soon) & MASK
        elif kind in (4, 5):
            s.mie = bits & MASKABLE
            s.mstatus |= Status.SIE | Status.MIE
        elif kind == 6:
            s.external = 0
        else:
            continue
        s.attention = 1


def interrupts_taken(rig: Rig) -> int:
    """Since the program began."""
    return sum(rig.state.trap_counts[32:])
