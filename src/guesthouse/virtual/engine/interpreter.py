"""The interpreter: one native handler an instruction, chained by tail calls through decoded slots.

Every handler takes the same five values in host registers: the state, the slot it runs from, the guest's pc, the
instructions left in this stretch, and the code page. It does its work, counts itself, and jumps to the handler in the
next slot. When the stretch is spent, or the instruction asks for it, `resume` looks at everything else.
"""

from __future__ import annotations

from guesthouse.virtual.engine import control, stitching
from guesthouse.virtual.engine.convention import handler_header, jump
from guesthouse.virtual.engine.decoder import build_decoder, handler_symbol, stored_operands
from guesthouse.virtual.engine.glue import GLUE_SYMBOLS, glue_text
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.reading import Path
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.shared_function import build_shared
from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.values import U64, Value
from guesthouse.virtual.memory import code, code_page, crew, peers, shadow, shortcut
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout

# Fields that every block and region reads or counts in. They lie side by side: where a load and the store before it go
# by the same register, a host may guess from the lowest bits of the distances that they meet (AMD's Zen 4: from ten of
# them), and each wrong guess costs as much as a jump that was not foreseen.
LOOKED_AT_MOST = ("data_bank", "fetch_bank", "slack", "stitched_steps", "translated_steps")


def _side_by_side(*fields: Field | RegisterFile) -> tuple[Field | RegisterFile, ...]:
    """The fields that are looked at most, where the first of them stands, among the others."""
    most = [next(field for field in fields if field.name == name) for name in LOOKED_AT_MOST]
    before = fields[: fields.index(most[0])]
    return (*before, *most, *(field for field in fields[len(before) :] if field not in most))


ENGINE_FIELDS = _side_by_side(
    *shadow.FIELDS,
    *code_page.FIELDS,
    *code.FIELDS,
    *peers.FIELDS,
    *crew.FIELDS,
    *control.FIELDS,
    *stitching.FIELDS,
    *shortcut.FIELDS,
)


def engine_layout(isa: Isa) -> StateLayout:
    """The set's state with the engine's private fields behind it."""
    return isa.layout.extended(*ENGINE_FIELDS)


class HandlerTarget(MachineTarget):
    """One instruction with its operands in a decoded slot."""

    def __init__(self, module: Module, text: FunctionText, runtime: Runtime, unit: int, length: int) -> None:
        super().__init__(module, text, runtime.functions)
        self.unit = unit
        self.length = length

    def operand_values(self, instruction: Instruction) -> list[Value]:
        """Load the operands from the slot, in the order of the function's parameters."""
        loaded = {}
        for stored in stored_operands(instruction):
            place = self.text.value(f"getelementptr i8, ptr %slot, i64 {stored.offset}")
            bits = 8 * stored.size
            ir = self.text.value(f"load i{bits}, ptr {place}{alias('slots')}")
            if bits < 64:
                ir = self.text.value(f"{'sext' if stored.operand.signed else 'zext'} i{bits} {ir} to i64")
            loaded[stored.operand.name] = Value(ir, stored.operand.low, stored.operand.high)
        return [loaded[name] for name in instruction.parameters]

    def read_pc(self) -> Value:
        return Value("%pc", 0, U64)

    def spill(self, effects: frozenset[str]) -> None:
        if "pc" in effects:
            self.store_field("pc", "%pc")
        if "time" in effects:
            self.store_field("remaining", "%remaining")

    def leave_by_trap(self) -> None:
        jump(self.text, self.module.handler("abort"))

    # --- going on -----------------------------------------------------------------------------------------------------

    def finish(self, path: Path) -> None:
        """Count the instruction and go to the next one."""
        left, next_pc = self.text.value("sub nsw i64 %remaining, 1"), path.next_pc
        assert next_pc is not None
        if path.synchronizes:
            self.resume(next_pc.ir, left)
        elif not path.jumped:
            self._fall_through(left)
        elif next_pc.choice is not None:
            condition, yes, no = next_pc.choice
            taken, straight = self.text.fresh("taken"), self.text.fresh("straight")
            self.text.branch(condition, taken, straight)
            for label, where in ((taken, yes), (straight, no)):
                self.text.begin(label)
                if where.pc_offset == self.length:
                    self._fall_through(left)
                else:
                    self._jump(next_pc.ir, left)
        else:
            self._jump(next_pc.ir, left)

    def resume(self, pc: str, left: str) -> None:
        """Leave the chain of handlers for a look at everything else."""
        jump(self.text, self.module.handler("resume"), pc=pc, left=left)

    def _continue(self, slot: str, pc: str, left: str, page: str) -> None:
        """Jump to the handler in a slot, unless the stretch is spent."""
        spent, more = self.text.fresh("spent"), self.text.fresh("more")
        self.text.branch(self.text.value(f"icmp sle i64 {left}, 0"), spent, more, likely=False)
        with self.text.cold(spent):
            self.resume(pc, left)
        self.text.begin(more)
        handler = self.text.value(f"load ptr, ptr {slot}{alias('slots')}")
        jump(self.text, handler, slot, pc, left, page)

    def _fall_through(self, left: str) -> None:
        slot = self.text.value(f"getelementptr i8, ptr %slot, i64 {self.length // self.unit * code_page.SLOT}")
        self._continue(slot, self.text.value(f"add i64 %pc, {self.length}"), left, "%page")

    def _jump(self, pc: str, left: str) -> None:
        """Go to an address: on this page directly, else through the fetch side of the shadow page table."""
        text = self.text
        near, far = text.fresh("near"), text.fresh("far")
        apart = text.value(f"xor i64 {pc}, %pc")
        text.branch(text.value(f"icmp ult i64 {apart}, 4096"), near, far)
        text.begin(near)
        self.arrive("%page", pc, left)
        text.begin(far)
        self.look_up(pc, left)

    def count_region(self) -> None:
        """A region has counted what was left when it was entered: take off what is left now."""
        entered = self.read_field("translated_steps").ir
        self.store_field("translated_steps", self.text.value(f"sub i64 {entered}, %remaining"))

    def look_up(self, pc: str, left: str) -> None:
        """Go to an address on any page."""
        text = self.text
        bank = text.value(f"inttoptr i64 {self.read_field('fetch_bank').ir} to ptr")
        shift = shadow.FETCH_ENTRY.bit_length() - 1
        scaled = text.value(f"lshr i64 {pc}, {12 - shift}")
        offset = text.value(f"and i64 {scaled}, {(shadow.FETCH_ENTRIES - 1) << shift}")
        entry = text.value(f"getelementptr i8, ptr {bank}, i64 {offset}")
        tag = text.value(f"load i64, ptr {entry}{alias('shadow')}")
        wanted = text.value(f"and i64 {pc}, -4096")
        hit, missed = text.fresh("found"), text.fresh("missed")
        text.branch(text.value(f"icmp eq i64 {tag}, {wanted}"), hit, missed, likely=True)
        with text.cold(missed):
            self.resume(pc, left)
        text.begin(hit)
        page_place = text.value(f"getelementptr i8, ptr {entry}, i64 8")
        self.arrive(text.value(f"load ptr, ptr {page_place}{alias('shadow')}"), pc, left)

    def arrive(self, page: str, pc: str, left: str) -> None:
        """Jump to an address on a code page, counting the jump; every so often its heat is looked at."""
        text = self.text
        offset = text.value(f"and i64 {pc}, {4096 - self.unit}")
        place = text.value(f"mul i64 {offset}, {code_page.SLOT // self.unit}")
        slot = text.value(f"getelementptr i8, ptr {page}, i64 {place}")
        hot, cool = text.fresh("hot"), text.fresh("cool")
        text.branch(comes_round(text, slot), hot, cool, likely=False)
        with text.cold(hot):
            jump(text, self.module.handler("hot"), pc=pc, left=left, page=page)
        text.begin(cool)
        self._continue(slot, pc, left, page)


def comes_round(text: FunctionText, slot: str) -> str:
    """Count a jump to a slot; gives i1, whether its counter comes round (see `stitching.heated`)."""
    counter = text.value(f"getelementptr i8, ptr {slot}, i64 {code_page.COUNTER}")
    count = text.value(f"load i8, ptr {counter}{alias('slots')}")
    count = text.value(f"add i8 {count}, 1")
    text.emit(f"store i8 {count}, ptr {counter}{alias('slots')}")
    return text.value(f"icmp eq i8 {count}, 0")


def build_handler(module: Module, runtime: Runtime, instruction: Instruction) -> None:
    """Lower one instruction to its handler."""
    text = FunctionText(handler_header(handler_symbol(instruction)))
    target = HandlerTarget(module, text, runtime, instruction.isa.unit, instruction.pattern.length)
    lowering = Lowering(runtime.sources, target)
    following = Value(text.value(f"add i64 %pc, {target.length}"), 0, 2 * U64, pc_offset=target.length)
    lowering.path.next_pc = following
    lowering.inline(instruction.semantics, target.operand_values(instruction))
    if text.block is not None:
        target.finish(lowering.path)
    module.add(handler_symbol(instruction), text)


def build_ways_on(module: Module, runtime: Runtime, isa: Isa) -> None:
    """Where blocks and regions end: `near` goes to an address on this page, `far` to any; a region is counted first."""
    for symbol in ("near_region", "far_region", "resume_region", "abort_region", "far"):
        text = FunctionText(handler_header(symbol))
        target = HandlerTarget(module, text, runtime, isa.unit, 0)
        way, _, region = symbol.partition("_")
        if region:
            target.count_region()
        if way == "near":
            target.arrive("%page", "%pc", "%remaining")
        elif way == "far":
            target.look_up("%pc", "%remaining")
        else:
            jump(text, module.handler(way))
        module.add(symbol, text)


def build_runtime(isa: Isa) -> str:
    """The module of everything that is compiled ahead: runtime, decoder, handlers; LLVM IR as text."""
    runtime = Runtime(isa)
    module = Module(engine_layout(isa))
    for instruction in isa.instructions:
        build_handler(module, runtime, instruction)
    build_ways_on(module, runtime, isa)
    build_decoder(isa, module)
    roots = [runtime.sources.of(semantics) for semantics in runtime.SOURCES]
    roots += [runtime.sources.of(hook) for hook in isa.hooks.values()]
    for source in roots:
        module.needed.setdefault(source.symbol, source)
    done: set[str] = set()
    while todo := [source for symbol, source in module.needed.items() if symbol not in done]:
        for source in todo:
            done.add(source.symbol)
            build_shared(module, runtime, source)
    module.define_text(glue_text(isa, runtime, module.layout), GLUE_SYMBOLS)
    return module.text()
