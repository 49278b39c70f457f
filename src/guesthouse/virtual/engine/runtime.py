"""The engine's runtime: which functions of the language it is, and what it needs of an instruction set."""

from __future__ import annotations

from typing import Any

from guesthouse.virtual.engine import control, stitching
from guesthouse.virtual.engine.source import Source, Sources
from guesthouse.virtual.memory import code, code_page, peers, shadow
from guesthouse.virtual.spec import hooks
from guesthouse.virtual.spec.description import Isa


def bindings(isa: Isa) -> dict[Any, Any]:
    """What the runtime's hooks mean for an instruction set."""
    found: dict[Any, Any] = {getattr(hooks, name): hook for name, hook in isa.hooks.items() if hasattr(hooks, name)}
    return found | {hooks.UNIT_SHIFT: isa.unit.bit_length() - 1, hooks.LONGEST: isa.longest}


class RuntimeFunctions(dict[str, tuple[Source, frozenset[str]]]):
    """Functions of the runtime by name, with their effects; each is read when it is first asked for."""

    def __init__(self, sources: Sources, known: dict[str, Any]) -> None:
        super().__init__()
        self._sources = sources
        self._known = known

    def __missing__(self, name: str) -> tuple[Source, frozenset[str]]:
        semantics = self._known[name]
        self[name] = self._sources.of(semantics), self._sources.effects(semantics)
        return self[name]


class Runtime:
    """The functions that native code of every tier calls, and their effects."""

    SOURCES = (
        *(shadow.slow_load, shadow.slow_store, shadow.atomic_place, shadow.touch, shadow.zero_block),
        shadow.places_near,
        *(shadow.physical_load, shadow.physical_compare_exchange),
        *(shadow.forget_translations, shadow.forget_translation, shadow.forget_context),
        *(shadow.pass_gate, shadow.frame_of),
        *(code.fetched, code.find_code, code.decode_at, code.break_at, code_page.clear_code_page, code.drop_all_code),
        *(control.nanoseconds, control.retired, control.find_next, control.trapped, control.begin_slice),
        control.relax,
        *(stitching.heated, peers.ask),
    )

    def __init__(self, isa: Isa) -> None:
        self.sources = Sources(bindings(isa))
        self.functions = RuntimeFunctions(self.sources, {s.__name__: s for s in self.SOURCES})
