"""The interpreter: one native handler an instruction, chained by tail calls through decoded slots.

Every handler takes the same five values in host registers: the state, the slot it runs from, the guest's pc, the
instructions left in this stretch, and the code page. It does its work, counts itself, and jumps to the handler in the
next slot. When the stretch is spent, or the instruction asks for it, `resume` looks at everything else.
"""

from __future__ import annotations

from typing import Any

from guesthouse.virtual.engine import control, host_float
from guesthouse.virtual.engine.decoder import build_decoder, handler_symbol, stored_operands
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.source import Source, Sources
from guesthouse.virtual.engine.target import MachineTarget, SharedFunctionTarget, convention, operands, signature
from guesthouse.virtual.engine.values import U64, Value, constant
from guesthouse.virtual.memory import code, code_page, shadow
from guesthouse.virtual.spec import hooks
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.host_words import Handler
from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout

ENGINE_FIELDS: tuple[Field | RegisterFile, ...] = (*shadow.FIELDS, *code_page.FIELDS, *code.FIELDS, *control.FIELDS)
PARAMETERS = "ptr %s, ptr %slot, i64 %pc, i64 %remaining, ptr %page"
CONVENTION = "preserve_nonecc"
TAIL = "musttail call preserve_nonecc void"


def engine_layout(isa: Isa) -> StateLayout:
    """The set's state with the engine's private fields behind it."""
    return isa.layout.extended(*ENGINE_FIELDS)


def bindings(isa: Isa) -> dict[Any, Any]:
    """What the runtime's hooks mean for an instruction set."""
    found: dict[Any, Any] = {getattr(hooks, name): hook for name, hook in isa.hooks.items() if hasattr(hooks, name)}
    return found | {hooks.UNIT_SHIFT: isa.unit.bit_length() - 1, hooks.LONGEST: isa.longest}


class RuntimeFunctions(dict[str, tuple[Source, frozenset[str]]]):
    """Functions of the runtime by name, with their effects; each is read when it is first asked for."""

    def __init__(self, sources: Sources, known: dict[str, Any]) -> None:
        super().__init__()
        self._sources = sources
        self._known = known

    def __missing__(self, name: str) -> tuple[Source, frozenset[str]]:
        semantics = self._known[name]
        self[name] = self._sources.of(semantics), self._sources.effects(semantics)
        return self[name]


class Runtime:
    """The functions that native code of every tier calls, and their effects."""

    SOURCES = (
        *(shadow.slow_load, shadow.slow_store, shadow.atomic_place, shadow.touch, shadow.zero_block),
        *(shadow.physical_load, shadow.physical_compare_exchange),
        *(shadow.forget_translations, shadow.forget_translation, shadow.pass_gate, shadow.frame_of),
        *(code.fetched, code.find_code, code.decode_at, code.break_at, code_page.clear_code_page, code.drop_all_code),
        *(control.nanoseconds, control.retired, control.find_next, control.trapped, control.begin_slice),
    )

    def __init__(self, isa: Isa) -> None:
        self.sources = Sources(bindings(isa))
        self.functions = RuntimeFunctions(self.sources, {s.__name__: s for s in self.SOURCES})


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

    def abort(self, failed: str) -> None:
        leaving, going_on = self.text.fresh("trapped"), self.text.fresh("fine")
        self.text.branch(failed, leaving, going_on, likely=False)
        with self.text.cold(leaving):
            self.leave_by_trap()
        self.text.begin(going_on)

    def leave_by_trap(self) -> None:
        name = self.module.declare("abort", f'{CONVENTION} void @"abort"(ptr, ptr, i64, i64, ptr)')
        self.text.emit(f"{TAIL} {name}({PARAMETERS})")
        self.text.end("ret void")

    # --- going on -----------------------------------------------------------------------------------------------------

    def finish(self, next_pc: Value, jumped: bool, synchronizes: bool) -> None:
        """Count the instruction and go to the next one."""
        left = self.text.value("sub i64 %remaining, 1")
        if synchronizes:
            self.resume(next_pc.ir, left)
        elif not jumped:
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
        name = self.module.declare("resume", f'{CONVENTION} void @"resume"(ptr, ptr, i64, i64, ptr)')
        self.text.emit(f"{TAIL} {name}(ptr %s, ptr %slot, i64 {pc}, i64 {left}, ptr %page)")
        self.text.end("ret void")

    def _continue(self, slot: str, pc: str, left: str, page: str) -> None:
        """Jump to the handler in a slot, unless the stretch is spent."""
        spent, more = self.text.fresh("spent"), self.text.fresh("more")
        self.text.branch(self.text.value(f"icmp sle i64 {left}, 0"), spent, more, likely=False)
        with self.text.cold(spent):
            self.resume(pc, left)
        self.text.begin(more)
        handler = self.text.value(f"load ptr, ptr {slot}{alias('slots')}")
        self.text.emit(f"{TAIL} {handler}(ptr %s, ptr {slot}, i64 {pc}, i64 {left}, ptr {page})")
        self.text.end("ret void")

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
        """Jump to an address on a code page, counting the jump; often enough, and the code is worth translating."""
        text, slots = self.text, 4096 // self.unit
        offset = text.value(f"and i64 {pc}, {4096 - self.unit}")
        scaled = text.value(f"mul i64 {offset}, {code_page.COUNTER // self.unit}")
        counters = text.value(f"getelementptr i8, ptr {page}, i64 {(slots + code_page.SENTINELS) * code_page.SLOT + code_page.WORDS}")
        counter = text.value(f"getelementptr i8, ptr {counters}, i64 {scaled}")
        count = text.value(f"load i16, ptr {counter}{alias('slots')}")
        count = text.value(f"add i16 {count}, 1")
        text.emit(f"store i16 {count}, ptr {counter}{alias('slots')}")
        wide = text.value(f"zext i16 {count} to i64")
        hot, cool = text.fresh("hot"), text.fresh("cool")
        text.branch(text.value(f"icmp eq i64 {wide}, {self.read_field('hot').ir}"), hot, cool, likely=False)
        with text.cold(hot):
            name = self.module.declare("hot", f'{CONVENTION} void @"hot"(ptr, ptr, i64, i64, ptr)')
            text.emit(f"{TAIL} {name}(ptr %s, ptr %slot, i64 {pc}, i64 {left}, ptr {page})")
            text.end("ret void")
        text.begin(cool)
        slot = text.value(f"getelementptr i8, ptr {page}, i64 {text.value(f'mul i64 {offset}, {code_page.SLOT // self.unit}')}")
        self._continue(slot, pc, left, page)


def build_handler(module: Module, runtime: Runtime, instruction: Instruction) -> None:
    """Lower one instruction to its handler."""
    text = FunctionText(f'define {CONVENTION} void @"{handler_symbol(instruction)}"({PARAMETERS}) nounwind')
    target = HandlerTarget(module, text, runtime, instruction.isa.unit, instruction.pattern.length)
    lowering = Lowering(runtime.sources, target)
    following = Value(text.value(f"add i64 %pc, {target.length}"), 0, 2 * U64, pc_offset=target.length)
    lowering.path.next_pc = following
    lowering.inline(instruction.semantics, target.operand_values(instruction))
    path = lowering.path
    if text.block is not None:
        assert path.next_pc is not None
        target.finish(path.next_pc, path.jumped, path.synchronizes)
    module.add(handler_symbol(instruction), text)


def build_ways_on(module: Module, runtime: Runtime, isa: Isa) -> None:
    """Where regions end: `near` goes to an address on this page, `far` to any."""
    for symbol in ("near", "far"):
        text = FunctionText(f'define {CONVENTION} void @"{symbol}"({PARAMETERS}) nounwind')
        target = HandlerTarget(module, text, runtime, isa.unit, 0)
        if symbol == "near":
            target.arrive("%page", "%pc", "%remaining")
        else:
            target.look_up("%pc", "%remaining")
        module.add(symbol, text)


def build_shared(module: Module, runtime: Runtime, source: Source) -> None:
    """Lower one shared function."""
    effects = runtime.sources.effects(source.semantics)
    result, parameters = signature(source, effects)
    text = FunctionText(f'define {convention(source)}{result} @"{source.symbol}"({parameters}) nounwind')
    target = SharedFunctionTarget(module, text, runtime.functions, result)
    lowering = Lowering(runtime.sources, target, restartable=False)
    arguments = []
    for name in operands(source):
        kind = source.annotations[name]
        low = -(1 << (kind.bits - 1)) if kind.signed else 0
        arguments.append(Value(f"%a.{name}", low, low + (1 << kind.bits) - 1))
    value = lowering.inline(source.semantics, arguments)
    if text.block is not None:
        target.finish(value and lowering.number(value))
    module.add(source.symbol, text)


CONTROL = f"""
define dso_local void @"enter"(ptr %s) nounwind {{
  %remaining = load i64, ptr REMAINING
  %pc = load i64, ptr PC
  call void @"float.begin"(ptr %s)
  call {CONVENTION} void @"resume"(ptr %s, ptr null, i64 %pc, i64 %remaining, ptr null)
  call void @"float.end"(ptr %s)
  ret void
}}

define dso_local {CONVENTION} void @"resume"({PARAMETERS}) nounwind {{
entry:
  store i64 %pc, ptr PC
  store i64 %remaining, ptr REMAINING
  br label %look
look:
  %found = call {{ i64, i1 }} @"FIND_NEXT"(ptr %s)
  %failed = extractvalue {{ i64, i1 }} %found, 1
  br i1 %failed, label %trap, label %going
trap:
  %suspended = call i64 @"TRAPPED"(ptr %s)
  %leave = icmp ne i64 %suspended, 0
  br i1 %leave, label %out, label %look
going:
  %next = extractvalue {{ i64, i1 }} %found, 0
  %none = icmp eq i64 %next, 0
  br i1 %none, label %out, label %run
out:
  ret void
run:
  %next_slot = inttoptr i64 %next to ptr
  %next_pc = load i64, ptr PC
  %next_remaining = load i64, ptr REMAINING
  %next_page = load ptr, ptr CODE_PAGE
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %s, ptr %next_slot, i64 %next_pc, i64 %next_remaining, ptr %next_page)
  ret void
}}

define dso_local {CONVENTION} void @"abort"({PARAMETERS}) nounwind {{
  store i64 %pc, ptr PC
  store i64 %remaining, ptr REMAINING
  %suspended = call i64 @"TRAPPED"(ptr %s)
  %leave = icmp ne i64 %suspended, 0
  br i1 %leave, label %out, label %run
out:
  ret void
run:
  %next_pc = load i64, ptr PC
  %next_remaining = load i64, ptr REMAINING
  {TAIL} @"resume"(ptr %s, ptr %slot, i64 %next_pc, i64 %next_remaining, ptr %page)
  ret void
}}

define dso_local {CONVENTION} void @"hot"({PARAMETERS}) nounwind {{
  store ptr %page, ptr CODE_PAGE
  store i64 {int(Exit.SERVICE)}, ptr EXIT_REASON
  {TAIL} @"resume"({PARAMETERS})
  ret void
}}

define dso_local {CONVENTION} void @"handler.{int(Handler.DECODE)}"({PARAMETERS}) nounwind {{
  %at = ptrtoint ptr %page to i64
  %found = call {{ i64, i1 }} @"DECODE_AT"(ptr %s, i64 %pc, i64 %at)
  %failed = extractvalue {{ i64, i1 }} %found, 1
  br i1 %failed, label %trap, label %run
trap:
  {TAIL} @"abort"({PARAMETERS})
  ret void
run:
  %next = extractvalue {{ i64, i1 }} %found, 0
  %next_slot = inttoptr i64 %next to ptr
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %s, ptr %next_slot, i64 %pc, i64 %remaining, ptr %page)
  ret void
}}

define dso_local {CONVENTION} void @"handler.{int(Handler.BREAK)}"({PARAMETERS}) nounwind {{
  %at = ptrtoint ptr %page to i64
  %found = call {{ i64, i1 }} @"BREAK_AT"(ptr %s, i64 %pc, i64 %at)
  %failed = extractvalue {{ i64, i1 }} %found, 1
  br i1 %failed, label %trap, label %run
trap:
  {TAIL} @"abort"({PARAMETERS})
  ret void
run:
  %next = extractvalue {{ i64, i1 }} %found, 0
  %next_slot = inttoptr i64 %next to ptr
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %s, ptr %next_slot, i64 %pc, i64 %remaining, ptr %page)
  ret void
}}

define dso_local {CONVENTION} void @"handler.{int(Handler.LOOKUP)}"({PARAMETERS}) nounwind {{
  {TAIL} @"resume"({PARAMETERS})
  ret void
}}

define dso_local {CONVENTION} void @"handler.{int(Handler.ILLEGAL)}"({PARAMETERS}) nounwind {{
  store i64 %pc, ptr PC
  %failed = call i1 @"ILLEGAL"(ptr %s)
  {TAIL} @"abort"({PARAMETERS})
  ret void
}}
"""


def control_text(isa: Isa, runtime: Runtime, layout: StateLayout) -> str:
    """The glue between handlers and the runtime's functions, with its places filled in."""
    text = CONTROL
    text += host_float.control_text(layout.offset("host_float"), layout.offset("float_flags"))
    for name in ("FIND_NEXT", "TRAPPED", "DECODE_AT", "BREAK_AT", "SLOW_LOAD", "SLOW_STORE"):
        text = text.replace(f'@"{name}"', f'@"{runtime.functions[name.lower()][0].symbol}"')
    text = text.replace('@"ILLEGAL"', f'@"{runtime.sources.of(isa.hooks["illegal"]).symbol}"')
    for name in ("PC", "REMAINING", "CODE_PAGE", "EXIT_REASON"):
        place = f"getelementptr inbounds (i8, ptr %s, i64 {layout.offset(name.lower())})"
        text = _with_places(text, f"ptr {name}", name, place)
    return text


def _with_places(text: str, wanted: str, name: str, place: str) -> str:
    """Replace a named place by an address computed just before its use."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        if line.endswith(wanted):
            lines.append(f"  %p{name}.{number} = {place.replace('(', '').replace(')', '')}")
            line = line.removesuffix(wanted) + f"ptr %p{name}.{number}"
        lines.append(line)
    return "\n".join(lines)


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
    module.define_text(control_text(isa, runtime, module.layout), [*host_float.SYMBOLS, "enter", "resume", "abort", "hot"] + [f"handler.{int(h)}" for h in Handler])
    return module.text()
