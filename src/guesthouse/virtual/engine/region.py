"""Regions: which instructions are translated together.

A region lies within one page of guest-physical memory and has one entry. It is all that control reaches from there and
that is worth it, so that registers stay in the host's for long. Where that is much, it is the loops round the entry;
where the entry is in none, the short way from it to places that are hot enough to begin regions of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from guesthouse.virtual.engine.control import LONGEST_PATH
from guesthouse.virtual.spec.description import Instruction, Isa

PAGE = 4096
BUSY = 8000  # jumps from which a place is likely to begin a region of its own
SMALL = 160  # instructions that are all taken along
SHORT = 24  # instructions of a way that may run into such a place
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


@dataclass
class Step:
    """One instruction in its place: page offset in bytes, and its operands' values."""

    offset: int
    instruction: Instruction
    operands: dict[str, int]

    @property
    def after(self) -> int:
        """Page offset behind it."""
        return self.offset + self.instruction.pattern.length


@dataclass
class Block:
    """Instructions that run one after the other; control enters at the first only."""

    steps: list[Step] = field(default_factory=list)
    header: bool = False  # a backward jump comes here: every cycle has such a block

    @property
    def offset(self) -> int:
        """Page offset of the first instruction."""
        return self.steps[0].offset


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
        steps: dict[int, Step] = {}
        ways: dict[int, set[int]] = {}
        leaders, headers, todo = {entry}, set(), [entry]
        while todo and len(steps) < LONGEST_PATH:
            offset = todo.pop(0)
            while 0 <= offset < PAGE and offset not in steps and len(steps) < LONGEST_PATH:
                step = self.step_at(page, offset)
                targets = flow.targets(step) if step else None
                if step is None or targets is None:
                    break
                steps[offset] = step
                if targets - {step.after}:
                    leaders.add(step.after)
                headers |= {target for target in targets if target <= offset}
                if jumps_to is not None and len(targets) > 1:
                    targets = {t for t in targets if self._runs(jumps_to, t, step.after)}
                ways[offset] = targets
                jumps = [target for target in targets if target != step.after]
                for target in jumps:
                    if 0 <= target < PAGE and target % self.isa.unit == 0:
                        leaders.add(target)
                        todo.append(target)
                if step.after not in targets:
                    break
                offset = step.after
        kept = self._kept(ways, entry, jumps_to)
        return self._blocks({offset: steps[offset] for offset in kept}, leaders, headers, entry)

    def _kept(self, ways: dict[int, set[int]], entry: int, jumps_to: Sequence[int] | None) -> set[int]:
        """Of what control reaches: all, if that is small; the loops round the entry; the way to where others begin."""
        back: dict[int, list[int]] = {}
        for offset, targets in ways.items():
            for target in targets:
                back.setdefault(target, []).append(offset)
        if len(ways) <= SMALL:
            return set(ways)
        loop = _reach([entry], lambda offset: back.get(offset, ()))
        if loop - {entry} or entry in ways.get(entry, ()):
            return loop & ways.keys() | ({entry} & ways.keys())
        if jumps_to is None:
            return set(ways)
        found, todo = {entry} & ways.keys(), [entry]
        while todo:
            for target in sorted(ways.get(todo.pop(0), ())):
                if target not in ways or target in found:
                    continue
                if len(found) < SHORT or jumps_to[target // self.isa.unit] < BUSY:
                    found.add(target)
                    todo.append(target)
        return found

    def _runs(self, jumps_to: Sequence[int], target: int, after: int) -> bool:
        """Whether one of several ways on is worth taking along."""
        if not 0 <= target < PAGE:
            return False
        count = jumps_to[target // self.isa.unit]
        return count >= 0 if target == after else count >= RARE

    def _blocks(self, steps: dict[int, Step], leaders: set[int], headers: set[int], entry: int) -> list[Block]:
        if entry not in steps:
            return []
        blocks: list[Block] = []
        behind = -1
        for offset in sorted(steps):
            # Overlapping instructions (a jump into the middle of another) begin blocks of their own.
            if offset in leaders or offset != behind:
                blocks.append(Block(header=offset in headers))
            blocks[-1].steps.append(steps[offset])
            behind = steps[offset].after
        return blocks


class Flow:
    """Where an instruction may send control; the translator finds it by lowering the instruction alone."""

    def targets(self, step: Step) -> set[int] | None:
        """Page offsets that may follow, -1 for an address known only at run time; empty where control goes to `resume`.

        None where the instruction must not be translated.
        """
        raise NotImplementedError
