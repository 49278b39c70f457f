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
    ways: dict[int, set[int]] = msgspec.field(default_factory=dict)  # where control may go from there
    leaders: set[int] = msgspec.field(default_factory=set)
    headers: set[int] = msgspec.field(default_factory=set)
    returns: set[int] = msgspec.field(default_factory=set)  # where jumps to anywhere are likely to go

    def copy(self) -> _Found:
        """Another one, to be added to."""
        sets = (set(self.leaders), set(self.headers), set(self.returns))
        return _Found(dict(self.steps), dict(self.ways), *sets)

    def comes_back(self) -> dict[int, set[int]]:
        """`ways`, where a jump to anywhere is taken to go to each of the places likely for that."""
        return {
            offset: targets | self.returns if ELSEWHERE in targets else targets for offset, targets in self.ways.items()
        }


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
        found = self._reached(_Found(), entry, page, flow, jumps_to)
        if jumps_to is not None and len(found.ways) <= SMALL:
            found = self._joined(found, entry, page, flow, jumps_to)
        return self._blocks(found, entry, jumps_to)

    def _reached(self, found: _Found, entry: int, page: bytes, flow: Flow, jumps_to: Sequence[int] | None) -> _Found:
        """What control reaches from a place, added to what was found."""
        todo = [entry]
        found.leaders.add(entry)
        while todo and len(found.steps) < LONGEST_PATH:
            offset = todo.pop(0)
            while 0 <= offset < PAGE and offset not in found.steps and len(found.steps) < LONGEST_PATH:
                step = self.step_at(page, offset)
                targets = flow.targets(step) if step else None
                if step is None or targets is None:
                    break
                jumps = self._follow(found, step, targets, flow, jumps_to)
                found.leaders.update(jumps)
                todo += jumps
                if step.after not in found.ways[offset] or step.after in jumps:
                    break
                offset = step.after
        return found

    def _joined(self, found: _Found, entry: int, page: bytes, flow: Flow, jumps_to: Sequence[int]) -> _Found:
        """With other places nearly as hot as the entry from which control comes into the region: callers, cases."""
        hot = max(BUSY, jumps_to[entry // self.isa.unit] // 4)
        places = [number * self.isa.unit for number, count in enumerate(jumps_to) if count >= hot]
        for place in sorted(places, key=lambda place: -jumps_to[place // self.isa.unit]):
            if place in found.steps:
                continue
            larger = self._reached(found.copy(), place, page, flow, jumps_to)
            comes_in = any(larger.ways[offset] & found.ways.keys() for offset in larger.ways.keys() - found.ways.keys())
            if comes_in and len(larger.ways) <= SMALL:
                found = larger
                found.returns.add(place)
        return found

    def _follow(
        self, found: _Found, step: Step, targets: set[int], flow: Flow, jumps_to: Sequence[int] | None
    ) -> list[int]:
        """Note an instruction; gives the places on the page, other than just behind it, where control goes on."""
        found.steps[step.offset] = step
        if targets - {step.after}:
            found.leaders.add(step.after)
        found.headers |= {target for target in targets if 0 <= target <= step.offset}
        if jumps_to is not None and len(targets) > 1:
            targets = {target for target in targets if self._runs(jumps_to, target, step.after)}
        jumps = [t for t in targets if t != step.after and 0 <= t < PAGE and t % self.isa.unit == 0]
        if jumps_to is not None and step.after not in targets and self._comes_back(flow, step, jumps_to):
            found.returns.add(step.after)
            jumps.append(step.after)
            targets = targets | {step.after}
        found.ways[step.offset] = targets
        return jumps

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

    def _runs(self, jumps_to: Sequence[int], target: int, after: int) -> bool:
        """Whether one of several ways on is worth taking along."""
        if not 0 <= target < PAGE:
            return False
        count = jumps_to[target // self.isa.unit]
        return count >= 0 if target == after else count >= RARE

    def _comes_back(self, flow: Flow, step: Step, jumps_to: Sequence[int]) -> bool:
        """Whether an instruction is a call that has come back often."""
        return flow.calls(step) and self._runs(jumps_to, step.after, ELSEWHERE)

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
