"""Declared state: reset, save, load and documentation come from one table."""

import copy
from typing import Any, ClassVar, TypeAlias

import msgspec

from guesthouse.errors import UserError

Plain: TypeAlias = int | bool | bytes | str | list[Any] | dict[str, Any]
"""What a saved state is made of."""


class Register(msgspec.Struct, frozen=True):
    """One register the guest sees, or an array of equal ones.

    `offset`, `stride` and `row_stride` are in bytes from the device's base; an array has `rows` times `count` elements,
    kept flat in one list. `writable` masks the bits a write changes. The device may define `on_read_<name>` to
    compute what a read answers, and `on_write_<name>`, which gets the new value (reserved bits kept) and stores it
    itself; for an array both get the index first. A register that is not `stored` reads as zero without a hook.
    """

    name: str
    offset: int
    size: int = 4
    doc: str = ""
    reset: int = 0
    writable: int = 0
    stored: bool = True
    effects: bool = False
    """Whether an access does more than change this register, so that two narrow ones differ from one wide one."""
    count: int | None = None
    stride: int = 0
    rows: int = 1
    row_stride: int = 0

    @property
    def elements(self) -> int:
        """How many registers this entry stands for."""
        return (1 if self.count is None else self.count) * self.rows

    def offsets(self) -> list[int]:
        """The offset of each element, in the order of its index."""
        columns = 1 if self.count is None else self.count
        stride = self.stride or self.size
        rows = [self.offset + row * self.row_stride for row in range(self.rows)]
        return [start + column * stride for start in rows for column in range(columns)]


class State(msgspec.Struct, frozen=True):
    """A piece of state behind the registers; `keep` makes it outlive a reset."""

    name: str
    default: Any
    doc: str = ""
    keep: bool = False


class Stateful:
    """Something whose whole state is declared in `registers` and `state`, and in its parts."""

    version: ClassVar[int] = 1
    registers: tuple[Register, ...] = ()
    state: tuple[State, ...] = ()

    def parts(self) -> dict[str, "Stateful"]:
        """The pieces whose state belongs to this one, by name."""
        return {}

    def resume(self) -> None:
        """Drive wires and alarms again after the state has been reset or loaded."""

    def start(self) -> None:
        """Give every declared field its first value; the constructor's last call."""
        for entry in self.state:
            setattr(self, entry.name, copy.deepcopy(entry.default))
        self._reset_registers()

    def _reset_registers(self) -> None:
        for register in self.registers:
            if register.stored:
                array = register.count is not None
                setattr(self, register.name, [register.reset] * register.elements if array else register.reset)

    def reset(self) -> None:
        """Do what the machine's reset line does."""
        for entry in self.state:
            if not entry.keep:
                setattr(self, entry.name, copy.deepcopy(entry.default))
        self._reset_registers()
        for part in self.parts().values():
            part.reset()
        self.resume()

    def _stored(self) -> list[str]:
        return [register.name for register in self.registers if register.stored] + [entry.name for entry in self.state]

    def save(self) -> dict[str, Plain]:
        """Return the whole state as plain data, by field name."""
        fields: dict[str, Plain] = {name: _plain(getattr(self, name)) for name in self._stored()}
        saved: dict[str, Plain] = {"version": self.version, "fields": fields}
        parts = {name: part.save() for name, part in self.parts().items()}
        return {**saved, "parts": parts} if parts else saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over a state that `save` returned; raises `UserError` where it does not fit."""
        self._take(saved)
        self._resume_all()

    def _take(self, saved: dict[str, Any]) -> None:
        kind = type(self).__name__
        if saved.get("version") != self.version:
            was = saved.get("version")
            raise UserError(f"The saved state of {kind} has version {was}, not {self.version}; save it again.")
        fields, parts = saved.get("fields", {}), saved.get("parts", {})
        for name in self._stored():
            current, value = getattr(self, name), fields.get(name)
            if not _fits(current, value):
                raise UserError(f"The saved state of {kind} has no valid field {name!r}; it is of another machine.")
            setattr(self, name, bytearray(value) if isinstance(current, bytearray) else copy.deepcopy(value))
        for name, part in self.parts().items():
            if name not in parts:
                raise UserError(f"The saved state of {kind} lacks its part {name!r}; it is of another machine.")
            part._take(parts[name])

    def _resume_all(self) -> None:
        for part in self.parts().values():
            part._resume_all()
        self.resume()

    def describe(self) -> dict[str, Any]:
        """Return the documentation of registers and state as plain data."""
        registers = [
            {
                "name": entry.name, "offset": entry.offset, "size": entry.size, "elements": entry.elements,
                "reset": entry.reset, "writable": entry.writable, "doc": entry.doc,
            }
            for entry in self.registers
        ]  # fmt: skip
        state = [{"name": entry.name, "doc": entry.doc, "kept over reset": entry.keep} for entry in self.state]
        parts = {name: part.describe() for name, part in self.parts().items()}
        return {"doc": type(self).__doc__ or "", "registers": registers, "state": state, "parts": parts}


def _plain(value: Any) -> Plain:
    if isinstance(value, bytearray):
        return bytes(value)
    result: Plain = copy.deepcopy(value)
    return result


def _fits(current: Any, value: Any) -> bool:
    """Tell whether a saved value has the shape of the field it is for; lists of registers keep their length."""
    if isinstance(current, bytearray):
        return isinstance(value, bytes | bytearray)
    if isinstance(current, list):
        return isinstance(value, list) and (len(value) == len(current) or not current or isinstance(current[0], list))
    return isinstance(value, type(current)) or (isinstance(current, int) and isinstance(value, int))
