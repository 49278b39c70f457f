"""A region as a lowering target: registers are locals, which LLVM keeps in host registers.

Guest state is written back only where control leaves; what was changed by then is found by a pass over the blocks.
The functions that a region calls look at none of the registers that it keeps; else there is no such region.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from guesthouse.virtual.engine.access_groups import Group, GroupedAccesses, Moment
from guesthouse.virtual.engine.convention import jump
from guesthouse.virtual.engine.ir import FunctionText, branch
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import U64, Refused, Value, constant
from guesthouse.virtual.engine.walks import Register, Walk, Walks
from guesthouse.virtual.spec.access import Access
from guesthouse.virtual.spec.layout import RegisterFile

ARRIVAL = -1  # stands for the block that finds its way by an address, behind all others


class Leaving(msgspec.Struct):
    """A place where control leaves the region."""

    label: str  # of the block that begins to leave
    way: str  # symbol that is jumped to
    pc: Value  # where the guest goes on
    before: str  # i64: instructions left when the block left from began
    done: int  # instructions of that block done
    left: str | None  # i64: instructions left, where that has been computed
    block: int
    written: frozenset[Register]  # in that block so far
    slot: int | None = None  # bytes from the code page's beginning to the slot handed over


class Entry(msgspec.Struct, frozen=True):
    """Where a region is entered: the symbol of its first instruction's handler, and the slot's place on a code page."""

    handler: str
    slot: int


class Flowing(msgspec.Struct):
    """What the pass over the blocks needs of one: registers it writes and the blocks that may follow."""

    written: set[Register] = msgspec.field(default_factory=set)
    successors: set[int] = msgspec.field(default_factory=set)


class RegionTarget(GroupedAccesses):
    """One region: registers are locals, memory goes through the inlined shadow page table."""

    def __init__(self, module: Module, text: FunctionText, runtime: Runtime, base: str, blocks: Sequence[int]) -> None:
        """`base`: i64, guest-virtual address of the page; `blocks`: page offsets where the region's blocks begin."""
        super().__init__(module, text, runtime.functions)
        self.base = base
        self.numbers = {offset: number for number, offset in enumerate(blocks)}
        self.locals: dict[Register, str] = {}
        self.leavings: list[Leaving] = []
        self.flowing = [Flowing() for _ in [*blocks, ARRIVAL]]
        self._known_behind: dict[int, dict[str, str]] = {}  # by number of a block, what is known at its end
        self.counter = text.local("i64")  # instructions left between blocks
        self.entries: dict[int, Entry] = {}  # by page offset
        self.groups: list[Group] = []
        self.walks = Walks()
        self._kept: dict[Walk, tuple[str, str]] = {}
        self._arriving: str | None = None  # the place of an address that is known only at run time
        self.block = 0
        self.offset = 0  # of the present instruction
        self.before = "0"  # i64: instructions left when the block began
        self.done = 0  # instructions of the block before the present one
        self.stored: str | None = None  # i1: whether a slow store has undone code
        self._undone = "0"
        self._written: frozenset[Register] | None = None  # in the block until then, where we have gone back
        self._slow_store: int | None = None  # where the text was behind it
        self._put_off: Group | None = None  # whose first store it is
        self.files_called: set[str] = set()
        self.assumed: set[str] = set()  # fields taken to be as usual
        self.kept_places: set[int] = set()  # page offsets whose addresses were written to registers
        bank = self.field_pointer("data_bank")
        self._bank = text.value(f"load ptr, ptr {bank}{alias('state')}")

    def begin(self, offset: int, done: int) -> None:
        """Go on to the instruction at a page offset, `done` instructions of its block being done before it."""
        self.offset, self.done = offset, done
        self.stored = self._slow_store = self._put_off = self._written = None

    # --- from block to block ------------------------------------------------------------------------------------------

    def known_behind(self, offset: int | None) -> dict[str, str]:
        """What is known where control comes from the block at a page offset, and from nowhere else."""
        return dict(self._known_behind.get(self.numbers[offset], {})) if offset is not None else {}

    def counted(self) -> str:
        """I64: instructions left when the block began."""
        return self.text.value(f"load i64, ptr {self.counter}")

    def end(self, done: int) -> None:
        """Note what is left and known when all instructions of the block have run, `done` of them."""
        left = self.left(done)
        self.text.emit(f"store i64 {left}, ptr {self.counter}")
        self.text.known[f"load i64, ptr {self.counter}"] = left
        self._known_behind[self.block] = dict(self.text.known)

    # --- state --------------------------------------------------------------------------------------------------------

    def data_bank(self) -> str:
        return self._bank

    def place(self, offset: int) -> Value:
        """A place on the region's page as a guest address."""
        return Value(self.text.spare(f"add i64 {self.base}, {offset}"), 0, 2 * U64, pc_offset=offset)

    def read_pc(self) -> Value:
        return Value(self.place(self.offset).ir, 0, U64, pc_offset=self.offset)

    def read_field(self, name: str) -> Value:
        mask, bits = self._field(name).usual
        if not mask:
            return super().read_field(name)
        self.assumed.add(name)
        if mask == (1 << self._field(name).bits) - 1:
            return constant(bits)
        return msgspec.structs.replace(super().read_field(name), usual=(mask, bits))

    def write_field(self, name: str, value: Value) -> None:
        mask, bits = self._field(name).usual
        if not mask:
            super().write_field(name, value)
        elif value.usual != (mask, bits) and value.constant != bits:  # neither what was read nor all that it may be
            raise Refused(f"{name} may become other than usual")

    def go_on_if_usual(self, yes: str, no: str) -> None:
        """End the block: to `yes` where the fields are what the region takes them to be."""
        for name in sorted(self.assumed):
            mask, bits = self._field(name).usual
            found, label = self.text.value(f"and i64 {super().read_field(name).ir}, {mask}"), self.text.fresh("usual")
            self.text.branch(self.text.value(f"icmp eq i64 {found}, {bits}"), label, no, likely=True)
            self.text.begin(label)
        self.text.end(f"br label %{yes}")

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
        reading = f"load i64, ptr {self._local(file, index.constant)}"
        ir = self.text.known.get(reading)
        if ir is None:
            ir = self.text.known[reading] = self.text.value(reading)
            self.walks.origins[ir] = file.name, index.constant
        return Value(ir, 0, (1 << file.bits) - 1) if ir[0] == "%" else constant(int(ir) & U64)

    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None:
        if index.constant is None or index.constant == file.zero:
            super().write_register(file, index, value)
            return
        if value.pc_offset is not None:
            self.kept_places.add(value.pc_offset)
        slot = self._local(file, index.constant)
        ir = self._fitted(value, file.bits)
        self.text.emit(f"store i64 {ir}, ptr {slot}")
        self.text.known[f"load i64, ptr {slot}"] = ir
        register = file.name, index.constant
        self.flowing[self.block].written.add(register)
        self.walks.note_write(register, self.block, *self.text.root(ir))

    # --- leaving ------------------------------------------------------------------------------------------------------

    def leave(self, way: str, pc: Value, done: int) -> str:
        """Label of a way out of the present block, when `done` of its instructions have run."""
        written = frozenset(self.flowing[self.block].written) if self._written is None else self._written
        left = self.text.known.get(f"sub i64 {self.before}, {done}")
        leaving = Leaving(self.text.fresh("exit"), way, pc, self.before, done, left, self.block, written)
        self.leavings.append(leaving)
        return leaving.label

    def left(self, done: int) -> str:
        """i64: instructions left when `done` of this block have run."""
        return self._less(self.before, done)

    def _less(self, before: str, done: int) -> str:
        return self.text.value(f"sub i64 {before}, {done}") if done else before

    def spill(self, effects: frozenset[str]) -> None:
        if "synchronize" not in effects and any(f"sets:{name}" in effects for name in self.layout.usual):
            raise Refused("a function changes what the region takes to be as usual")
        self.files_called |= {effect.removeprefix("file:") for effect in effects if effect.startswith("file:")}
        if "pc" in effects:
            self.store_field("pc", self.read_pc().ir)
        if "time" in effects:
            self.store_field("remaining", self.left(self.done))

    def abort(self, failed: str) -> None:
        going_on = self.text.fresh("fine")
        self.text.branch(failed, self._trapped(), going_on, likely=False)
        self.text.begin(going_on, self.text.known)

    def leave_by_trap(self) -> None:
        self.text.end(f"br label %{self._trapped()}")

    def _trapped(self) -> str:
        return self.leave("abort_region", self.read_pc(), self.done)

    # --- stores that undo code ----------------------------------------------------------------------------------------

    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None:
        result = super().call(source, effects, arguments)
        # A store may have undone this very region: then go on elsewhere after this instruction.
        if source.name in ("atomic_place", "slow_store"):
            self._undone = self._code_dropped()
        elif source.name == "zero_block":
            self._note_store(self._code_dropped())
        return result

    def _code_dropped(self) -> str:
        return self.text.value(f"icmp ne i64 {self.read_field('code_dropped').ir}, 0")

    def after_store(self, fast: str | None, slow: str | None) -> None:
        self._note_store(self.text.spare(f"phi i1 [ false, %{fast} ], [ {self._undone}, %{slow} ]"))

    def _note_store(self, undone: str) -> None:
        self.stored = undone if self.stored is None else self.text.spare(f"or i1 {self.stored}, {undone}")

    def after_first_store(self, group: Group) -> None:
        self._put_off, self._slow_store = group, self.text.mark()

    def take_stored(self) -> str:
        assert self.stored is not None
        return self.stored

    def leave_if_undone(self, next_pc: Value) -> None:
        """At the end of an instruction that may have stored: leave if that has undone code."""
        text, group = self.text, self._put_off
        if group is not None and self.stored is None and self._slow_store == text.mark():
            # The instruction has ended with the store: the slow way leaves, the fast one need not look.
            group.after = next_pc, self.moment()
            return
        if group is not None:
            group.undone = "%" + text.fresh()
            self._note_store(group.undone)
        if self.stored is None:
            return
        kept = text.fresh("kept")
        text.branch(self.stored, self.leave("resume_region", next_pc, self.done + 1), kept, likely=False)
        text.begin(kept, text.known)

    def leave_if_slow_store_undid(self, next_pc: Value) -> None:
        leaving = self.leave("resume_region", next_pc, self.done + 1)
        line = branch(self._undone, leaving, self.text.block or "", likely=False)
        self.text.replace_cold(self.text.written_cold(), line)

    # --- going back ---------------------------------------------------------------------------------------------------

    def moment(self) -> Moment:
        written = frozenset(self.flowing[self.block].written)
        return Moment(self.offset, self.done, self.before, self.block, written)

    def return_to(self, moment: Moment) -> None:
        self.begin(moment.offset, moment.done)
        self.before, self.block, self._written = moment.before, moment.block, moment.written

    def leave_before(self) -> str:
        entry = self.entries.get(self.offset)
        label = self.leave("near_region" if entry is None else entry.handler, self.read_pc(), self.done)
        if entry is not None:
            self.leavings[-1].slot = entry.slot  # whose handler is the region itself
        return label

    def find_walks(self) -> list[Walk | None]:
        arrival = len(self.numbers)
        successors = {number: self.flowing[number].successors - {arrival} for number in range(arrival)}
        accesses = ((self.text.root(g.address.ir)[0], g.moment.block, g.access == Access.STORE) for g in self.groups)
        return self.walks.find(accesses, successors)

    # --- jumps to addresses known only at run time --------------------------------------------------------------------

    def arrive(self, address: str) -> str:
        """Label where control goes on at an address: at an entry of the region, or outside; `counter` is as it is."""
        if self._arriving is None:
            self._arriving = self.text.local("i64")
        self.text.emit(f"store i64 {address}, ptr {self._arriving}")
        self.flowing[self.block].successors.add(len(self.numbers))
        return "arrival"

    def write_arrival(self) -> None:
        """Write the block behind that label, where anything goes there."""
        if self._arriving is None:
            return
        self.block = len(self.numbers)
        self.text.begin("arrival")
        address = Value(self.text.value(f"load i64, ptr {self._arriving}"), 0, U64)
        self.before = self.counted()
        self.flowing[ARRIVAL].successors |= {self.numbers[entry] for entry in self.entries}
        self.choose(address.ir, {entry: f"b{entry}" for entry in self.entries}, self.leave("far_region", address, 0))

    def choose(self, address: str, labels: dict[int, str], other: str) -> None:
        """End the block: to the label of the page offset where an address lies, if it has one."""
        offset = self.text.value(f"sub i64 {address}, {self.base}")
        cases = " ".join(f"i64 {place}, label %{label}" for place, label in labels.items())
        self.text.end(f"switch i64 {offset}, label %{other} [ {cases} ]")

    # --- ways out -----------------------------------------------------------------------------------------------------

    def write_exits(self) -> None:
        """Write the ways out at the end; places that go the same way and write back the same share one."""
        changed = self._changed()
        exits: dict[tuple[str, int | None, frozenset[Register]], list[Leaving]] = {}
        for leaving in self.leavings:
            key = leaving.way, leaving.slot, changed[leaving.block] | leaving.written
            exits.setdefault(key, []).append(leaving)
        for (way, slot, registers), places in exits.items():
            pc, left = self._begin_leaving(places)
            self._write_back(registers)
            if slot is None:
                jump(self.text, self.module.handler(way), pc=pc, left=left)
            else:
                self.count(f"sub i64 {self.read_field('translated_steps').ir}, {left}")
                place = self.text.value(f"getelementptr i8, ptr %page, i64 {slot}")
                jump(self.text, self.module.handler(way), slot=place, pc=pc, left=left)

    def count(self, operation: str) -> None:
        """Note instructions that run here: what is left is added on entry, and taken off where control leaves."""
        self.store_field("translated_steps", self.text.value(operation))

    def _begin_leaving(self, places: list[Leaving]) -> tuple[str, str]:
        """Begin to leave; gives pc and instructions left, whichever place is left from."""
        text, values = self.text, []
        join = text.fresh("out")
        for place in places:
            text.begin(place.label)
            offset = place.pc.pc_offset
            pc = place.pc.ir if offset is None else text.value(f"add i64 {self.base}, {offset}")
            values.append((pc, place.left or self._less(place.before, place.done), place.label))
            if len(places) > 1:
                text.end(f"br label %{join}")
        if len(places) == 1:
            return values[0][:2]
        text.begin(join)
        pc = text.value("phi i64 " + ", ".join(f"[ {pc}, %{label} ]" for pc, _, label in values))
        return pc, text.value("phi i64 " + ", ".join(f"[ {left}, %{label} ]" for _, left, label in values))

    def _write_back(self, registers: frozenset[Register]) -> None:
        text = self.text
        for name, index in sorted(registers):
            value = text.value(f"load i64, ptr {self.locals[name, index]}")
            place = text.value(f"getelementptr i8, ptr %s, i64 {self.layout.offset(name) + 8 * index}")
            text.emit(f"store i64 {value}, ptr {place}{alias('state')}")

    def _changed(self) -> list[frozenset[Register]]:
        """Per block, the registers that may have changed since the region was entered when it begins."""
        incoming: list[frozenset[Register]] = [frozenset() for _ in self.flowing]
        todo = list(range(len(incoming)))
        while todo:
            number = todo.pop()
            outgoing = incoming[number] | self.flowing[number].written
            for successor in self.flowing[number].successors:
                if not outgoing <= incoming[successor]:
                    incoming[successor] |= outgoing
                    todo.append(successor)
        return incoming
