"""Shared functions: functions of the language compiled once and called, such as the runtime and the page walk."""

from __future__ import annotations

from guesthouse.virtual.engine.convention import convention, operands, signature
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.target_state import Functions, value_range
from guesthouse.virtual.engine.values import Value


class SharedFunctionTarget(MachineTarget):
    """A function of the language compiled by itself: a trap is an i1 beside the result."""

    def __init__(self, module: Module, text: FunctionText, runtime: Functions, result: str) -> None:
        super().__init__(module, text, runtime)
        self.result = result

    def leave_by_trap(self) -> None:
        self.text.end("ret i1 true" if self.result == "i1" else "ret { i64, i1 } { i64 0, i1 true }")

    def finish(self, value: Value | None) -> None:
        """End the function on its ordinary way out."""
        if self.result == "void":
            self.text.end("ret void")
        elif self.result == "i1":
            self.text.end("ret i1 false")
        elif self.result == "i64":
            assert value is not None
            self.text.end(f"ret i64 {value.ir}")
        else:
            assert value is not None
            pair = self.text.value(f"insertvalue {{ i64, i1 }} {{ i64 0, i1 false }}, i64 {value.ir}, 0")
            self.text.end(f"ret {{ i64, i1 }} {pair}")


def build_shared(module: Module, runtime: Runtime, source: Source) -> None:
    """Lower one shared function."""
    effects = runtime.sources.effects(source.semantics)
    result, parameters = signature(source, effects)
    text = FunctionText(f'define {convention(source)}{result} @"{source.symbol}"({parameters}) nounwind')
    target = SharedFunctionTarget(module, text, runtime.functions, result)
    lowering = Lowering(runtime.sources, target, restartable=False)
    arguments = [Value(f"%a.{name}", *value_range(source.annotations[name])) for name in operands(source)]
    value = lowering.inline(source.semantics, arguments)
    if text.block is not None:
        target.finish(value and lowering.number(value))
    module.add(source.symbol, text)
