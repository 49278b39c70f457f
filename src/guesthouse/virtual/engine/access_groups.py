"""Accesses of a region that lie near one another share one look at the shadow page table.

Accesses of one block whose addresses are the same value plus constants are a *group*: fields of an object, a function's
frame. The first looks for them all; they may lie in two pages, each with its own way to the host. Whether there is more
than one is known only at the region's end, so the first is written then, into a hole left for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from guesthouse.virtual.engine.ir import Hole
from guesthouse.virtual.engine.module import alias
from guesthouse.virtual.engine.values import Value, constant
from guesthouse.virtual.engine.walks import Walk, WalkingAccesses
from guesthouse.virtual.memory.shadow import READ_TAG, WRITE_TAG
from guesthouse.virtual.spec.access import Access

SPAN = 256  # bytes that the accesses of a group may lie apart


@dataclass(frozen=True)
class Moment:
    """Where in its region a target was."""

    offset: int
    done: int
    before: str
    block: int
    written: frozenset[tuple[str, int]]


@dataclass
class Member:
    """An access: its address, the line for what `addend` becomes, host minus guest address there."""

    address: str
    offset: int
    addend: str
    line: Hole


@dataclass
class Group:
    """Accesses in bytes from a common address; names of what its members use; what it takes to write the first."""

    access: Access
    address: Value
    size: int
    offset: int  # of the first, from the common address
    moment: Moment
    hole: Hole
    value: Value | None  # that is stored first
    result: str  # name of what is loaded first
    near: str  # host minus guest address up to `limit`
    far: str  # and behind it
    limit: str  # last address on the page of the lowest, where the group may lie in two
    low: int = field(init=False)
    high: int = field(init=False)
    align: int = field(init=False)
    members: list[Member] = field(default_factory=list)  # behind the first
    after: tuple[Value, Moment] | None = None  # where a first store that has undone code goes on
    undone: str | None = None  # i1: name of whether it has, where somebody asks

    def __post_init__(self) -> None:
        self.low, self.high, self.align = self.offset, self.offset + self.size, self.size

    def takes(self, offset: int, size: int) -> bool:
        """Take in another access, if it lies near and is aligned where the first is."""
        low, high = min(self.low, offset), max(self.high, offset + size)
        if high - low > SPAN or (offset - self.offset) % size:
            return False
        self.low, self.high, self.align = low, high, max(self.align, size)
        return True

    @property
    def one_unit(self) -> bool:
        """Whether all lie in the first one's aligned bytes, and so in one page."""
        return self.high - self.low == self.align


class GroupedAccesses(WalkingAccesses):
    """Loads and stores, in groups where that can be."""

    groups: list[Group]

    # --- what the region adds -----------------------------------------------------------------------------------------

    def moment(self) -> Moment:
        """Where the target is now."""
        raise NotImplementedError

    def return_to(self, moment: Moment) -> None:
        """Be there again, to write what belongs there."""
        raise NotImplementedError

    def leave_before(self) -> str:
        """Label of a way out, to the interpreter, before the present instruction."""
        raise NotImplementedError

    def leave_if_slow_store_undid(self, next_pc: Value) -> None:
        """Right after a slow store was written: have the slow way leave, if code was undone, behind the instruction."""
        raise NotImplementedError

    def find_walks(self) -> list[Walk | None]:
        """For each group the walk it belongs to."""
        raise NotImplementedError

    # --- loads and stores ---------------------------------------------------------------------------------------------

    def _word_load(self, address: Value, size: Value) -> Value:
        bits = 8 * (size.constant or 0)
        group = self._joined(address, bits // 8, Access.LOAD)
        if group is not None:
            return self._load_member(group, address, bits)
        group = self._begin(address, bits // 8, Access.LOAD)
        return Value(group.result, 0, (1 << bits) - 1)

    def _word_store(self, address: Value, size: Value, value: Value) -> None:
        group = self._joined(address, size.constant or 0, Access.STORE)
        if group is not None:
            self._store_member(group, address, value, size.constant or 0)
        else:
            group = self._begin(address, size.constant or 0, Access.STORE, value)
            self.after_first_store(group)

    def after_first_store(self, group: Group) -> None:
        """A store was put off until its group is known."""
        raise NotImplementedError

    def _joined(self, address: Value, size: int, access: Access) -> Group | None:
        """The group that an access is a member of; what may be stored to may be loaded, too."""
        root, offset = self.text.root(address.ir)
        for key in (f"{Access.STORE} at {root}", f"{access} at {root}"):
            number = self.text.known.get(key)
            if number is not None and self.groups[int(number)].takes(offset, size):
                return self.groups[int(number)]
        return None

    def _begin(self, address: Value, size: int, access: Access, value: Value | None = None) -> Group:
        text = self.text
        root, offset = self.text.root(address.ir)
        result, near, far, limit = ("%" + text.fresh() for _ in range(4))
        moment, hole = self.moment(), text.leave_hole()
        group = Group(access, address, size, offset, moment, hole, value, result, near, far, limit)
        text.known[f"{access} at {root}"] = str(len(self.groups))
        self.groups.append(group)
        return group

    # --- members ------------------------------------------------------------------------------------------------------

    def _member_place(self, group: Group, address: Value) -> str:
        text, addend = self.text, "%" + self.text.fresh()
        group.members.append(Member(address.ir, self.text.root(address.ir)[1], addend, text.leave_line()))
        return text.value(f"inttoptr i64 {text.value(f'add i64 {address.ir}, {addend}')} to ptr")

    def _write_member(self, group: Group, member: Member) -> None:
        """Write which of the group's two pages a member lies in."""
        if group.one_unit or member.offset == group.low:
            member.line.lines = [f"  {member.addend} = add i64 {group.near}, 0"]
            return
        near = "%" + self.text.fresh()
        member.line.lines = [
            f"  {near} = icmp ule i64 {member.address}, {group.limit}",
            f"  {member.addend} = select i1 {near}, i64 {group.near}, i64 {group.far}",
        ]

    def _load_member(self, group: Group, address: Value, bits: int) -> Value:
        place = self._member_place(group, address)
        value = self.text.value(f"load atomic i{bits}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        return self._widened(value, bits)

    def _store_member(self, group: Group, address: Value, value: Value, size: int) -> None:
        place, ir = self._member_place(group, address), self._narrowed(value, 8 * size)
        self.text.emit(f"store atomic i{8 * size} {ir}, ptr {place} unordered, align {size}{alias('guest')}")

    # --- the first ----------------------------------------------------------------------------------------------------

    def write_groups(self) -> None:
        """Write all first accesses, each as its group has turned out."""
        for group, walk in zip(self.groups, self.find_walks(), strict=True):
            with self.text.filling(group.hole):
                self.return_to(group.moment)
                self.walk = walk
                if not group.members:
                    self._write_alone(group)
                else:
                    self._write_first(group)
            for member in group.members:
                self._write_member(group, member)

    def _write_alone(self, group: Group) -> None:
        text, size = self.text, constant(group.size)
        if group.value is None:
            value = super()._word_load(group.address, size)
            text.emit(f"{group.result} = add i64 {value.ir}, 0")
            return
        super()._word_store(group.address, size, group.value)
        if group.after is not None:
            next_pc, moment = group.after
            self.return_to(moment)
            self.leave_if_slow_store_undid(next_pc)
        if group.undone is not None:
            text.emit(f"{group.undone} = or i1 {self.take_stored()}, false")

    def take_stored(self) -> str:
        """I1: whether the slow store written just now has undone code."""
        raise NotImplementedError

    def _write_first(self, group: Group) -> None:
        text = self.text
        lowest = self._moved(group, group.low)
        text.emit(f"{group.limit} = or i64 {lowest}, 4095")
        # In the last aligned stretch of bytes, and aligned if and only if the first access is.
        last = self._moved(group, group.offset + (group.high - 1 - group.offset) // group.align * group.align)
        missed, join = text.fresh("missed"), text.fresh("grouped")
        tag_offset = WRITE_TAG if group.access == Access.STORE else READ_TAG
        hit, _ = self._look(lowest, last, group.align, tag_offset, missed)
        found = text.block
        text.end(f"br label %{join}")
        near, far, slow_end = self._look_slowly(group, missed, join)
        text.begin(join)
        text.emit(f"{group.near} = phi i64 [ {hit}, %{found} ], [ {near}, %{slow_end} ]")
        text.emit(f"{group.far} = phi i64 [ {hit}, %{found} ], [ {far}, %{slow_end} ]")
        if group.value is None:
            value = self._load_member(group, group.address, 8 * group.size)
            text.emit(f"{group.result} = add i64 {value.ir}, 0")
        else:
            self._store_member(group, group.address, group.value, group.size)
        self._write_member(group, group.members.pop())
        if group.undone is not None:
            text.emit(f"{group.undone} = or i1 false, false")

    def _moved(self, group: Group, offset: int) -> str:
        """I64: the address of an offset of the group."""
        distance = offset - group.offset
        return self.text.value(f"add i64 {group.address.ir}, {distance}") if distance else group.address.ir

    def _look_slowly(self, group: Group, missed: str, join: str) -> tuple[str, str, str]:
        """Where the probe has failed: translate, or leave; gives both addends, and the block that goes to `join`."""
        text = self.text
        with text.cold(missed):
            before, behind = group.offset - group.low, group.high - group.offset
            shape = [constant(number) for number in (group.size, before, behind, group.align, int(group.access))]
            there = self.call_runtime("places_near", [group.address, *shape])
            assert there is not None
            going_on = text.fresh("there")
            text.branch(text.value(f"icmp eq i64 {there.ir}, 0"), self.leave_before(), going_on)
            text.begin(going_on)
            near, far = self.read_field("near_addend").ir, self.read_field("far_addend").ir
            text.end(f"br label %{join}")
        return near, far, going_on
