"""A processor's state: the slots of its layout, readable by name from Python and by address from native code."""

from __future__ import annotations

import ctypes
from typing import Any

from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout


class Registers:
    """One register file; the zero register reads zero and ignores writes."""

    def __init__(self, slots: memoryview, first: int, file: RegisterFile) -> None:
        self._slots = slots[first : first + file.count]
        self._mask = (1 << file.bits) - 1
        self._zero = file.zero

    def __getitem__(self, index: int) -> int:
        return self._slots[index]

    def __setitem__(self, index: int, value: int) -> None:
        if index != self._zero:
            self._slots[index] = value & self._mask

    def __len__(self) -> int:
        return len(self._slots)


class ProcessorState:
    """The declared fields as attributes: `state.pc`, `state.x[10]`; writes are truncated to the field's width."""

    environment: Any = None  # what the words that touch the machine ask (reference engine)
    next_pc: int = 0

    def __init__(self, layout: StateLayout) -> None:
        self.layout = layout
        self._memory = (ctypes.c_uint64 * (layout.slots + 8))()
        # A cache line's alignment, for the host's sake.
        self.address = ctypes.addressof(self._memory) + 63 & ~63
        block = (ctypes.c_uint64 * layout.slots).from_address(self.address)
        self.slots = memoryview(block).cast("B").cast("Q")
        for name, field in layout.fields.items():
            if isinstance(field, RegisterFile):
                setattr(self, name, Registers(self.slots, layout.slot[name], field))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.slots[self.layout.slot[name]]
        except KeyError:
            raise AttributeError(f"the state has no field '{name}'") from None

    def __setattr__(self, name: str, value: Any) -> None:
        layout: StateLayout | None = self.__dict__.get("layout")
        field = layout.fields.get(name) if layout else None
        if layout and isinstance(field, Field):
            self.slots[layout.slot[name]] = value & ((1 << field.bits) - 1)
        else:
            object.__setattr__(self, name, value)

    def reset(self) -> None:
        """Give every field its reset value."""
        for name, field in self.layout.fields.items():
            for i in range(field.count):
                self.slots[self.layout.slot[name] + i] = field.reset if isinstance(field, Field) else 0

    def save(self) -> dict[str, int | list[int]]:
        """The guest-visible state by field name."""
        found: dict[str, int | list[int]] = {}
        for field in self.layout.saved():
            first = self.layout.slot[field.name]
            values = list(self.slots[first : first + field.count])
            found[field.name] = values[0] if isinstance(field, Field) else values
        return found

    def load(self, saved: dict[str, int | list[int]]) -> None:
        """Take a saved state; fields it doesn't name keep their reset value. Raises ValueError for unknown ones."""
        for name, value in saved.items():
            if name not in self.layout.fields:
                raise ValueError(f"the saved state has a field '{name}' that this processor lacks")
            first = self.layout.slot[name]
            for i, word in enumerate(value if isinstance(value, list) else [value]):
                self.slots[first + i] = word
