"""What a description's words become in native code: the part that every target shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from guesthouse.virtual.engine.host_float import host_form
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import U64, Refused, Value, constant
from guesthouse.virtual.memory.shadow import ADDEND, ENTRIES, READ_TAG, WRITE_TAG
from guesthouse.virtual.spec import floating_point
from guesthouse.virtual.spec.layout import Field, RegisterFile

GATHER = 'void @"float.gather"(ptr) nounwind'

ATOMIC_OPERATIONS = {
    "atomic_exchange": "xchg",
    "atomic_add": "add",
    "atomic_and": "and",
    "atomic_or": "or",
    "atomic_xor": "xor",
    "atomic_min": "min",
    "atomic_max": "max",
    "atomic_min_unsigned": "umin",
    "atomic_max_unsigned": "umax",
}
# Words that are functions of the runtime.
RUNTIME_WORDS = (
    "touch zero_block fetched physical_load physical_compare_exchange forget_translations forget_translation "
    "nanoseconds retired"
).split()


# Slow paths that fast code calls: they keep the caller's registers, so that the fast way pays nothing for the call.
KEEPING = frozenset({"slow_load", "slow_store", "atomic_place"})


def convention(source: Source) -> str:
    """LLVM calling convention of a shared function."""
    return "preserve_mostcc " if source.name in KEEPING else ""


def signature(source: Source, effects: frozenset[str]) -> tuple[str, str]:
    """LLVM result type and parameter list of a shared function."""
    returns = source.annotations.get("return") is not None
    traps = "traps" in effects
    result = "{ i64, i1 }" if returns and traps else "i64" if returns else "i1" if traps else "void"
    parameters = ["ptr %s"] if takes_state(source) else []
    parameters += [f"i64 %a.{name}" for name in operands(source)]
    return result, ", ".join(parameters)


def takes_state(source: Source) -> bool:
    """Whether its first parameter is the state."""
    return bool(source.parameters) and source.parameters[0] == "s"


def operands(source: Source) -> tuple[str, ...]:
    """Its parameters without the state."""
    return source.parameters[1:] if takes_state(source) else source.parameters


class MachineTarget:
    """Access to state, memory and runtime from one function under construction."""

    def __init__(self, module: Module, text: FunctionText, runtime: Mapping[str, tuple[Source, frozenset[str]]]) -> None:
        self.module = module
        self.text = text
        self.layout = module.layout
        self.runtime = runtime

    # --- state --------------------------------------------------------------------------------------------------------

    def _field(self, name: str) -> Field:
        field = self.layout.fields[name]
        if not isinstance(field, Field):
            raise KeyError(name)
        return field

    def field_pointer(self, name: str) -> str:
        """Address of a field's slot."""
        return self.text.value(f"getelementptr i8, ptr %s, i64 {self.layout.offset(name)}")

    def read_pc(self) -> Value:
        return self.read_field("pc")

    def _gather(self, name: str) -> None:
        """The host holds back floating-point flags: have them in the state before it is looked at or written."""
        if name == "float_flags":
            self.text.emit(f'call void {self.module.declare("float.gather", GATHER)}(ptr %s) nounwind')

    def read_field(self, name: str) -> Value:
        self._gather(name)
        bits = self._field(name).bits
        pointer = self.field_pointer(name)
        return Value(self.text.value(f"load i64, ptr {pointer}{alias('state')}"), 0, (1 << bits) - 1)

    def _fitted(self, value: Value, bits: int) -> str:
        if bits == 64 or 0 <= value.low <= value.high < 1 << bits:
            return value.ir
        return self.text.value(f"and i64 {value.ir}, {(1 << bits) - 1}")

    def write_field(self, name: str, value: Value) -> None:
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
        if index.constant is not None and index.constant == file.zero:
            return constant(0)
        pointer = self._register_pointer(file, index.ir)
        return Value(self.text.value(f"load i64, ptr {pointer}{alias('state')}"), 0, (1 << file.bits) - 1)

    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None:
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
        raise NotImplementedError

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

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        if source.module.startswith(floating_point.__name__):
            found = host_form(self, source.name, arguments, lambda: self._value_of(source, effects, arguments))
            if found is not None:
                return found
        return self._call(source, effects, arguments)

    def _value_of(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value:
        value = self._call(source, effects, arguments)
        assert value is not None
        return value

    def _call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
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
            failed = self.text.value(f"extractvalue {result} {outcome}, 1")
            outcome = self.text.value(f"extractvalue {result} {outcome}, 0")
            self.abort(failed)
        kind = source.annotations["return"]
        low = -(1 << (kind.bits - 1)) if kind.signed else 0
        return Value(outcome, low, low + (1 << kind.bits) - 1)

    def call_runtime(self, name: str, arguments: list[Value]) -> Value | None:
        """Call a function of the runtime by name."""
        return self.call(*self.runtime[name], arguments)

    def table(self, numbers: tuple[int, ...]) -> str:
        return self.module.table(numbers)

    # --- words --------------------------------------------------------------------------------------------------------

    def word(self, name: str, arguments: list[Value]) -> Value | None:
        if name in RUNTIME_WORDS:
            return self.call_runtime(name, arguments)
        if name in ATOMIC_OPERATIONS:
            return self._atomic(ATOMIC_OPERATIONS[name], *arguments)
        written: Callable[..., Value | None] | None = getattr(self, "_word_" + name, None)
        if written is None:
            raise Refused(f"the word '{name}' has no native form")
        return written(*arguments)

    def _word_multiply_high(self, a: Value, b: Value) -> Value:
        kinds = ["zext" if v.unsigned else "sext" for v in (a, b)]
        x, y = (self.text.value(f"{k} i64 {v.ir} to i128") for k, v in zip(kinds, (a, b), strict=True))
        product = self.text.value(f"mul i128 {x}, {y}")
        high = self.text.value(f"lshr i128 {product}, 64")
        low, top = (a.low * b.low, a.high * b.high) if kinds == ["zext", "zext"] else (-(1 << 127), (1 << 127) - 1)
        return Value(self.text.value(f"trunc i128 {high} to i64"), low >> 64, top >> 64)

    def _division(self, a: Value, b: Value, rest: bool) -> Value:
        unsigned = a.unsigned and b.unsigned
        if not unsigned and not (a.signed and b.signed):
            raise Refused("divide words of one signedness")
        operation = ("u" if unsigned else "s") + ("rem" if rest else "div")
        zero = self.text.value(f"icmp eq i64 {b.ir}, 0")
        divisor = self.text.value(f"select i1 {zero}, i64 1, i64 {b.ir}")
        if not unsigned:
            # The one overflow: by -1 the quotient is the negation, which wraps; never let the host divide it.
            minus = self.text.value(f"icmp eq i64 {b.ir}, -1")
            divisor = self.text.value(f"select i1 {minus}, i64 1, i64 {divisor}")
        result = self.text.value(f"{operation} i64 {a.ir}, {divisor}")
        if not unsigned:
            negated = "0" if rest else self.text.value(f"sub i64 0, {a.ir}")
            result = self.text.value(f"select i1 {minus}, i64 {negated}, i64 {result}")
        result = self.text.value(f"select i1 {zero}, i64 {a.ir if rest else -1}, i64 {result}")
        if rest:
            return Value(result, min(a.low, 0), max(a.high, 0))
        # By zero all ones: in an unsigned division that is the word's largest value only modulo its width.
        return Value(result, -(1 << 64), (1 << 64) - 1)

    def _word_divide(self, a: Value, b: Value) -> Value:
        return self._division(a, b, rest=False)

    def _word_remainder(self, a: Value, b: Value) -> Value:
        return self._division(a, b, rest=True)

    def _extreme(self, a: Value, b: Value, kind: str) -> Value:
        prefix = "s" if a.signed and b.signed else "u" if a.unsigned and b.unsigned else ""
        if not prefix:
            raise Refused("compare words of one signedness")
        intrinsic = f"llvm.{prefix}{kind}.i64"
        function = self.module.declare(intrinsic, f"i64 @{intrinsic}(i64, i64)")
        chosen = min if kind == "min" else max
        low, high = chosen(a.low, b.low), chosen(a.high, b.high)
        return Value(self.text.value(f"call i64 {function}(i64 {a.ir}, i64 {b.ir})"), low, high)

    def _word_minimum(self, a: Value, b: Value) -> Value:
        return self._extreme(a, b, "min")

    def _word_maximum(self, a: Value, b: Value) -> Value:
        return self._extreme(a, b, "max")

    def _count_zeros(self, value: Value, width: Value, intrinsic: str) -> Value:
        bits = width.constant
        if bits not in (32, 64) or value.low < 0 or value.high >= 1 << bits:
            raise Refused("count in an unsigned word of 32 or 64 bits")
        name = f"llvm.{intrinsic}.i{bits}"
        function = self.module.declare(name, f"i{bits} @{name}(i{bits}, i1)")
        ir = value.ir if bits == 64 else self.text.value(f"trunc i64 {value.ir} to i32")
        count = self.text.value(f"call i{bits} {function}(i{bits} {ir}, i1 false)")
        if bits == 32:
            count = self.text.value(f"zext i32 {count} to i64")
        return Value(count, 0, bits)

    def _word_count_leading_zeros(self, value: Value, width: Value) -> Value:
        return self._count_zeros(value, width, "ctlz")

    def _word_count_trailing_zeros(self, value: Value, width: Value) -> Value:
        return self._count_zeros(value, width, "cttz")

    def _word_count_ones(self, value: Value) -> Value:
        function = self.module.declare("llvm.ctpop.i64", "i64 @llvm.ctpop.i64(i64)")
        return Value(self.text.value(f"call i64 {function}(i64 {value.ir})"), 0, 64)

    def _word_byte_swap(self, value: Value) -> Value:
        function = self.module.declare("llvm.bswap.i64", "i64 @llvm.bswap.i64(i64)")
        return Value(self.text.value(f"call i64 {function}(i64 {value.ir})"), 0, U64)

    # --- guest memory: the shadow page table, inlined -----------------------------------------------------------------

    def data_bank(self) -> str:
        """The present bank of the shadow page table, as a pointer."""
        return self.text.value(f"inttoptr i64 {self.read_field('data_bank').ir} to ptr")

    def _probe(self, address: Value, size: int, tag_offset: int, missed: str) -> str:
        """Host pointer of an aligned access that hits; control goes to the block `missed` where it does not."""
        text = self.text
        page = text.value(f"lshr i64 {address.ir}, 12")
        index = text.value(f"and i64 {page}, {ENTRIES - 1}")
        tags = text.value(f"getelementptr i8, ptr {self.data_bank()}, i64 {tag_offset}")
        tag_place = text.value(f"getelementptr i64, ptr {tags}, i64 {index}")
        tag = text.value(f"load i64, ptr {tag_place}{alias('shadow')}")
        # Bits that misaligned addresses set are compared too, so they miss.
        page = text.value(f"and i64 {address.ir}, {constant(~0xFFF | (size - 1)).ir}")
        hit, found = text.value(f"icmp eq i64 {tag}, {page}"), text.fresh("hit")
        text.branch(hit, found, missed, likely=True)
        text.begin(found)
        addends = text.value(f"getelementptr i8, ptr {self.data_bank()}, i64 {ADDEND}")
        addend_place = text.value(f"getelementptr i64, ptr {addends}, i64 {index}")
        addend = text.value(f"load i64, ptr {addend_place}{alias('shadow')}")
        place = text.value(f"add i64 {address.ir}, {addend}")
        return text.value(f"inttoptr i64 {place} to ptr")

    def _word_load(self, address: Value, size: Value) -> Value:
        text, bits = self.text, 8 * (size.constant or 0)
        missed, join = text.fresh("missed"), text.fresh("loaded")
        place = self._probe(address, bits // 8, READ_TAG, missed)
        # Unordered, or LLVM would move a guest's spinning load out of its loop.
        value = text.value(f"load atomic i{bits}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        if bits < 64:
            value = text.value(f"zext i{bits} {value} to i64")
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            slow = self.slow_load(address, size)
            if bits < 64:
                slow = Value(text.value(f"and i64 {slow.ir}, {(1 << bits) - 1}"), 0, (1 << bits) - 1)
            slow_end = text.block
            text.end(f"br label %{join}")
        text.begin(join)
        phi = text.value(f"phi i64 [ {value}, %{fast} ], [ {slow.ir}, %{slow_end} ]")
        return Value(phi, 0, (1 << bits) - 1)

    def _word_store(self, address: Value, size: Value, value: Value) -> None:
        text, bits = self.text, 8 * (size.constant or 0)
        missed, join = text.fresh("missed"), text.fresh("stored")
        place = self._probe(address, bits // 8, WRITE_TAG, missed)
        ir = self._narrowed(value, bits)
        text.emit(f"store atomic i{bits} {ir}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            self.slow_store(address, size, value)
            slow = text.block
            text.end(f"br label %{join}")
        text.begin(join)
        self.after_store(fast, slow)

    def slow_load(self, address: Value, size: Value) -> Value:
        """Load what the fast path could not."""
        value = self.call_runtime("slow_load", [address, size])
        assert value is not None
        return value

    def slow_store(self, address: Value, size: Value, value: Value) -> None:
        """Store what the fast path could not."""
        self.call_runtime("slow_store", [address, size, value])

    def after_store(self, fast: str | None, slow: str | None) -> None:
        """Where the fast and the slow way of a store (ending in these blocks) have met."""

    def _atomic_pointer(self, address: Value, size: Value) -> str:
        text = self.text
        missed, join = text.fresh("missed"), text.fresh("placed")
        fast_place = self._probe(address, size.constant or 0, WRITE_TAG, missed)
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            slow = self.call_runtime("atomic_place", [address, size])
            assert slow is not None
            slow_place = text.value(f"inttoptr i64 {slow.ir} to ptr")
            slow_end = text.block
            text.end(f"br label %{join}")
        text.begin(join)
        place = text.value(f"phi ptr [ {fast_place}, %{fast} ], [ {slow_place}, %{slow_end} ]")
        self.after_store(fast, slow_end)
        return place

    def _narrowed(self, value: Value, bits: int) -> str:
        return value.ir if bits == 64 else self.text.value(f"trunc i64 {value.ir} to i{bits}")

    def _widened(self, ir: str, bits: int) -> Value:
        wide = ir if bits == 64 else self.text.value(f"zext i{bits} {ir} to i64")
        return Value(wide, 0, (1 << bits) - 1)

    def _atomic(self, operation: str, address: Value, size: Value, value: Value) -> Value:
        bits = 8 * (size.constant or 0)
        place = self._atomic_pointer(address, size)
        ir = self._narrowed(value, bits)
        old = self.text.value(f"atomicrmw {operation} ptr {place}, i{bits} {ir} seq_cst{alias('guest')}")
        return self._widened(old, bits)

    def _word_load_reserved(self, address: Value, size: Value) -> Value:
        value = self._word_load(address, size)
        self.store_field("reservation_address", address.ir)
        self.store_field("reservation_value", value.ir)
        return value

    def _word_store_conditional(self, address: Value, size: Value, value: Value) -> Value:
        text, bits = self.text, 8 * (size.constant or 0)
        place = self._atomic_pointer(address, size)
        held = text.value(f"icmp eq i64 {self.read_field('reservation_address').ir}, {address.ir}")
        attempt, join = text.fresh("attempt"), text.fresh("attempted")
        before = text.block
        text.branch(held, attempt, join)
        text.begin(attempt)
        expected = self._narrowed(self.read_field("reservation_value"), bits)
        desired = self._narrowed(value, bits)
        pair = text.value(f"cmpxchg ptr {place}, i{bits} {expected}, i{bits} {desired} seq_cst seq_cst{alias('guest')}")
        done = text.value(f"extractvalue {{ i{bits}, i1 }} {pair}, 1")
        failed = text.value(f"select i1 {done}, i64 0, i64 1")
        text.begin(join)
        result = text.value(f"phi i64 [ 1, %{before} ], [ {failed}, %{attempt} ]")
        self.store_field("reservation_address", "-1")
        return Value(result, 0, 1)

    def _word_fence(self) -> None:
        self.text.emit("fence seq_cst")

    def _word_synchronize(self) -> None:
        """The instruction ends its stretch of native code (see Path.synchronizes)."""

    def _word_leave(self, reason: Value) -> None:
        self.store_field("exit_reason", reason.ir)

    # --- the runtime's own words --------------------------------------------------------------------------------------

    def _host_pointer(self, address: Value) -> str:
        return self.text.value(f"inttoptr i64 {address.ir} to ptr")

    def _word_host_load(self, address: Value, size: Value) -> Value:
        bits = 8 * (size.constant or 0)
        return self._widened(self.text.value(f"load i{bits}, ptr {self._host_pointer(address)}, align 1"), bits)

    def _word_host_store(self, address: Value, size: Value, value: Value) -> None:
        bits = 8 * (size.constant or 0)
        ir = self._narrowed(value, bits)
        self.text.emit(f"store i{bits} {ir}, ptr {self._host_pointer(address)}, align 1")

    def _word_host_compare_exchange(self, address: Value, size: Value, expected: Value, desired: Value) -> Value:
        bits = 8 * (size.constant or 0)
        pair = self.text.value(
            f"cmpxchg ptr {self._host_pointer(address)}, i{bits} {self._narrowed(expected, bits)}, "
            f"i{bits} {self._narrowed(desired, bits)} seq_cst seq_cst"
        )
        done = self.text.value(f"extractvalue {{ i{bits}, i1 }} {pair}, 1")
        return Value(self.text.value(f"zext i1 {done} to i64"), 0, 1)

    def _word_host_nanoseconds(self) -> Value:
        text = self.text
        function = text.value(f"inttoptr i64 {self.read_field('clock_function').ir} to ptr")
        place = self.field_pointer("clock_time")
        text.emit(f"call i32 {function}(i32 1, ptr {place}) nounwind")
        seconds, rest = self.read_field("clock_time").ir, self.read_field("clock_rest").ir
        whole = text.value(f"mul i64 {seconds}, 1000000000")
        return Value(text.value(f"add i64 {whole}, {rest}"), 0, U64)

    def _word_host_decode(self, slot: Value, word: Value) -> Value:
        function = self.module.declare("decode", 'i64 @"decode"(ptr, i64) nounwind')
        return Value(self.text.value(f"call i64 {function}(ptr {self._host_pointer(slot)}, i64 {word.ir})"), 0, 15)

    def _word_host_handler(self, which: Value) -> Value:
        name = self.module.declare(f"handler.{which.ir}", f'preserve_nonecc void @"handler.{which.ir}"(ptr, ptr, i64, i64, ptr)')
        return Value(self.text.value(f"ptrtoint ptr {name} to i64"), 0, U64)


class SharedFunctionTarget(MachineTarget):
    """A function of the language compiled by itself: a trap is an i1 beside the result."""

    def __init__(self, module: Module, text: FunctionText, runtime: Mapping[str, Any], result: str) -> None:
        super().__init__(module, text, runtime)
        self.result = result

    def abort(self, failed: str) -> None:
        leaving, going_on = self.text.fresh("trapped"), self.text.fresh("fine")
        self.text.branch(failed, leaving, going_on, likely=False)
        with self.text.cold(leaving):
            self.leave_by_trap()
        self.text.begin(going_on)

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
