"""The machine-state layout: every field of a processor, declared once.

A processor's state is an array of 64-bit slots. Each field has a name, a place, a width and a reset value, so that
reset, save, load, the debugger and native code all derive from this table.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Field(msgspec.Struct, frozen=True):
    """One named word of state, unsigned; writes keep the low `bits` bits, of 64 at most.

    `usual`: a mask, and what its bits nearly always are where code that looks at them runs. Translated code is made for
    that, and looks once.
    """

    name: str
    bits: int = 64
    reset: int = 0
    doc: str = ""
    saved: bool = True  # False: derived or the host's, meaningless in another process
    usual: tuple[int, int] = (0, 0)

    @property
    def count(self) -> int:
        """Its slots, as a register file has them."""
        return 1


class RegisterFile(msgspec.Struct, frozen=True):
    """An array of `count` words of `bits` bits; register `zero`, where given, reads as zero whatever is written.

    `names` are the registers' names in assembly, by number. All registers are zero at reset.
    """

    name: str
    count: int
    bits: int = 64
    zero: int | None = None
    names: tuple[str, ...] = ()
    doc: str = ""
    saved: bool = True

    def index(self, name: str) -> int:
        """The number of the register called `name` in assembly; raises ValueError where there is none."""
        return self.names.index(name)


# What every processor has, whatever its instruction set. Engines rely on these names and on nothing else.
CONTROL = (
    Field("pc", doc="address of the next instruction"),
    Field("instructions", doc="steps (instructions and traps) until the last stop"),
    Field("target", saved=False, doc="`instructions` at which the running budget is spent"),
    Field("remaining", saved=False, doc="budget left, spilled where an instruction looks at time"),
    Field("trapped", doc="traps taken: steps that retired nothing"),
    Field("attention", doc="nonzero: look at interrupts and requests at the next poll"),
    Field("refetch", saved=False, doc="nonzero: an instruction asked to see code that others have written"),
    Field("request", saved=False, doc="nonzero: somebody outside asks the engine to stop"),
    Field("trap_cause", saved=False, doc="the trap being raised"),
    Field("trap_value", saved=False, doc="its value"),
    Field("exit_reason", saved=False, doc="see spec.exits"),
    Field("exit_address", saved=False, doc="guest-physical address of a device access"),
    Field("exit_size", saved=False, doc="its size in bytes"),
    Field("exit_value", saved=False, doc="its value; the answer to a read"),
    Field("exit_answered", saved=False, doc="1: the access that left has been done, take `exit_value`"),
    Field("reservation_address", reset=(1 << 64) - 1, doc="guest-virtual address reserved, all ones for none"),
    Field("reservation_value", doc="what was read there"),
    Field("float_flags", bits=8, doc="accrued IEEE 754 flags: NX 1, UF 2, OF 4, DZ 8, NV 16"),
)


class StateLayout:
    """The slots of one processor: `CONTROL`, then the instruction set's own fields, then an engine's.

    `fields` by name in the order of their slots; `slot`: the number of each field's first one; `slots`: how many there
    are. Raises ValueError where a name is declared twice.
    """

    def __init__(self, *fields: Field | RegisterFile) -> None:
        self.fields: dict[str, Field | RegisterFile] = {}
        self.slot: dict[str, int] = {}
        self.usual = frozenset(field.name for field in fields if isinstance(field, Field) and field.usual[0])
        self.slots = 0
        for field in (*CONTROL, *fields):
            if field.name in self.fields:
                raise ValueError(f"state field {field.name} is declared twice")
            self.fields[field.name] = field
            self.slot[field.name] = self.slots
            # A register file with a zero register has one more slot, where writes to that register go.
            self.slots += field.count + (1 if isinstance(field, RegisterFile) and field.zero is not None else 0)

    def extended(self, *fields: Field | RegisterFile) -> StateLayout:
        """This layout with an engine's private fields behind it."""
        own = [field for name, field in self.fields.items() if self.slot[name] >= len(CONTROL)]
        return StateLayout(*own, *fields)

    def offset(self, name: str) -> int:
        """Where a field begins, in bytes."""
        return 8 * self.slot[name]

    def saved(self) -> Iterator[Field | RegisterFile]:
        """The fields that make up the guest-visible state."""
        return (field for field in self.fields.values() if field.saved)
