"""The engines by name, and what every one of them can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from guesthouse.errors import UserError
from guesthouse.host.user_folders import cache_folder, runtime_folder
from guesthouse.virtual.engine.interpreter import engine_layout
from guesthouse.virtual.engine.native import SLICE, NativeEngine
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.reference import ReferenceEngine
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.state import ProcessorState

NAMES = ("auto", "interpreter", "stitcher", "translator", "reference")


class Engine(Protocol):
    """The contract of the engines with the machine."""

    state: ProcessorState
    passing: int
    """What does not stop now: 1 breakpoints, 2 watches."""

    def run(self, budget: int) -> Exit:
        """Run until something needs the machine, at most `budget` steps."""

    def forget(self) -> None:
        """Drop everything derived from memory: it was replaced."""

    def forget_translations(self) -> None:
        """Drop what is remembered of the guest's page tables."""

    def fence_code(self, numbers: Iterable[int]) -> None:
        """Have processors see code written before, once what `fences` then gives has waited for them."""

    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None:
        """Have processors forget a range of page tables (see `hooks.fence_range`), likewise."""

    def fences(self) -> Callable[[], None] | None:
        """What waits for the fences asked for since the last call; None where none is to be waited for."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Have no processor of the machine in native code meanwhile; called by a thread that is in none itself."""

    def tier_at(self, physical: int) -> str:
        """The name of the engine that holds the code at a guest-physical address; what never ran is the lowest's."""

    def close(self) -> None:
        """Give everything back to the host."""

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        """Stop before the instructions at these guest-virtual addresses, and no others."""

    def set_watches(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Stop before accesses to these ranges: first address, address behind, 1 reads | 2 writes; guest-physical."""


def make_engines(
    name: str, isa: Isa, module: str, memory: GuestMemory, states: Sequence[ProcessorState]
) -> Sequence[Engine]:
    """An engine of that name for each processor; `module` describes the set. Raises UserError for an unknown name."""
    if name not in NAMES:
        raise UserError(f"There is no engine {name!r}; choose one of {', '.join(NAMES)}.")
    for state in states:
        state.slice = SLICE
    if name == "reference":
        return [ReferenceEngine(isa, memory, state) for state in states]
    code = NativeCode(module, cache_folder() / "code", runtime_folder())
    first = NativeEngine(isa, memory, states[0], code, name, processors=len(states))
    return [first, *(NativeEngine(isa, memory, state, code, name, first=first) for state in states[1:])]


def make_state(isa: Isa) -> ProcessorState:
    """A processor's state as all engines take it, reset."""
    state = ProcessorState(engine_layout(isa))
    state.reset()
    return state
