"""Accesses through a pointer that walks keep the page that was found last, from one round of a loop to the next.

A register *walks* in a loop that only adds numbers to it: a pointer that runs over an array, or one that stays. What is
kept are two words on the host's stack: the page's tag, and host minus guest address. They are no locals: LLVM would
spill others for them. What is kept holds until the region is left: what this processor does there takes no page
away, and another one that does reckons with accesses to come until this one has left (`memory.crew`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import msgspec

from guesthouse.virtual.engine.target import MachineTarget
from guesthouse.virtual.engine.values import constant
from guesthouse.virtual.memory.shadow import NO_TAG, WRITE_TAG

Register = tuple[str, int]

STEP = 1024  # bytes in a round; what moves by more is on another page too often


def find_loops(successors: Mapping[int, Set[int]]) -> list[frozenset[int]]:
    """The blocks of each loop, smaller loops first: what leads to a jump backwards without passing where that goes.

    Blocks are numbered in address order. What nothing leads to comes from outside: a loop with such a block is left in
    each round.
    """
    before: dict[int, list[int]] = {}
    for block, following in successors.items():
        for other in following:
            before.setdefault(other, []).append(block)
    found = []
    for head, leading in before.items():
        todo = [block for block in leading if block >= head]
        body = {head} if todo else set()
        while todo:
            block = todo.pop()
            if block not in body:
                body.add(block)
                todo += before.get(block, ())
        if body and body <= before.keys():
            found.append(frozenset(body))
    return sorted(found, key=len)


class Walk(msgspec.Struct, frozen=True):
    """What accesses share that keep one page: the register, and whether the loop stores through it."""

    register: Register
    stores: bool


class Walks(msgspec.Struct):
    """What becomes of each register in a region's blocks."""

    # By name of a value, the register that it was read from.
    origins: dict[str, Register] = msgspec.field(default_factory=dict)
    # How far a register moves, by number of a block; None: it is set anew there.
    moves: dict[Register, dict[int, int | None]] = msgspec.field(default_factory=dict)

    def note_write(self, register: Register, block: int, root: str, distance: int) -> None:
        """A block, which may do so again, sets a register to a value plus a number."""
        self.moves.setdefault(register, {})[block] = distance if self.origins.get(root) == register else None

    def find(self, accesses: Iterable[tuple[str, int, bool]], successors: Mapping[int, Set[int]]) -> list[Walk | None]:
        """For each access (the value its address counts from, block, whether it stores) the walk it belongs to."""
        loops = find_loops(successors)
        found: list[tuple[Register, frozenset[int]] | None] = []
        stored = set()
        for root, block, stores in accesses:
            register = self.origins.get(root)
            loop = next((loop for loop in loops if block in loop), None)
            if register is None or loop is None or not self._walks(register, loop):
                found.append(None)
                continue
            found.append((register, loop))
            if stores:
                stored.add((register, loop))
        return [Walk(one[0], one in stored) if one else None for one in found]

    def _walks(self, register: Register, loop: frozenset[int]) -> bool:
        moves = self.moves.get(register, {})
        return all((move := moves[block]) is not None and abs(move) <= STEP for block in moves.keys() & loop)


class WalkingAccesses(MachineTarget):
    """Accesses that look first at what their walk has kept."""

    _kept: dict[Walk, tuple[str, str]]  # pointers to the tag of its page, and to host minus guest address
    walk: Walk | None = None  # of the access being written

    def _look(self, first: str, last: str, align: int, tag_offset: int, missed: str) -> tuple[str, dict[str, str]]:
        walk, text = self.walk, self.text
        if walk is None:
            return super()._look(first, last, align, tag_offset, missed)
        if walk not in self._kept:
            self._kept[walk] = text.fixed("i64", NO_TAG), text.fixed("i64", 0)
        tag_place, addend_place = self._kept[walk]
        again, join = text.fresh("again"), text.fresh("looked")
        tag = text.value(f"load i64, ptr {tag_place}")
        page = text.value(f"and i64 {last}, {constant(~0xFFF | (align - 1)).ir}")
        hit = text.value(f"icmp eq i64 {tag}, {page}")
        if first != last:
            first_hit = text.value(f"icmp eq i64 {tag}, {text.value(f'and i64 {first}, -4096')}")
            hit = text.value(f"and i1 {hit}, {first_hit}")
        kept, known = text.fresh("kept"), text.known
        text.branch(hit, kept, again, likely=True)
        text.begin(again, dict(known))
        looked, _ = super()._look(first, last, align, tag_offset, missed)
        if tag_offset == WRITE_TAG or not walk.stores:
            text.emit(f"store i64 {page}, ptr {tag_place}")
            text.emit(f"store i64 {looked}, ptr {addend_place}")
        found = text.block
        text.end(f"br label %{join}")
        text.begin(kept)
        there = text.value(f"load i64, ptr {addend_place}")
        text.begin(join, dict(known))
        return text.value(f"phi i64 [ {there}, %{kept} ], [ {looked}, %{found} ]"), known
