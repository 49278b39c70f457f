"""The translator: a region of guest code lowered to one host function, operands as constants, registers in registers.

The function has the shape of an interpreter's handler and is installed as one: the first slot of the region holds it.
So interpreted and translated code call each other by the same jump, and undoing a translation is undoing a slot.
Guest state is written back only where control leaves; what was changed by then is found by a pass over the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from guesthouse.virtual.engine.decoder import handler_symbol
from guesthouse.virtual.engine.interpreter import CONVENTION, PARAMETERS, TAIL, Runtime, engine_layout
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering, Path
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.region import Block, Flow, RegionFormer, Step
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.values import U64, Refused, Value, constant
from guesthouse.virtual.spec.description import Isa
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

    def __init__(self, module: Module, text: FunctionText, runtime: Runtime, base: str) -> None:
        super().__init__(module, text, runtime.functions)
        self.base = base  # i64: guest-virtual address of the page
        self.locals: dict[Register, str] = {}
        self.exits: list[Exit] = []
        self.flowing: list[Flowing] = []
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
            if (exit.way, exit.block, exit.version) == (way, self.block, self.version):
                if exit.places[-1][0] != self.text.block:
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

    def abort(self, failed: str) -> None:
        leaving, going_on = self.text.fresh("trapped"), self.text.fresh("fine")
        self.text.branch(failed, leaving, going_on, likely=False)
        with self.text.cold(leaving):
            self.leave_by_trap()
        self.text.begin(going_on)

    def leave_by_trap(self) -> None:
        label = self.leave("abort", self.here(), self.left(self.done))
        self.text.end(f"br label %{label}")

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        result = super().call(source, effects, arguments)
        if source.name in ("atomic_place", "zero_block"):
            # The store may have undone this very region: then go on elsewhere after this instruction.
            self.undone = self.read_field("code_dropped").ir
        return result

    def slow_store(self, address: Value, size: Value, value: Value) -> None:
        super().slow_store(address, size, value)
        self.undone = self.read_field("code_dropped").ir

    def after_store(self, fast: str | None, slow: str | None) -> None:
        self.stored = self.text.value(f"phi i64 [ 0, %{fast} ], [ {self.undone}, %{slow} ]")


class Translator(Flow):
    """Makes regions of one instruction set."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.runtime = Runtime(isa)
        self.layout = engine_layout(isa)
        self.former = RegionFormer(isa)

    # --- where control goes -------------------------------------------------------------------------------------------

    def targets(self, step: Step) -> set[int] | None:
        effects = self.runtime.sources.effects(step.instruction.semantics)
        if "next_pc" not in effects:
            return set() if "synchronize" in effects and self._ends(step) else {step.after}
        path = self._lower_alone(step)
        if path is None or path.synchronizes:
            return set()
        return {-1 if offset is None else offset for offset in self._offsets(path.next_pc)}  # -1: elsewhere

    def _ends(self, step: Step) -> bool:
        path = self._lower_alone(step)
        return path is None or path.synchronizes

    def _lower_alone(self, step: Step) -> Path | None:
        """The path an instruction leaves behind, from lowering it into a text that is thrown away."""
        text = FunctionText("")
        target = RegionTarget(Module(self.layout), text, self.runtime, "%base")
        target.flowing.append(Flowing())
        path = self._lower(target, Lowering(self.runtime.sources, target), step)
        return path if text.block is not None else None

    def _offsets(self, next_pc: Value | None) -> list[int | None]:
        if next_pc is None:
            return []
        if next_pc.choice is not None:
            _, yes, no = next_pc.choice
            return self._offsets(yes) + self._offsets(no)
        return [next_pc.pc_offset]

    def _lower(self, target: RegionTarget, lowering: Lowering, step: Step) -> Path:
        target.offset = step.offset
        target.stored = None
        after = target.text.value(f"add i64 {target.base}, {step.after}")
        lowering.path = Path(next_pc=Value(after, 0, 2 * U64, pc_offset=step.after))
        operands = [constant(step.operands[name]) for name in step.instruction.parameters]
        lowering.inline(step.instruction.semantics, operands)
        return lowering.path

    # --- translation --------------------------------------------------------------------------------------------------

    def translate(
        self, page: bytes, entry: int, jumps_to: Sequence[int] | None = None, symbol: str = "region"
    ) -> tuple[str, list[Block]]:
        """IR of the region at page offset `entry` and its blocks; raises Refused where there is none worth it."""
        blocks = self.former.form(page, entry, self, jumps_to)
        if not blocks:
            raise Refused("nothing to translate here")
        module = Module(self.layout)
        text = FunctionText(f'define {CONVENTION} void @"{symbol}"({PARAMETERS}) nounwind')
        base = text.value(f"sub i64 %pc, {entry}")
        target = RegionTarget(module, text, self.runtime, base)
        lowering = Lowering(self.runtime.sources, target)
        numbers = {block.offset: number for number, block in enumerate(blocks)}
        target.flowing = [Flowing() for _ in blocks]
        counter = text.local("i64")
        text.emit(f"store i64 %remaining, ptr {counter}")
        first = blocks[numbers[entry]].steps[0]
        self._enter(target, first, f"b{entry}")
        for number, block in enumerate(blocks):
            self._block(target, lowering, number, block, numbers, counter)
        self._exits(target)
        if target.files_called & {name for name, _ in target.locals}:
            raise Refused("a function reads registers that the region keeps")
        module.add(symbol, text)
        return module.text(), blocks

    def _enter(self, target: RegionTarget, first: Step, label: str) -> None:
        """Begin only with enough instructions left; else the interpreter does this one."""
        text = target.text
        enough = text.value(f"icmp sgt i64 %remaining, {target.read_field('slack').ir}")
        short = text.fresh("short")
        text.branch(enough, label, short, likely=True)
        text.begin(short)
        name = handler_symbol(first.instruction)
        handler = target.module.declare(name, f'{CONVENTION} void @"{name}"(ptr, ptr, i64, i64, ptr)')
        text.emit(f"{TAIL} {handler}({PARAMETERS})")
        text.end("ret void")

    def _block(
        self, target: RegionTarget, lowering: Lowering, number: int, block: Block, numbers: dict[int, int], counter: str
    ) -> None:
        text = target.text
        text.begin(f"b{block.offset}")
        target.block, target.done = number, 0
        target.before = text.value(f"load i64, ptr {counter}")
        if block.header:
            target.offset = block.offset
            enough, body = text.value(f"icmp sgt i64 {target.before}, {target.read_field('slack').ir}"), text.fresh("body")
            text.branch(enough, body, target.leave("near", target.here(), target.before), likely=True)
            text.begin(body)
        for step in block.steps:
            path = self._lower(target, lowering, step)
            target.done += 1
            if text.block is None:
                return
            if path.synchronizes:
                assert path.next_pc is not None
                label = target.leave("resume", path.next_pc.ir, target.left(target.done))
                text.end(f"br label %{label}")
                return
            if target.stored is not None:
                self._leave_if_undone(target, path)
        assert path.next_pc is not None
        text.emit(f"store i64 {target.left(target.done)}, ptr {counter}")
        self._go_on(target, path.next_pc, numbers)

    def _leave_if_undone(self, target: RegionTarget, path: Path) -> None:
        text, label = target.text, target.text.fresh("kept")
        undone = text.value(f"icmp ne i64 {target.stored}, 0")
        assert path.next_pc is not None
        way_out = target.leave("resume", path.next_pc.ir, target.left(target.done))
        text.branch(undone, way_out, label, likely=False)
        text.begin(label)

    def _go_on(self, target: RegionTarget, next_pc: Value, numbers: dict[int, int]) -> None:
        """End a block: to blocks of the region, or out of it."""
        if next_pc.choice is not None:
            condition, yes, no = next_pc.choice
            # An address that one arm computed does not reach here; the joined one does.
            known = [where if where.pc_offset is not None else next_pc for where in (yes, no)]
            labels = [self._label(target, where, numbers) for where in known]
            target.text.branch(condition, *labels)
        else:
            target.text.end(f"br label %{self._label(target, next_pc, numbers)}")

    def _label(self, target: RegionTarget, where: Value, numbers: dict[int, int]) -> str:
        offset = where.pc_offset
        if offset is None:
            return target.leave("far", where.ir, target.left(target.done))
        if offset in numbers:
            target.flowing[target.block].successors.add(numbers[offset])
            return f"b{offset}"
        # Computed again: what one branch of a description computed does not reach the end of the block.
        pc = target.text.value(f"add i64 {target.base}, {offset}")
        return target.leave("near" if 0 <= offset < 4096 else "far", pc, target.left(target.done))

    def _exits(self, target: RegionTarget) -> None:
        """Write the ways out: state that may have changed goes back, then on to the next slot."""
        text = target.text
        changed = self._changed(target)
        for exit in target.exits:
            text.begin(exit.label)
            pc, left = self._arriving(target, exit)
            for name, index in sorted(changed[exit.block] | exit.written):
                value = text.value(f"load i64, ptr {target.locals[name, index]}")
                offset = target.layout.offset(name) + 8 * index
                place = text.value(f"getelementptr i8, ptr %s, i64 {offset}")
                text.emit(f"store i64 {value}, ptr {place}{alias('state')}")
            way = target.module.declare(exit.way, f'{CONVENTION} void @"{exit.way}"(ptr, ptr, i64, i64, ptr)')
            text.emit(f"{TAIL} {way}(ptr %s, ptr %slot, i64 {pc}, i64 {left}, ptr %page)")
            text.end("ret void")

    def _arriving(self, target: RegionTarget, exit: Exit) -> tuple[str, str]:
        """pc and instructions left, whichever place is left from."""
        text = target.text
        pc = text.value("phi i64 " + ", ".join(f"[ {pc}, %{block} ]" for block, pc, _ in exit.places))
        left = text.value("phi i64 " + ", ".join(f"[ {left}, %{block} ]" for block, _, left in exit.places))
        return pc, left

    def _changed(self, target: RegionTarget) -> list[set[Register]]:
        """Per block, the registers that may have changed since the region was entered when it begins."""
        incoming: list[set[Register]] = [set() for _ in target.flowing]
        todo = list(range(len(incoming)))
        while todo:
            number = todo.pop()
            outgoing = incoming[number] | target.flowing[number].written
            for successor in target.flowing[number].successors:
                if not outgoing <= incoming[successor]:
                    incoming[successor] |= outgoing
                    todo.append(successor)
        return incoming
