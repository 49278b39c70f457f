"""A target's ground: the processor's state, where control goes, and calls, as IR of one function under construction."""

from __future__ import annotations

from collections.abc import Mapping

from guesthouse.virtual.engine.convention import convention, signature, takes_state
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import Value, constant
from guesthouse.virtual.spec.layout import Field, RegisterFile

GATHER = 'void @"float.gather"(ptr) nounwind'

Functions = Mapping[str, tuple[Source, frozenset[str]]]  # of the runtime, by name, with their effects


def value_range(kind: type) -> tuple[int, int]:
    """Lowest and highest value of a width word."""
    bits: int = kind.bits  # type: ignore[attr-defined]
    low = -(1 << (bits - 1)) if kind.signed else 0  # type: ignore[attr-defined]
    return low, low + (1 << bits) - 1


class TargetState:
    """Access to state and runtime from one function under construction."""

    def __init__(self, module: Module, text: FunctionText, runtime: Functions) -> None:
        self.module = module
        self.text = text
        self.layout = module.layout
        self.runtime = runtime

    # --- state --------------------------------------------------------------------------------------------------------

    def _field(self, name: str) -> Field:
        """A field's description; raises KeyError for a register file."""
        field = self.layout.fields[name]
        if not isinstance(field, Field):
            raise KeyError(name)
        return field

    def field_pointer(self, name: str) -> str:
        """Address of a field's slot."""
        return self.text.value(f"getelementptr i8, ptr %s, i64 {self.layout.offset(name)}")

    def read_pc(self) -> Value:
        """The present instruction's address."""
        return self.read_field("pc")

    def _gather(self, name: str) -> None:
        """The host holds back floating-point flags: have them in the state before it is looked at or written."""
        if name == "float_flags":
            self.text.emit(f"call void {self.module.declare('float.gather', GATHER)}(ptr %s) nounwind")

    def read_field(self, name: str) -> Value:
        """A field's value; raises KeyError where the state has none of that name."""
        self._gather(name)
        bits = self._field(name).bits
        pointer = self.field_pointer(name)
        return Value(self.text.value(f"load i64, ptr {pointer}{alias('state')}"), 0, (1 << bits) - 1)

    def _fitted(self, value: Value, bits: int) -> str:
        """A value cut to a field's bits, unless it is known to fit."""
        if bits == 64 or 0 <= value.low <= value.high < 1 << bits:
            return value.ir
        return self.text.value(f"and i64 {value.ir}, {(1 << bits) - 1}")

    def write_field(self, name: str, value: Value) -> None:
        """Set a field to the value's low bits."""
        self._gather(name)
        ir = self._fitted(value, self._field(name).bits)
        pointer = self.field_pointer(name)
        self.text.emit(f"store i64 {ir}, ptr {pointer}{alias('state')}")

    def store_field(self, name: str, ir: str) -> None:
        """Write an engine's own field."""
        pointer = self.field_pointer(name)
        self.text.emit(f"store i64 {ir}, ptr {pointer}{alias('state')}")

    def _register_pointer(self, file: RegisterFile, index: str) -> str:
        base = self.text.value(f"getelementptr i8, ptr %s, i64 {self.layout.offset(file.name)}")
        return self.text.value(f"getelementptr i64, ptr {base}, i64 {index}")

    def read_register(self, file: RegisterFile, index: Value) -> Value:
        """A register by its number, known now or at run time."""
        if index.constant is not None and index.constant == file.zero:
            return constant(0)
        pointer = self._register_pointer(file, index.ir)
        return Value(self.text.value(f"load i64, ptr {pointer}{alias('state')}"), 0, (1 << file.bits) - 1)

    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None:
        """Set a register; what is written to the zero register goes nowhere."""
        if index.constant is not None and index.constant == file.zero:
            return
        if index.constant is None and file.zero is not None and index.low <= file.zero <= index.high:
            # Writes to the zero register go to the spare slot behind the file.
            zero = self.text.value(f"icmp eq i64 {index.ir}, {file.zero}")
            index = Value(self.text.value(f"select i1 {zero}, i64 {file.count}, i64 {index.ir}"), 0, file.count)
        ir = self._fitted(value, file.bits)
        pointer = self._register_pointer(file, index.ir)
        self.text.emit(f"store i64 {ir}, ptr {pointer}{alias('state')}")

    # --- control ------------------------------------------------------------------------------------------------------

    def abort(self, failed: str) -> None:
        """Continue in a new block unless the i1 `failed` holds: then the trap in `trap_cause` is to be taken."""
        leaving, going_on = self.text.fresh("trapped"), self.text.fresh("fine")
        self.text.branch(failed, leaving, going_on, likely=False)
        with self.text.cold(leaving):
            self.leave_by_trap()
        self.text.begin(going_on)

    def trap(self, cause: Value, value: Value) -> None:
        """End the block with a trap."""
        self.store_field("trap_cause", cause.ir)
        self.store_field("trap_value", value.ir)
        self.leave_by_trap()

    def leave_by_trap(self) -> None:
        """End the block: the trap is in `trap_cause`."""
        raise NotImplementedError

    def spill(self, effects: frozenset[str]) -> None:
        """Put what the called function looks at into the state."""

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        """Call a shared function, or write what does the same."""
        return self.call_function(source, effects, arguments)

    def call_function(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        """Call a shared function; a trap that it raises is taken at once."""
        self.spill(effects)
        result, parameters = signature(source, effects)
        how = convention(source)
        name = self.module.declare(source.symbol, f'{how}{result} @"{source.symbol}"({parameters}) nounwind')
        self.module.needed.setdefault(source.symbol, source)
        passed = ["ptr %s"] if takes_state(source) else []
        passed += [f"i64 {argument.ir}" for argument in arguments]
        operation = f"call {how}{result} {name}({', '.join(passed)}) nounwind"
        if result == "void":
            self.text.emit(operation)
            return None
        outcome = self.text.value(operation)
        if result == "i1":
            self.abort(outcome)
            return None
        if result != "i64":
            self.abort(self.text.value(f"extractvalue {result} {outcome}, 1"))
            outcome = self.text.value(f"extractvalue {result} {outcome}, 0")
        return Value(outcome, *value_range(source.annotations["return"]))

    def call_runtime(self, name: str, arguments: list[Value]) -> Value | None:
        """Call a function of the runtime by name."""
        return self.call(*self.runtime[name], arguments)

    def table(self, numbers: tuple[int, ...]) -> str:
        """A constant array of 64-bit words; gives its IR name."""
        return self.module.table(numbers)

    # --- widths -------------------------------------------------------------------------------------------------------

    def _narrowed(self, value: Value, bits: int) -> str:
        """The low bits of a value, as an operand of that width."""
        return value.ir if bits == 64 else self.text.value(f"trunc i64 {value.ir} to i{bits}")

    def _widened(self, ir: str, bits: int) -> Value:
        """An operand of that width as an unsigned value."""
        wide = ir if bits == 64 else self.text.value(f"zext i{bits} {ir} to i64")
        return Value(wide, 0, (1 << bits) - 1)
