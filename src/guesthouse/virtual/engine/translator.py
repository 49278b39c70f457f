"""The translator: a region of guest code lowered to one host function, operands as constants, registers in registers.

The function has the shape of an interpreter's handler and is installed as one: the first slot of the region holds it.
So interpreted and translated code call each other by the same jump, and undoing a translation is undoing a slot.
"""

from __future__ import annotations

from collections.abc import Sequence

from guesthouse.virtual.engine.convention import handler_header, jump
from guesthouse.virtual.engine.decoder import handler_symbol
from guesthouse.virtual.engine.interpreter import engine_layout
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.engine.reading import Path
from guesthouse.virtual.engine.region import Block, Flow, RegionFormer, Step
from guesthouse.virtual.engine.region_target import RegionTarget
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.values import U64, Refused, Value, constant
from guesthouse.virtual.spec.description import Isa

QUICK = 0  # how hard LLVM tries on a region: a few passes give most of what all would


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
        target = RegionTarget(Module(self.layout), text, self.runtime, "%base", [step.offset])
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
        text = FunctionText(handler_header(symbol))
        base = text.value(f"sub i64 %pc, {entry}")
        target = RegionTarget(module, text, self.runtime, base, [block.offset for block in blocks])
        lowering = Lowering(self.runtime.sources, target)
        counter = text.local("i64")
        text.emit(f"store i64 %remaining, ptr {counter}")
        self._enter(target, blocks[target.numbers[entry]].steps[0], f"b{entry}")
        for block in blocks:
            self._block(target, lowering, block, counter)
        target.write_exits()
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
        jump(text, target.module.handler(handler_symbol(first.instruction)))

    def _block(self, target: RegionTarget, lowering: Lowering, block: Block, counter: str) -> None:
        """Lower one block; `counter` holds the instructions left between blocks."""
        text = target.text
        text.begin(f"b{block.offset}")
        target.block, target.done = target.numbers[block.offset], 0
        target.before = text.value(f"load i64, ptr {counter}")
        if block.header:
            target.offset = block.offset
            enough = text.value(f"icmp sgt i64 {target.before}, {target.read_field('slack').ir}")
            body = text.fresh("body")
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
        self._go_on(target, path.next_pc)

    def _leave_if_undone(self, target: RegionTarget, path: Path) -> None:
        text, label = target.text, target.text.fresh("kept")
        undone = text.value(f"icmp ne i64 {target.stored}, 0")
        assert path.next_pc is not None
        way_out = target.leave("resume", path.next_pc.ir, target.left(target.done))
        text.branch(undone, way_out, label, likely=False)
        text.begin(label)

    def _go_on(self, target: RegionTarget, next_pc: Value) -> None:
        """End a block: to blocks of the region, or out of it."""
        if next_pc.choice is not None:
            condition, yes, no = next_pc.choice
            # An address that one arm computed does not reach here; the joined one does.
            known = [where if where.pc_offset is not None else next_pc for where in (yes, no)]
            taken, straight = (self._label(target, where) for where in known)
            target.text.branch(condition, taken, straight)
        else:
            target.text.end(f"br label %{self._label(target, next_pc)}")

    def _label(self, target: RegionTarget, where: Value) -> str:
        """Where a known address is: a block of the region, or a way out."""
        offset = where.pc_offset
        if offset is None:
            return target.leave("far", where.ir, target.left(target.done))
        if offset in target.numbers:
            target.flowing[target.block].successors.add(target.numbers[offset])
            return f"b{offset}"
        # Computed again: what one branch of a description computed does not reach the end of the block.
        pc = target.text.value(f"add i64 {target.base}, {offset}")
        return target.leave("near" if 0 <= offset < 4096 else "far", pc, target.left(target.done))
