"""A hart without an engine: the state, and an environment of a few words of memory that records what it is told."""

from __future__ import annotations

from typing import Any

from guesthouse.virtual.isa.riscv64.description import LAYOUT
from guesthouse.virtual.isa.riscv64.trap import reset
from guesthouse.virtual.spec.layout import RegisterFile

MASK = (1 << 64) - 1


class Registers:
    """A register file of the layout."""

    def __init__(self, file: RegisterFile) -> None:
        self.file = file
        self.values = [0] * file.count

    def __getitem__(self, index: int) -> int:
        assert index >= 0
        return self.values[index]

    def __setitem__(self, index: int, value: int) -> None:
        assert index >= 0
        if index != self.file.zero:
            self.values[index] = int(value) & ((1 << self.file.bits) - 1)


class Environment:
    """Memory by word; everything else is counted or remembered."""

    def __init__(self) -> None:
        self.memory: dict[int, int] = {}  # 8-byte words by address; what is not here is no RAM
        self.clock = 0
        self.count = 0
        self.word = 0  # the instruction being executed
        self.left: list[int] = []
        self.synchronized = 0
        self.forgotten: list[int | None] = []
        self.interfere: Any = None  # called before each compare-and-exchange

    def fetched(self) -> int:
        return self.word

    def nanoseconds(self) -> int:
        return self.clock

    def retired(self) -> int:
        return self.count

    def synchronize(self) -> None:
        self.synchronized += 1

    def forget_translations(self) -> None:
        self.forgotten.append(None)

    def forget_context(self, context: int) -> None:
        self.forgotten.append(("context", context))

    def forget_translation(self, address: int, pages: int) -> None:
        self.forgotten.append((address, pages))

    def leave(self, reason: int) -> None:
        self.left.append(reason)

    def physical_load(self, address: int, size: int) -> int:
        assert address % size == 0
        word = self.memory.get(address & ~7)
        return -1 if word is None else word >> 8 * (address & 7) & ((1 << 8 * size) - 1)

    def physical_compare_exchange(self, address: int, size: int, expected: int, desired: int) -> int:
        assert size == 8 and address % 8 == 0
        if self.interfere:
            self.interfere()
        if self.memory.get(address) != expected:
            return 0
        self.memory[address] = desired
        return 1


class Hart:
    """The state of one hart, fields truncated to their width as an engine does."""

    environment: Environment

    def __init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "environment", Environment())
        set_(self, "next_pc", 0)
        for name, field in LAYOUT.fields.items():
            set_(self, name, Registers(field) if isinstance(field, RegisterFile) else field.reset)
        reset(self)

    def __setattr__(self, name: str, value: int) -> None:
        bits = 64 if name == "next_pc" else LAYOUT.fields[name].bits  # an undeclared name is a mistake
        object.__setattr__(self, name, int(value) & ((1 << bits) - 1))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def permit_all(self) -> Hart:
        """One PMP entry for everything, as firmware sets up."""
        self.pmpcfg[0] = 0x1F
        self.pmpaddr[0] = (1 << 54) - 1
        return self
