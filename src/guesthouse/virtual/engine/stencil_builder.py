"""Makes the stencils of an instruction set, in the compile process.

A hole in a stencil is a symbol whose name says what goes there (`FIXED`, and `operand.NAME`, `read.NAME.FILE`,
`write.NAME.FILE` for operands and the registers they number), so LLVM's relocations are the list of patches.
"""

from __future__ import annotations

from collections.abc import Iterable

from guesthouse.virtual.engine import objects, stitching
from guesthouse.virtual.engine.decoder import handler_symbol, stored_operands
from guesthouse.virtual.engine.interpreter import comes_round, engine_layout
from guesthouse.virtual.engine.lowering import Lowering
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.stencil_target import BAIL, NEXT, TAKEN, StencilTarget, leave_block
from guesthouse.virtual.engine.stencils import Patch, Stencil, Stencils
from guesthouse.virtual.engine.values import U64, Refused, Value
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.layout import RegisterFile

# The stencils that are no instruction's, in the order of the table: a block's begin, and its ways out.
ENTER, TO_HANDLER, NEAR, FAR = "block.enter", "block.handler", "block.near", "block.far"
PARTS = (ENTER, TO_HANDLER, NEAR, FAR)

FIXED = {
    **{"at.pc": stitching.AT, "at.done": stitching.DONE, "at.after": stitching.AFTER},
    **{"to.pc": stitching.TARGET, "to.slot": stitching.SLOT_PLACE, "at.count": stitching.DONE},
    **{"to.handler": stitching.HANDLER, NEXT: stitching.TO_NEXT, TAKEN: stitching.TO_TAKEN, BAIL: stitching.TO_BAIL},
}
MOST_SOURCES = 2  # that may be carried
WIDTHS = {objects.R_8: 1, objects.R_64: 8, objects.R_32: 4, objects.R_32S: 4, objects.R_PC32: 4, objects.R_PLT32: 4}
RELATIVE = (objects.R_PC32, objects.R_PLT32)

# x86-64: JMP rel32, and the first byte of Jcc rel32, whose second's lowest bit inverts it.
JUMP, CONDITIONAL = b"\xe9", 0x0F


class StencilBuilder:
    """Writes one instruction set's stencils as IR, and reads what LLVM made of it."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.runtime = Runtime(isa)
        self.layout = engine_layout(isa)
        self._made: dict[str, tuple[StencilTarget, Value | None]] = {}  # by symbol, with where its jump goes

    def text(self, instructions: Iterable[Instruction] | None = None) -> str:
        """The module of these instructions' stencils (all where None); what can have none is left out."""
        module = Module(self.layout)
        for instruction in self.isa.instructions if instructions is None else instructions:
            try:
                sources = [name for name, _ in self._build(module, instruction, frozenset()).reads[:MOST_SOURCES]]
                for number in range(1, 1 << len(sources)):
                    carried = frozenset(name for bit, name in enumerate(sources) if number >> bit & 1)
                    self._build(module, instruction, carried, number)
            except Refused:
                continue
        for name, build in zip(PARTS, (_enter, _to_handler, _near, _far), strict=True):
            target = StencilTarget(module, name, self.runtime, self.isa.instructions[0], frozenset())
            build(target)
            module.add(name, target.text)
        return module.text()

    def has(self, instruction: Instruction) -> bool:
        """Whether `text` made a stencil of an instruction."""
        return handler_symbol(instruction) in self._made

    def _build(
        self, module: Module, instruction: Instruction, carried: frozenset[str], number: int = 0
    ) -> StencilTarget:
        symbol = _symbol(instruction, number)
        target = StencilTarget(module, symbol, self.runtime, instruction, carried)
        lowering, text = Lowering(self.runtime.sources, target), target.text
        at = target.hole("at.pc", -4096, 4096)
        following = text.value(f"add i64 %pc, {at}")
        following = text.value(f"add i64 {following}, {target.length}")
        lowering.path.next_pc = Value(following, 0, 2 * U64, pc_offset=target.length)
        lowering.inline(instruction.semantics, target.operand_values())
        taken = target.finish(lowering.path) if text.block is not None else None
        if not target.leaves - {BAIL}:
            raise Refused("all is left to the handler")
        self._made[symbol] = target, taken
        module.add(symbol, text)
        return target

    def read(self, data: bytes) -> Stencils:
        """The stencils in the compiled module."""
        item = objects.read_object(data)
        image = bytearray(item.image)
        spans = [(start, start + item.sizes[name]) for name, start in item.symbols.items()]
        if any(not any(a <= r.offset < b for a, b in spans) for r in item.relocations):
            raise ValueError("the stencils' constants hold addresses")
        parts = tuple(self._part(item, image, name) for name in PARTS)
        stencils = tuple(self._group(item, image, instruction) for instruction in self.isa.instructions)
        return Stencils(bytes(image), parts, stencils)

    def _group(self, item: objects.NativeObject, image: bytearray, instruction: Instruction) -> tuple[Stencil, ...]:
        """An instruction's stencils."""
        first = self._stencil(item, image, instruction, 0)
        return first, *(self._stencil(item, image, instruction, number) for number in range(1, 1 << first.sources))

    def _part(self, item: objects.NativeObject, image: bytearray, name: str) -> Stencil:
        size, relocations = _cut(item, image, name, NEXT)
        patches = tuple(self._patch(item, name, None, relocation) for relocation in relocations)
        return Stencil(name, item.symbols[name], size, ending=stitching.LEAVES, patches=patches)

    def _stencil(self, item: objects.NativeObject, image: bytearray, instruction: Instruction, number: int) -> Stencil:
        name, length = _symbol(instruction, number), instruction.pattern.length
        if name not in item.symbols:
            return Stencil(name, length=length)
        start, whole = item.symbols[name], item.sizes[name]
        leaves = {r.symbol for r in item.relocations if start <= r.offset < start + whole}
        if not leaves & {NEXT, TAKEN, "far"}:
            return Stencil(name, length=length)  # all is left to the handler
        target, taken = self._made[name]
        ending = stitching.GOES_ON if NEXT in leaves else stitching.LEAVES
        size, relocations = _cut(item, image, name, NEXT if ending == stitching.GOES_ON else TAKEN)
        if ending == stitching.LEAVES and size < whole:
            ending = stitching.ENDS_TAKEN
        jump_operand, addend = 0, 0
        if taken is not None:
            assert taken.pc_offset is not None
            jump_operand, addend = _operand_place(instruction, taken.operand) if taken.operand else 0, taken.pc_offset
        patches = tuple(self._patch(item, name, instruction, relocation) for relocation in relocations)
        yields, places = self._carries(target)
        sources = len(places) - 1
        return Stencil(name, start, size, length, ending, jump_operand, addend, yields, sources, patches, places)

    def _carries(self, target: StencilTarget) -> tuple[int, tuple[Patch, ...]]:
        """What an instruction yields, and the places: of that, then of the registers that it may find carried."""
        sources = tuple(self._register(target.instruction, "read", *read) for read in target.reads[:MOST_SOURCES])
        if target.yields is not None:
            return stitching.YIELDS_REGISTER, (self._register(target.instruction, "write", *target.yields), *sources)
        nothing = Patch(stitching.REGISTER << 24, "", 0)
        return stitching.YIELDS_UNKNOWN if target.writes else stitching.YIELDS_NOTHING, (nothing, *sources)

    def _register(self, instruction: Instruction, way: str, operand: str, file: RegisterFile) -> Patch:
        """A register's place, as `stitching.register_place` finds it; the zero register is written to a spare one."""
        zero = file.zero if way == "write" and file.zero is not None else stitching.NO_ZERO
        what = stitching.REGISTER << 24 | _operand_place(instruction, operand)
        return Patch(what, "", self.layout.offset(file.name), zero, file.count)

    def _patch(
        self, item: objects.NativeObject, name: str, instruction: Instruction | None, found: objects.Relocation
    ) -> Patch:
        relative = found.kind in RELATIVE
        what = found.offset - item.symbols[name] | WIDTHS[found.kind] << 16 | relative << 56
        kind, *rest = found.symbol.split(".")
        if found.symbol in FIXED:
            return Patch(what | FIXED[found.symbol] << 24, "", found.addend)
        if kind == "operand" and instruction:
            return Patch(what | stitching.OPERAND << 24 | _operand_place(instruction, rest[0]), "", found.addend)
        if kind in ("read", "write") and instruction:
            file = self.layout.fields[rest[1]]
            assert isinstance(file, RegisterFile)
            place = self._register(instruction, kind, rest[0], file)
            return Patch(what | place.what, "", found.addend + place.addend, place.zero, place.spare)
        return Patch(what | stitching.CONSTANT << 24, found.symbol, found.addend + found.base)


def _symbol(instruction: Instruction, number: int) -> str:
    """A stencil's name: the first of an instruction is called like its handler."""
    return handler_symbol(instruction) + (f".{number}" if number else "")


def _operand_place(instruction: Instruction, name: str) -> int:
    """Where a decoded operand is found, as `stitching.operand_at` reads it."""
    stored = next(stored for stored in stored_operands(instruction) if stored.operand.name == name)
    return stored.offset << 32 | stored.size << 40 | stored.operand.signed << 48


def _cut(
    item: objects.NativeObject, image: bytearray, name: str, falls_to: str
) -> tuple[int, list[objects.Relocation]]:
    """A stencil's bytes without a last jump to `falls_to`, which what follows stands in for, and its relocations."""
    start, size = item.symbols[name], item.sizes[name]
    found = sorted((r for r in item.relocations if start <= r.offset < start + size), key=lambda r: r.offset)
    jumps = [r for r in found[-2:] if r.kind in RELATIVE]
    if not jumps or jumps[-1].offset + 4 != start + size or image[jumps[-1].offset - 1 : jumps[-1].offset] != JUMP:
        return size, found
    last = jumps[-1]
    if last.symbol == falls_to:
        return size - 5, found[:-1]
    before = jumps[0]
    neighbours = len(jumps) == 2 and before.offset + 5 == last.offset and image[before.offset - 2] == CONDITIONAL
    if neighbours and before.symbol == falls_to:
        image[before.offset - 1] ^= 1
        swapped = objects.Relocation(before.offset, before.kind, last.symbol, last.base, last.addend)
        return size - 5, [*found[:-2], swapped]
    return size, found


def _enter(target: StencilTarget) -> None:
    text = target.text
    enough = text.value(f"icmp sgt i64 %remaining, {target.read_field('slack').ir}")
    begin, short = text.fresh("begin"), text.fresh("short")
    text.branch(enough, begin, short, likely=True)
    text.begin(begin)
    bank = text.value(f"inttoptr i64 {target.read_field('data_bank').ir} to ptr")
    target.leaves.add(NEXT)
    target.jump(NEXT, bank=bank)
    text.begin(short)
    target.leave(BAIL)


def _after_block(target: StencilTarget, pc: str) -> tuple[str, str]:
    """pc and instructions left where a block is left, its instructions counted."""
    text, done = target.text, target.hole("at.done", 0, stitching.LONGEST_BLOCK)
    leave_block(target, done)
    at = text.value(f"add i64 %pc, {target.hole(pc, -(1 << 31), (1 << 31) - 1)}")
    # Another name for the same: what is used once is put into the instruction.
    return at, text.value(f"sub nsw i64 %remaining, {target.hole('at.count', 0, stitching.LONGEST_BLOCK)}")


def _to_handler(target: StencilTarget) -> None:
    pc, left = _after_block(target, "at.pc")
    slot = target.text.value(f"getelementptr i8, ptr %page, i64 {target.hole('to.slot', 0, 1 << 20)}")
    target.jump("to.handler", slot, pc, left)


def _near(target: StencilTarget) -> None:
    """As `HandlerTarget.arrive`, with everything about the place known."""
    text = target.text
    pc, left = _after_block(target, "to.pc")
    hot, cool, spent, more = (text.fresh(stem) for stem in ("hot", "cool", "spent", "more"))
    text.branch(text.value(f"icmp sle i64 {left}, 0"), spent, more, likely=False)
    with text.cold(spent):
        target.jump("resume", pc=pc, left=left)
    text.begin(more)
    slot = text.value(f"getelementptr i8, ptr %page, i64 {target.hole('to.slot', 0, 1 << 20)}")
    text.branch(comes_round(text, slot), hot, cool, likely=False)
    with text.cold(hot):
        target.jump("hot", pc=pc, left=left)
    text.begin(cool)
    target.jump(text.value(f"load ptr, ptr {slot}{alias('slots')}"), slot, pc, left)


def _far(target: StencilTarget) -> None:
    pc, left = _after_block(target, "to.pc")
    target.jump("far", pc=pc, left=left)
