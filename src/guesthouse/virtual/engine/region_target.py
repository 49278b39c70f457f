"""A region as a lowering target: registers are locals, which LLVM keeps in host registers.

Guest state is written back only where control leaves; what was changed by then is found by a pass over the blocks.
The functions that a region calls look at none of the registers that it keeps; else there is no such region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from guesthouse.virtual.engine.convention import jump
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.values import U64, Value
from guesthouse.virtual.spec.layout import RegisterFile

Register = tuple[str, int]


@dataclass
class Exit:
    """A way out of the region: its label, where control goes on, and what must be written back."""

    label: str
    way: str  # symbol that is jumped to
    block: int
    version: int  # of the registers: the same values are written back from every place that leaves here
    written: frozenset[Register]  # in this block so far
    places: list[tuple[str, str, str]] = field(default_factory=list)  # block left from, pc, instructions left


@dataclass
class Flowing:
    """What the pass over the blocks needs of one: registers it writes and the blocks that may follow."""

    written: set[Register] = field(default_factory=set)
    successors: set[int] = field(default_factory=set)


class RegionTarget(MachineTarget):
    """One region: registers are locals, memory goes through the inlined shadow page table."""

    def __init__(self, module: Module, text: FunctionText, runtime: Runtime, base: str, blocks: Sequence[int]) -> None:
        """`base`: i64, guest-virtual address of the page; `blocks`: page offsets where the region's blocks begin."""
        super().__init__(module, text, runtime.functions)
        self.base = base
        self.numbers = {offset: number for number, offset in enumerate(blocks)}
        self.locals: dict[Register, str] = {}
        self.exits: list[Exit] = []
        self.flowing = [Flowing() for _ in blocks]
        self.block = 0
        self.offset = 0  # of the present instruction
        self.before = "0"  # i64: instructions left when the block began
        self.version = 0  # of the registers: counts writes
        self.done = 0  # instructions of the block before the present one
        self.undone = "0"
        self.stored: str | None = None  # i64: nonzero where a slow store has undone code
        self.files_called: set[str] = set()
        bank = self.field_pointer("data_bank")
        self._bank = text.value(f"load ptr, ptr {bank}{alias('state')}")

    # --- state --------------------------------------------------------------------------------------------------------

    def data_bank(self) -> str:
        return self._bank

    def read_pc(self) -> Value:
        return Value(self.text.value(f"add i64 {self.base}, {self.offset}"), 0, U64, pc_offset=self.offset)

    def _local(self, file: RegisterFile, index: int) -> str:
        key = (file.name, index)
        if key not in self.locals:
            slot = self.locals[key] = self.text.local("i64")
            place = f"{slot}.place"
            self.text.prologue(f"{place} = getelementptr i8, ptr %s, i64 {self.layout.offset(file.name) + 8 * index}")
            self.text.prologue(f"{slot}.value = load i64, ptr {place}{alias('state')}")
            self.text.prologue(f"store i64 {slot}.value, ptr {slot}")
        return self.locals[key]

    def read_register(self, file: RegisterFile, index: Value) -> Value:
        if index.constant is None or index.constant == file.zero:
            return super().read_register(file, index)
        slot = self._local(file, index.constant)
        return Value(self.text.value(f"load i64, ptr {slot}"), 0, (1 << file.bits) - 1)

    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None:
        if index.constant is None or index.constant == file.zero:
            super().write_register(file, index, value)
            return
        slot = self._local(file, index.constant)
        ir = self._fitted(value, file.bits)
        self.text.emit(f"store i64 {ir}, ptr {slot}")
        self.flowing[self.block].written.add((file.name, index.constant))
        self.version += 1

    # --- leaving ------------------------------------------------------------------------------------------------------

    def leave(self, way: str, pc: str, left: str) -> str:
        """Label of a way out, to be branched to from the present block."""
        assert self.text.block is not None
        for exit in self.exits[-3:]:
            same = (exit.way, exit.block, exit.version) == (way, self.block, self.version)
            if same and exit.places[-1][0] != self.text.block:
                exit.places.append((self.text.block, pc, left))
                return exit.label
        written = frozenset(self.flowing[self.block].written)
        exit = Exit(self.text.fresh("exit"), way, self.block, self.version, written, [(self.text.block, pc, left)])
        self.exits.append(exit)
        return exit.label

    def left(self, done: int) -> str:
        """i64: instructions left when `done` of this block have run."""
        return self.text.value(f"sub i64 {self.before}, {done}")

    def here(self) -> str:
        """i64: the present instruction's address."""
        return self.text.value(f"add i64 {self.base}, {self.offset}")

    def spill(self, effects: frozenset[str]) -> None:
        self.files_called |= {effect.removeprefix("file:") for effect in effects if effect.startswith("file:")}
        if "pc" in effects:
            self.store_field("pc", self.here())
        if "time" in effects:
            self.store_field("remaining", self.left(self.done))

    def leave_by_trap(self) -> None:
        label = self.leave("abort", self.here(), self.left(self.done))
        self.text.end(f"br label %{label}")

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        result = super().call(source, effects, arguments)
        # A store may have undone this very region: then go on elsewhere after this instruction.
        if source.name == "atomic_place":
            self.undone = self.read_field("code_dropped").ir
        elif source.name == "zero_block":
            self.stored = self.read_field("code_dropped").ir
        return result

    def slow_store(self, address: Value, size: Value, value: Value) -> None:
        super().slow_store(address, size, value)
        self.undone = self.read_field("code_dropped").ir

    def after_store(self, fast: str | None, slow: str | None) -> None:
        self.stored = self.text.value(f"phi i64 [ 0, %{fast} ], [ {self.undone}, %{slow} ]")

    # --- ways out -----------------------------------------------------------------------------------------------------

    def write_exits(self) -> None:
        """Write the ways out at the end: state that may have changed goes back, then on to the next slot."""
        text = self.text
        changed = self._changed()
        for exit in self.exits:
            text.begin(exit.label)
            pc, left = self._arriving(exit)
            for name, index in sorted(changed[exit.block] | exit.written):
                value = text.value(f"load i64, ptr {self.locals[name, index]}")
                offset = self.layout.offset(name) + 8 * index
                place = text.value(f"getelementptr i8, ptr %s, i64 {offset}")
                text.emit(f"store i64 {value}, ptr {place}{alias('state')}")
            self._count(left)
            jump(text, self.module.handler(exit.way), pc=pc, left=left)

    def _count(self, left: str) -> None:
        """Add the instructions done since the region was entered to those that ran translated."""
        done = self.text.value(f"sub i64 %remaining, {left}")
        so_far = self.read_field("translated_steps")
        self.store_field("translated_steps", self.text.value(f"add i64 {so_far.ir}, {done}"))

    def _arriving(self, exit: Exit) -> tuple[str, str]:
        """pc and instructions left, whichever place is left from."""
        text = self.text
        pc = text.value("phi i64 " + ", ".join(f"[ {pc}, %{block} ]" for block, pc, _ in exit.places))
        left = text.value("phi i64 " + ", ".join(f"[ {left}, %{block} ]" for block, _, left in exit.places))
        return pc, left

    def _changed(self) -> list[set[Register]]:
        """Per block, the registers that may have changed since the region was entered when it begins."""
        incoming: list[set[Register]] = [set() for _ in self.flowing]
        todo = list(range(len(incoming)))
        while todo:
            number = todo.pop()
            outgoing = incoming[number] | self.flowing[number].written
            for successor in self.flowing[number].successors:
                if not outgoing <= incoming[successor]:
                    incoming[successor] |= outgoing
                    todo.append(successor)
        return incoming
