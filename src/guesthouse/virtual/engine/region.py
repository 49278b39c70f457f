"""Regions: which instructions are translated together.

A region lies within one page of guest-physical memory. It is all that control reaches from its entry and that is worth
it, so that registers stay in the host's for long; a call is taken to come back. Where that is much, it is the loops
round the entry; where the entry is in none, the short way from it to places that are hot enough to begin regions of
their own. Where its calls come back and its loops begin are entries too, so that code is not translated once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from guesthouse.virtual.engine.control import LONGEST_PATH
from guesthouse.virtual.spec.description import Instruction, Isa

PAGE = 4096
BUSY = 8000  # jumps from which a place is likely to begin a region of its own
SMALL = 160  # instructions that are all taken along
SHORT = 24  # instructions of a way that may run into such a place
ELSEWHERE = -1  # an address known only at run time
RARE = 512  # jumps below which a place is not worth translating along


class Decoder:
    """Finds instructions by their bits, over an instruction set's patterns grouped by mask."""

    def __init__(self, isa: Isa) -> None:
        self._groups: dict[int, dict[int, list[Instruction]]] = {}
        for instruction in isa.decode_order:
            group = self._groups.setdefault(instruction.pattern.mask, {})
            group.setdefault(instruction.pattern.match, []).append(instruction)
        self._known: dict[int, Instruction | None] = {}

    def decode(self, word: int) -> Instruction | None:
        """The instruction that begins with these bits (more may follow), None where there is none."""
        if word not in self._known:
            if len(self._known) > 1 << 16:
                self._known.clear()
            self._known[word] = self._find(word)
        return self._known[word]

    def _find(self, word: int) -> Instruction | None:
        for mask, group in self._groups.items():
            for instruction in group.get(word & mask, ()):
                if instruction.pattern.matches(word):
                    return instruction
        return None


def _reach(start: list[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    """Everything that can be reached."""
    found, todo = set(start), list(start)
    while todo:
        for other in following(todo.pop()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


class Step(msgspec.Struct):
    """One instruction in its place: page offset in bytes, and its operands' values."""

    offset: int
    instruction: Instruction
    operands: dict[str, int]

    @property
    def after(self) -> int:
        """Page offset behind it."""
        return self.offset + self.instruction.pattern.length


class Block(msgspec.Struct):
    """Instructions that run one after the other; control enters at the first only."""

    steps: list[Step] = msgspec.field(default_factory=list)
    header: bool = False  # a backward jump comes here, or one from anywhere: every cycle has such a block
    entry: bool = False  # control may come here from outside

    @property
    def offset(self) -> int:
        """Page offset of the first instruction."""
        return self.steps[0].offset


class _Found(msgspec.Struct):
    """What following control through a page has found, by page offset."""

    steps: dict[int, Step] = msgspec.field(default_factory=dict)
    ways: dict[int, frozenset[int]] = msgspec.field(default_factory=dict)  # where control may go from there
    leaders: set[int] = msgspec.field(default_factory=set)
    headers: set[int] = msgspec.field(default_factory=set)
    returns: set[int] = msgspec.field(default_factory=set)  # where jumps to anywhere are likely to go

    def copy(self) -> _Found:
        """Another one, to be added to."""
        sets = (set(self.leaders), set(self.headers), set(self.returns))
        return _Found(dict(self.steps), dict(self.ways), *sets)

    def add(self, place: _Place) -> None:
        """Note an instruction."""
        offset, after = place.step.offset, place.step.after
        self.steps[offset] = place.step
        self.ways[offset] = place.ways
        self.headers |= place.back
        self.leaders.update(place.jumps)
        if place.branches:
            self.leaders.add(after)
        if place.comes_back:
            self.returns.add(after)

    def comes_back(self) -> dict[int, frozenset[int]]:
        """`ways`, where a jump to anywhere is taken to go to each of the places likely for that."""
        return {
            offset: targets | self.returns if ELSEWHERE in targets else targets for offset, targets in self.ways.items()
        }


class _Place(msgspec.Struct, frozen=True):
    """An instruction, and where control goes on that is worth it."""

    step: Step
    ways: frozenset[int]
    jumps: tuple[int, ...]  # of these the places on the page other than just behind it
    back: frozenset[int]  # places at or before it where it may go
    branches: bool  # it may go elsewhere than just behind it
    comes_back: bool  # it is a call that has come back


class _Code:
    """The instructions of a page, each looked at once."""

    def __init__(self, former: RegionFormer, page: bytes, flow: Flow, jumps_to: Sequence[int] | None) -> None:
        self.former = former
        self.page = page
        self.flow = flow
        self.jumps_to = jumps_to
        self._seen: dict[int, _Place | None] = {}

    def at(self, offset: int) -> _Place | None:
        """What is at a page offset, None where that is not to be translated."""
        if offset not in self._seen:
            self._seen[offset] = self._look(offset)
        return self._seen[offset]

    def _look(self, offset: int) -> _Place | None:
        step = self.former.step_at(self.page, offset)
        targets = self.flow.targets(step) if step else None
        if step is None or targets is None:
            return None
        branches = targets - {step.after} != set()
        back = frozenset(target for target in targets if 0 <= target <= offset)
        if self.jumps_to is not None and len(targets) > 1:
            targets = {target for target in targets if self._runs(self.jumps_to, target, step.after)}
        unit = self.former.isa.unit
        jumps = tuple(t for t in targets if t != step.after and 0 <= t < PAGE and t % unit == 0)
        comes_back = self.jumps_to is not None and step.after not in targets and self._comes_back(step, self.jumps_to)
        if comes_back:
            jumps, targets = (*jumps, step.after), targets | {step.after}
        return _Place(step, frozenset(targets), jumps, back, branches, comes_back)

    def _runs(self, jumps_to: Sequence[int], target: int, after: int) -> bool:
        """Whether one of several ways on is worth taking along."""
        if not 0 <= target < PAGE:
            return False
        count = jumps_to[target // self.former.isa.unit]
        return count >= 0 if target == after else count >= RARE

    def _comes_back(self, step: Step, jumps_to: Sequence[int]) -> bool:
        """Whether an instruction is a call that has come back often."""
        return self.flow.calls(step) and self._runs(jumps_to, step.after, ELSEWHERE)


class RegionFormer:
    """Follows control through a page's bytes. `flows` tells, per instruction, where control may go (see translator)."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.decoder = Decoder(isa)

    def step_at(self, page: bytes, offset: int) -> Step | None:
        """The instruction at a page offset, None where it is undefined or not wholly on the page."""
        word = int.from_bytes(page[offset : offset + self.isa.longest], "little")
        instruction = self.decoder.decode(word)
        if instruction is None or offset + instruction.pattern.length > PAGE:
            return None
        return Step(offset, instruction, instruction.pattern.decode(word))

    def form(self, page: bytes, entry: int, flow: Flow, jumps_to: Sequence[int] | None = None) -> list[Block]:
        """Blocks of the region that begins at `entry`, in address order; empty where nothing can be translated.

        `jumps_to` has, for each place where an instruction may begin, -1 where none has run, else how often it was
        jumped to: what has not run, or hardly ever, is left to the interpreter.
        """
        code = _Code(self, page, flow, jumps_to)
        found = self._reached(_Found(), entry, code)
        if jumps_to is not None and len(found.ways) <= SMALL:
            found = self._joined(found, entry, code, jumps_to)
        return self._blocks(found, entry, jumps_to)

    def _reached(self, found: _Found, entry: int, code: _Code, most: int = LONGEST_PATH) -> _Found:
        """What control reaches from a place, added to what was found, as long as that is not `most` instructions."""
        todo = [entry]
        found.leaders.add(entry)
        while todo and len(found.steps) < most:
            offset = todo.pop(0)
            while 0 <= offset < PAGE and offset not in found.steps and len(found.steps) < most:
                place = code.at(offset)
                if place is None:
                    break
                found.add(place)
                todo += place.jumps
                offset = place.step.after
                if offset not in place.ways or offset in place.jumps:
                    break
        return found

    def _joined(self, found: _Found, entry: int, code: _Code, jumps_to: Sequence[int]) -> _Found:
        """With other places nearly as hot as the entry from which control comes into the region: callers, cases."""
        hot = max(BUSY, jumps_to[entry // self.isa.unit] // 4)
        places = [number * self.isa.unit for number, count in enumerate(jumps_to) if count >= hot]
        for place in sorted(places, key=lambda place: -jumps_to[place // self.isa.unit]):
            if place in found.steps:
                continue
            larger = self._reached(found.copy(), place, code, SMALL + 1)
            comes_in = any(larger.ways[offset] & found.ways.keys() for offset in larger.ways.keys() - found.ways.keys())
            if comes_in and len(larger.ways) <= SMALL:
                found = larger
                found.returns.add(place)
        return found

    def _kept(self, found: _Found, entry: int, jumps_to: Sequence[int] | None) -> set[int]:
        """Of what control reaches: all, if that is small; the loops round the entry; the way to where others begin."""
        if len(found.ways) <= SMALL:
            return set(found.ways)
        ways = found.comes_back()
        back: dict[int, list[int]] = {}
        for offset, targets in ways.items():
            for target in targets:
                back.setdefault(target, []).append(offset)
        loop = _reach([entry], lambda offset: back.get(offset, ()))
        if loop - {entry} or entry in ways.get(entry, ()):
            return loop & ways.keys() | ({entry} & ways.keys())
        if jumps_to is None:
            return set(ways)
        kept, todo = {entry} & ways.keys(), [entry]
        while todo:
            for target in sorted(ways.get(todo.pop(0), ())):
                if target not in ways or target in kept:
                    continue
                if len(kept) < SHORT or jumps_to[target // self.isa.unit] < BUSY:
                    kept.add(target)
                    todo.append(target)
        return kept

    def _blocks(self, found: _Found, entry: int, jumps_to: Sequence[int] | None) -> list[Block]:
        kept = self._kept(found, entry, jumps_to)
        if entry not in kept:
            return []
        loops = {head for head in found.headers if jumps_to is not None and jumps_to[head // self.isa.unit] >= RARE}
        entries = ({entry} | found.returns | loops) & kept
        if len(entries) > 1:
            found.headers |= entries
        blocks: list[Block] = []
        behind = -1
        for offset in sorted(kept):
            # Overlapping instructions (a jump into the middle of another) begin blocks of their own.
            if offset in found.leaders or offset != behind:
                blocks.append(Block(header=offset in found.headers, entry=offset in entries))
            blocks[-1].steps.append(found.steps[offset])
            behind = found.steps[offset].after
        return blocks


class Flow:
    """Where an instruction may send control; the translator finds it by lowering the instruction alone."""

    def targets(self, step: Step) -> set[int] | None:
        """Page offsets that may follow, -1 for an address known only at run time; empty where control goes to `resume`.

        None where the instruction must not be translated.
        """
        raise NotImplementedError

    def calls(self, step: Step) -> bool:
        """Whether an instruction that jumps keeps the address behind it, to come back there."""
        raise NotImplementedError
