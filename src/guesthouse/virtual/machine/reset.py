"""A processor's state at reset."""

from __future__ import annotations

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.state import ProcessorState

CONTINUING = frozenset({"instructions", "trapped"})  # go on over a reset: the counted clock hangs on them


def reset_state(s: ProcessorState) -> None:
    """Give every field of the guest's its reset value; the counters start anew."""
    for name, field in ISA.layout.fields.items():
        if name in CONTINUING:
            continue
        first = ISA.layout.slot[name]
        for index in range(field.count):
            s.slots[first + index] = field.reset if isinstance(field, Field) else 0
    ISA.hooks["reset"](s)
    # They are kept as the difference to all that has ever run.
    s.mcycle = s.minstret = s.trapped - s.instructions
