"""What a description's words become in native code: the part that every target shares.

The words are grouped by what they are about: `arithmetic_words`, `memory_words`, `runtime_words`, and in `host_float`
what of floating point the host's own unit can do.
"""

from __future__ import annotations

from collections.abc import Callable

from guesthouse.virtual.engine.arithmetic_words import ArithmeticWords
from guesthouse.virtual.engine.host_float import host_form
from guesthouse.virtual.engine.memory_words import ATOMIC_OPERATIONS, MemoryWords
from guesthouse.virtual.engine.runtime_words import RuntimeWords
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import Refused, Value
from guesthouse.virtual.spec import floating_point

# Words that are functions of the runtime.
RUNTIME_FUNCTIONS = frozenset(
    {"touch", "zero_block", "fetched", "physical_load", "physical_compare_exchange", "forget_translations"}
    | {"forget_translation", "forget_context", "nanoseconds", "retired", "relax"}
)


class MachineTarget(ArithmeticWords, MemoryWords, RuntimeWords):
    """Access to state, memory and runtime from one function under construction."""

    def word(self, name: str, arguments: list[Value]) -> Value | None:
        """Write a word of the language; raises Refused where it has no native form."""
        if name in RUNTIME_FUNCTIONS:
            return self.call_runtime(name, arguments)
        if name in ATOMIC_OPERATIONS:
            return self._atomic(ATOMIC_OPERATIONS[name], *arguments)
        written: Callable[..., Value | None] | None = getattr(self, "_word_" + name, None)
        if written is None:
            raise Refused(f"the word '{name}' has no native form")
        return written(*arguments)

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        """Call a shared function, or do what it does on the host's floating-point unit."""
        if source.module.startswith(floating_point.__name__):

            def soft() -> Value:
                value = self.call_function(source, effects, arguments)
                assert value is not None
                return value

            found = host_form(self, source.name, arguments, soft)
            if found is not None:
                return found
        return super().call(source, effects, arguments)
