"""The translator: a region of guest code lowered to one host function, operands as constants, registers in registers.

The function has the shape of an interpreter's handler and is installed as one: the first slot of the region holds it.
So interpreted and translated code call each other by the same jump, and undoing a translation is undoing a slot.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from guesthouse.virtual.engine.convention import handler_header, jump
from guesthouse.virtual.engine.decoder import handler_symbol
from guesthouse.virtual.engine.interpreter import engine_layout
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.engine.reading import Path
from guesthouse.virtual.engine.region import ELSEWHERE, PAGE, Block, Flow, RegionFormer, Step
from guesthouse.virtual.engine.region_target import Entry, RegionTarget
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.values import Refused, Value, constant
from guesthouse.virtual.memory.code_page import SLOT
from guesthouse.virtual.spec.description import Isa

MOST_WAYS = 1 << 14  # jumps remembered

QUICK = 0  # how hard LLVM tries on a region: a few passes give most of what all would


class Ways(msgspec.Struct, frozen=True):
    """Where an instruction may send control."""

    targets: frozenset[int | None] = frozenset()  # bytes from its own place; None: known only at run time
    calls: bool = False  # it keeps the address behind it


class Translator(Flow):
    """Makes regions of one instruction set."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.runtime = Runtime(isa)
        self.layout = engine_layout(isa)
        self.former = RegionFormer(isa)
        self._known_ways: dict[tuple[str | int, ...], Ways] = {}

    # --- where control goes -------------------------------------------------------------------------------------------

    def targets(self, step: Step) -> set[int] | None:
        effects = self.runtime.sources.effects(step.instruction.semantics)
        if "next_pc" not in effects and "synchronize" not in effects:
            return {step.after}
        return {ELSEWHERE if way is None else step.offset + way for way in self._ways(step).targets}

    def calls(self, step: Step) -> bool:
        return self._ways(step).calls

    def _ways(self, step: Step) -> Ways:
        key: tuple[str | int, ...] = (step.instruction.name, *step.operands.values())
        ways = self._known_ways.get(key)
        if ways is None:
            if len(self._known_ways) >= MOST_WAYS:
                self._known_ways.clear()
            ways = self._known_ways[key] = self._find_ways(step)
        return ways

    def _find_ways(self, step: Step) -> Ways:
        """Where an instruction goes; nowhere where the stretch of native code ends with it.

        It is lowered alone, into a text that is thrown away, for the path it leaves behind.
        """
        text = FunctionText("")
        target = RegionTarget(Module(self.layout), text, self.runtime, "%base", [step.offset])
        path = self._lower(target, Lowering(self.runtime.sources, target), step)
        if text.block is None or path.synchronizes:
            return Ways()
        targets = (None if where is None else where - step.offset for where in self._offsets(path.next_pc))
        return Ways(frozenset(targets), step.after in target.kept_places)

    def _offsets(self, next_pc: Value | None) -> list[int | None]:
        if next_pc is None:
            return []
        if next_pc.choice is not None:
            _, yes, no = next_pc.choice
            return self._offsets(yes) + self._offsets(no)
        return [next_pc.pc_offset]

    def _lower(self, target: RegionTarget, lowering: Lowering, step: Step, done: int = 0) -> Path:
        target.begin(step.offset, done)
        lowering.path = Path(next_pc=target.place(step.after))
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
        base = text.value(f"and i64 %pc, {-PAGE}")
        target = RegionTarget(module, text, self.runtime, base, [block.offset for block in blocks])
        lowering = Lowering(self.runtime.sources, target)
        begin, short = self._enter(target, [block for block in blocks if block.entry])
        before = self._only_ways(blocks)
        for block in blocks:
            self._block(target, lowering, block, before.get(block.offset))
        target.write_arrival()
        target.write_groups()
        text.begin("usual")
        target.go_on_if_usual(begin, short)
        target.write_exits()
        if target.files_called & {name for name, _ in target.locals}:
            raise Refused("a function reads registers that the region keeps")
        module.add(symbol, text)
        return module.text(), blocks

    def _only_ways(self, blocks: list[Block]) -> dict[int, int]:
        """Blocks that control reaches from one other block only, which stands before them: its offset by theirs."""
        ways: dict[int, list[int]] = {}
        for block in blocks:
            for target in self.targets(block.steps[-1]) or ():
                ways.setdefault(target, []).append(block.offset)
        reached = (block.offset for block in blocks if not block.header and not block.entry)
        return {to: ways[to][0] for to in reached if len(ways.get(to, ())) == 1 and ways[to][0] < to}

    def _enter(self, target: RegionTarget, entries: list[Block]) -> tuple[str, str]:
        """Begin only with enough instructions left and all as usual; else the interpreter does this one.

        Gives the labels for both; what must be as usual is looked at in a block `usual`, which is written in the end.
        """
        text = target.text
        begun, short = text.fresh("begun"), text.fresh("short")
        text.emit(f"store i64 %remaining, ptr {target.counter}")
        self._go_on_if_enough(target, "%remaining", "usual", short)
        target.entries = {block.offset: self._entry(block) for block in entries}
        with text.cold(short):
            labels = {offset: text.fresh("first") for offset in target.entries}
            target.choose("%pc", labels, labels[entries[0].offset])
            for offset, entry in target.entries.items():
                text.begin(labels[offset])
                jump(text, target.module.handler(entry.handler))
        text.begin(begun)
        target.count(f"add i64 {target.read_field('translated_steps').ir}, %remaining")
        if len(entries) == 1:
            text.end(f"br label %{_label(entries[0])}")
        else:
            text.end(f"br label %{target.arrive('%pc')}")
        return begun, short

    def _entry(self, block: Block) -> Entry:
        return Entry(handler_symbol(block.steps[0].instruction), block.offset // self.isa.unit * SLOT)

    def _go_on_if_enough(self, target: RegionTarget, left: str, enough: str, short: str) -> None:
        more = target.text.value(f"icmp sgt i64 {left}, {target.read_field('slack').ir}")
        target.text.branch(more, enough, short, likely=True)

    def _block(self, target: RegionTarget, lowering: Lowering, block: Block, before: int | None) -> None:
        """Lower one block, which follows the one at the page offset `before` and no other."""
        text = target.text
        target.block = target.numbers[block.offset]
        if block.header:
            text.begin(f"b{block.offset}")
            target.before = target.counted()
            short = target.leave("resume_region", target.place(block.offset), 0)
            self._go_on_if_enough(target, target.before, _label(block), short)
        text.begin(_label(block), target.known_behind(before))
        target.before = target.counted()
        path = Path()
        for done, step in enumerate(block.steps):
            path = self._lower(target, lowering, step, done)
            if text.block is None:
                return
            assert path.next_pc is not None
            if path.synchronizes:
                text.end(f"br label %{target.leave('resume_region', path.next_pc, done + 1)}")
                return
            target.leave_if_undone(path.next_pc)
        assert path.next_pc is not None
        done = len(block.steps)
        target.end(done)
        self._go_on(target, path.next_pc, done)

    def _go_on(self, target: RegionTarget, next_pc: Value, done: int) -> None:
        """End a block: to blocks of the region, or out of it."""
        if next_pc.choice is None:
            target.text.end(f"br label %{self._way(target, next_pc, done)}")
            return
        condition, yes, no = next_pc.choice
        # An address that one arm computed does not reach here; the joined one does.
        taken, straight = (self._way(target, w if w.pc_offset is not None else next_pc, done) for w in (yes, no))
        target.text.branch(condition, taken, straight)

    def _way(self, target: RegionTarget, where: Value, done: int) -> str:
        """Label of an address: a block of the region, or a way out."""
        offset = where.pc_offset
        if offset is None:
            return target.arrive(where.ir) if len(target.entries) > 1 else target.leave("far_region", where, done)
        if offset in target.numbers:
            target.flowing[target.block].successors.add(target.numbers[offset])
            return f"b{offset}"
        return target.leave("near_region" if 0 <= offset < PAGE else "far_region", where, done)


def _label(block: Block) -> str:
    """Where a block's instructions begin: behind the look at what is left, where there is one."""
    return f"body{block.offset}" if block.header else f"b{block.offset}"
