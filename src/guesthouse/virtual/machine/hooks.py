"""Breakpoints, watches and what else looks at a running guest; nothing here costs anything while there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.machine.engines import Engine
from guesthouse.virtual.spec.words import MASK64

READS, WRITES = 1, 2


class Access(msgspec.Struct, frozen=True):
    """One access by the guest's processor: guest-physical address and bytes.

    `value` is what is read or written, as a little-endian number. `device` names the device, "" for memory. `pc` is the
    instruction's guest-virtual address. `before` is what memory holds before the access (for devices 0): where it is
    read the same as `value`, where it is written what is replaced. A store that depends on a reservation and fails
    writes nothing: then they are the same, too.
    """

    address: int
    size: int
    write: bool
    value: int
    pc: int
    device: str = ""
    before: int = 0


class Handle:
    """A hook in place; `remove` takes it away (more than once does no harm)."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take the hook away, in effect at the next instruction."""
        if self._remove:
            remove, self._remove = self._remove, None
            remove()


class _Hook(msgspec.Struct, frozen=True, eq=False):
    """First address, the one behind the last, kinds of access; `callback` is None where the run is to stop."""

    first: int
    end: int
    kinds: int
    callback: Callable[..., Any] | None


class Hooks:
    """All hooks of one machine; `post` brings a change into the machine's thread."""

    def __init__(self, engines: Sequence[Engine], post: Callable[[Callable[[], object]], None]) -> None:
        self._engines = engines
        self._post = post
        self.execution: list[_Hook] = []
        self.access: list[_Hook] = []
        self.device: list[_Hook] = []
        self.firmware: list[_Hook] = []

    def on_execution(self, address: int, callback: Callable[..., Any] | None) -> Handle:
        """Before each execution of the instruction at a guest-virtual address."""
        address &= MASK64
        return self._add(self.execution, _Hook(address, address + 1, 0, callback))

    def on_access(self, first: int, length: int, kinds: int, callback: Callable[..., Any] | None) -> Handle:
        """Before each access of these kinds to some bytes of guest-physical memory."""
        if length <= 0 or not kinds:
            raise UserError("A watch needs at least one byte and one kind of access; give length and read or write.")
        return self._add(self.access, _Hook(first, first + length, kinds, callback))

    def on_device(self, callback: Callable[..., Any]) -> Handle:
        """After each access to a device."""
        return self._add(self.device, _Hook(0, 0, 0, callback))

    def on_firmware_call(self, callback: Callable[..., Any]) -> Handle:
        """Before each call of the built-in SBI."""
        return self._add(self.firmware, _Hook(0, 0, 0, callback))

    def _add(self, hooks: list[_Hook], hook: _Hook) -> Handle:
        hooks.append(hook)
        self._post(self._apply)
        return Handle(lambda: self._take(hooks, hook))

    def _take(self, hooks: list[_Hook], hook: _Hook) -> None:
        hooks.remove(hook)
        self._post(self._apply)

    def _apply(self) -> None:
        """Tell the engines; changes of nothing are free."""
        with self._engines[0].exclusive():
            for engine in self._engines:
                engine.set_breakpoints({hook.first for hook in self.execution})
                engine.set_watches([(hook.first, hook.end, hook.kinds) for hook in self.access])

    def at(self, pc: int) -> list[_Hook]:
        """Hooks on the instruction at an address."""
        return [hook for hook in self.execution if hook.first == pc]

    def touching(self, address: int, size: int, write: bool) -> list[_Hook]:
        """Hooks on an access."""
        kind = WRITES if write else READS
        return [h for h in self.access if h.kinds & kind and address < h.end and h.first < address + size]
