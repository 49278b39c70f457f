"""One instruction as a stencil: machine code with holes, to be copied and patched into a block (copy-and-patch).

A stencil is a handler without dispatch: its operands are holes, it falls through to what is copied behind it, and
whatever is slow or rare is left to the instruction's handler, which does all of it again. That is right since
instructions are restartable: nothing is written before the last place where a stencil may leave.

The register written last is also handed over in a host register, `%carried`. An instruction has a stencil for each
choice of operands that it finds there; `stitching` takes the one that fits. The bank of the shadow page table is handed
over in another one, `%bank`, from the block's begin on.
"""

from __future__ import annotations

from guesthouse.virtual.engine.convention import CONVENTION, PARAMETERS, TAIL
from guesthouse.virtual.engine.decoder import stored_operands
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.reading import Path
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.stitching import LONGEST_BLOCK
from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.target_state import value_range
from guesthouse.virtual.engine.values import U64, Refused, Value, constant
from guesthouse.virtual.memory.shadow import READ_TAG, WRITE_TAG
from guesthouse.virtual.spec.description import Instruction
from guesthouse.virtual.spec.layout import RegisterFile

SHAPE = "(ptr, ptr, i64, i64, ptr, i64, ptr)"
HEADER = f"({PARAMETERS}, i64 %carried, ptr %bank)"
WHOLE = '"no-jump-tables"="true"'  # a table of places in the stencil would not move with its copies

# Where control leaves a stencil: to what is copied behind it, to the target of its jump, to the handler.
NEXT, TAKEN, BAIL = "to.next", "to.taken", "to.bail"


class StencilTarget(MachineTarget):
    """One instruction with its operands in holes."""

    def __init__(
        self, module: Module, symbol: str, runtime: Runtime, instruction: Instruction, carried: frozenset[str]
    ) -> None:
        """`carried`: operands whose register's value is in `%carried`."""
        text = FunctionText(f'define {CONVENTION} void @"{symbol}"{HEADER} nounwind {WHOLE}')
        super().__init__(module, text, runtime.functions)
        self.instruction = instruction
        self.length = instruction.pattern.length
        self.leaves: set[str] = set()
        self.reads: list[tuple[str, RegisterFile]] = []  # operands that number registers read
        self.writes: list[tuple[Value, RegisterFile]] = []  # numbers of the registers written
        self._carried = carried
        self._result = ""
        self._wrote = False

    # --- holes --------------------------------------------------------------------------------------------------------

    def hole(self, name: str, low: int, high: int) -> str:
        """i64 that is known when the stencil is copied, within these bounds (see `stencil_builder`)."""
        return f"ptrtoint (ptr {self.module.hole(name, low, high)} to i64)"

    def operand_values(self) -> list[Value]:
        """The operands in the order of the function's parameters."""
        low_high = {stored.operand.name: stored.operand for stored in stored_operands(self.instruction)}
        values = []
        for name in self.instruction.parameters:
            low, high = low_high[name].low, low_high[name].high
            if low == high:
                values.append(constant(low))
            else:
                values.append(Value(self.hole(f"operand.{name}", low, high), low, high, operand=name))
        return values

    def read_pc(self) -> Value:
        at = self.hole("at.pc", -4096, 4096)
        return Value(self.text.value(f"add i64 %pc, {at}"), 0, U64, pc_offset=0)

    def read_register(self, file: RegisterFile, index: Value) -> Value:
        if index.operand is None:
            return super().read_register(file, index)
        if (index.operand, file) not in self.reads:
            self.reads.append((index.operand, file))
        if index.operand in self._carried:
            return Value("%carried", 0, (1 << file.bits) - 1)
        place = self._place("read", file, index)
        return Value(self.text.value(f"load i64, ptr {place}{alias('state')}"), 0, (1 << file.bits) - 1)

    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None:
        if index.constant is not None and index.constant == file.zero:
            return
        self.writes.append((index, file))
        self._wrote = True
        if index.operand is None:
            super().write_register(file, index, value)
            return
        ir = self._fitted(value, file.bits)
        self.text.emit(f"store i64 {ir}, ptr {self._place('write', file, index)}{alias('state')}")
        if not self._result:
            self._result = self._result_of(f"write.{index.operand}.{file.name}")
        self.text.emit(f"store i64 {ir}, ptr {self._result}")

    def _result_of(self, hole: str) -> str:
        """A local for what the register holds in the end: on a path that does not write it, what it held."""
        result = self.text.local("i64")
        self.text.prologue(f"{result}.place = getelementptr i8, ptr %s, i64 {self.hole(hole, 0, 1 << 16)}")
        self.text.prologue(f"{result}.before = load i64, ptr {result}.place{alias('state')}")
        self.text.prologue(f"store i64 {result}.before, ptr {result}")
        return result

    def _place(self, way: str, file: RegisterFile, index: Value) -> str:
        place = self.hole(f"{way}.{index.operand}.{file.name}", 0, 1 << 16)
        return self.text.value(f"getelementptr i8, ptr %s, i64 {place}")

    def write_field(self, name: str, value: Value) -> None:
        super().write_field(name, value)
        self._wrote = True

    # --- leaving ------------------------------------------------------------------------------------------------------

    def leave(self, way: str) -> None:
        """End the block by going over to one of the ways out, everything as it was."""
        if way == BAIL and self._wrote:
            raise Refused("may leave after state was written")
        self.leaves.add(way)
        if way == BAIL or not self.writes:
            self.jump(way)
        else:
            self.jump(way, carried=self.text.value(f"load i64, ptr {self._result}") if self.yields else "poison")

    def jump(
        self,
        where: str,
        slot: str = "%slot",
        pc: str = "%pc",
        left: str = "%remaining",
        carried: str = "%carried",
        bank: str = "%bank",
    ) -> None:
        """Go over to something of a handler's shape; what is no stencil does not look at what is carried."""
        symbol = where if where[0] == "%" else self.module.declare(where, f'{CONVENTION} void @"{where}"{SHAPE}')
        arguments = f"ptr %page, ptr {slot}, i64 {pc}, i64 {left}, ptr %s, i64 {carried}, ptr {bank}"
        self.text.emit(f"{TAIL} {symbol}({arguments})")
        self.text.end("ret void")

    @property
    def yields(self) -> tuple[str, RegisterFile] | None:
        """Operand that numbers the one register written, which is carried on; None where it is not that simple."""
        if len(self.writes) != 1:
            return None
        index, file = self.writes[0]
        return (index.operand, file) if index.operand else None

    def leave_by_trap(self) -> None:
        self.leave(BAIL)

    def _bailing(self) -> str:
        """Label of a block that leaves to the handler."""
        label = self.text.fresh("bail")
        with self.text.cold(label):
            self.leave(BAIL)
        return label

    def call_function(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        """A call is for the handler (the floating point that the host does is none)."""
        self.leave(BAIL)
        self.text.begin(self.text.fresh("never"))
        returns = source.annotations.get("return")
        return None if returns is None else Value("poison", *value_range(returns))

    def _gather(self, name: str) -> None:
        if name == "float_flags":
            raise Refused("the host holds floating-point flags back")

    # --- guest memory -------------------------------------------------------------------------------------------------

    def data_bank(self) -> str:
        """As it was where the block was entered: what changes it ends the stretch of native code."""
        return "%bank"

    def _word_load(self, address: Value, size: Value) -> Value:
        bits = 8 * (size.constant or 0)
        place, _ = self._probe(address, bits // 8, READ_TAG, self._bailing())
        value = f"load atomic i{bits}, ptr {place} unordered, align {bits // 8}{alias('guest')}"
        return self._widened(self.text.value(value), bits)

    def _word_store(self, address: Value, size: Value, value: Value) -> None:
        bits = 8 * (size.constant or 0)
        place, _ = self._probe(address, bits // 8, WRITE_TAG, self._bailing())
        ir = self._narrowed(value, bits)
        self.text.emit(f"store atomic i{bits} {ir}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        self._wrote = True

    def _atomic_pointer(self, address: Value, size: Value) -> str:
        place, _ = self._probe(address, size.constant or 0, WRITE_TAG, self._bailing())
        self._wrote = True
        return place

    # --- going on -----------------------------------------------------------------------------------------------------

    def finish(self, path: Path) -> Value | None:
        """Go on behind the instruction; gives the jump's target where it is known when the stencil is copied."""
        next_pc, taken = path.next_pc, None
        assert next_pc is not None
        if path.synchronizes:
            raise Refused("ends the stretch of native code")
        if next_pc.choice is None:
            return self._go_on(next_pc)
        condition, yes, no = next_pc.choice
        labels = self.text.fresh("taken"), self.text.fresh("straight")
        self.text.branch(condition, *labels)
        for label, where in zip(labels, (yes, no), strict=True):
            self.text.begin(label)
            taken = self._go_on(where if where.pc_offset is not None else next_pc) or taken
        return taken

    def _go_on(self, where: Value) -> Value | None:
        if where.pc_offset == self.length and where.operand is None:
            self.leave(NEXT)
        elif where.pc_offset is not None:
            self.leave(TAKEN)
            return where
        else:
            after = self.hole("at.after", 0, LONGEST_BLOCK)
            leave_block(self, after)
            self.leaves.add("far")
            self.jump("far", pc=where.ir, left=self.text.value(f"sub i64 %remaining, {after}"))
        return None


def leave_block(target: StencilTarget, done: str) -> None:
    """Count the instructions of a block that is left."""
    so_far = target.read_field("stitched_steps")
    target.store_field("stitched_steps", target.text.value(f"add i64 {so_far.ir}, {done}"))
