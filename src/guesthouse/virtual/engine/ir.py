"""LLVM IR as text: a function under construction, block by block."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator

import msgspec

# Operations that give the same wherever they stand: what one block has computed is not computed again.
PURE = frozenset(
    {"add", "sub", "mul", "and", "or", "xor", "shl", "lshr", "ashr", "icmp", "select", "getelementptr"}
    | {"zext", "sext", "trunc", "inttoptr", "bitcast"}
)
SPARE = re.compile(r"%u\d+")
EMPTY = re.compile(r"\w+:$|  br |  %u\d+ = add ")  # a line of alternatives that do nothing but compute an address


def branch(condition: str, yes: str, no: str, likely: bool | None = None) -> str:
    """A conditional branch, weighted where one side is rare."""
    weight = "" if likely is None else ", !prof !0" if likely else ", !prof !1"
    return f"br i1 {condition}, label %{yes}, label %{no}{weight}"


class Hole(msgspec.Struct):
    """A place for lines that are written later: what control comes from, and goes on in."""

    before: str
    behind: str
    lines: list[str] = msgspec.field(default_factory=list)


class FunctionText:
    """The body of one LLVM function; `block` is the label being filled, None after a terminator.

    `known` has the names of operations whose results are at hand in the present block; `sums` what is known to be
    another value plus a number: that value's name and the number.
    """

    def __init__(self, header: str) -> None:
        self.header = header
        self.block: str | None = "entry"
        self._lines: list[str | Hole] = ["entry:"]
        self._cold: list[str | Hole] = []
        self._prologue: list[str] = []
        self._spare: dict[str, str] = {}
        self._counter = 0
        self.known: dict[str, str] = {}
        self.sums: dict[str, tuple[str, int]] = {}

    def fresh(self, stem: str = "v") -> str:
        """A name not used yet in this function."""
        self._counter += 1
        return f"{stem}{self._counter}"

    def emit(self, line: str) -> None:
        """Add an instruction that has no result."""
        self._lines.append("  " + line)

    def value(self, operation: str) -> str:
        """Add an instruction; gives the name of its result."""
        name = self.known.get(operation)
        if name is None:
            name = "%" + self.fresh()
            self._lines.append(f"  {name} = {operation}")
            if operation[: operation.index(" ")] in PURE:
                self.known[operation] = name
        return name

    def spare(self, operation: str) -> str:
        """Like `value`, for what may turn out to be wanted by nobody: then it is left out."""
        name = self.known.get(operation)
        if name is None:
            name = self.known[operation] = "%" + self.fresh("u")
            self._spare[name] = operation
            self._lines.append(f"  {name} = {operation}")
        return name

    def sum(self, operation: str, value: str, number: int) -> str:
        """Like `value`, for an operation that adds a number to a value."""
        name = self.value(operation)
        root, distance = self.root(value)
        self.sums[name] = root, distance + number
        return name

    def root(self, value: str) -> tuple[str, int]:
        """What a value is known to be: another one, or itself, plus a number."""
        return self.sums.get(value, (value, 0))

    def local(self, kind: str) -> str:
        """A stack slot, made in the entry block where LLVM turns it into registers."""
        name = "%" + self.fresh("slot")
        self._prologue.append(f"  {name} = alloca {kind}")
        return name

    def fixed(self, kind: str, value: int) -> str:
        """A stack slot that stays one, with what it holds at the beginning."""
        name = self.local(kind)
        self.prologue(f"store {kind} {value}, ptr {name}")
        self.prologue(f'call void asm sideeffect "", "r"(ptr {name})')  # LLVM does not know what became of it
        return name

    def prologue(self, line: str) -> None:
        """Add an instruction at the very beginning."""
        self._prologue.append("  " + line)

    def begin(self, label: str, known: dict[str, str] | None = None) -> None:
        """Start a block; the one before must have ended or falls through. `known`: what is at hand there."""
        if self.block is not None:
            self.emit(f"br label %{label}")
        self._lines.append(f"{label}:")
        self.block = label
        self.known = {} if known is None else known

    def reopen(self, block: str, label: str) -> bool:
        """Go on in `block`, if the last thing written is its jump to `label`, which then need not begin."""
        if self._lines[-1] != f"  br label %{label}":
            return False
        self._lines.pop()
        self.block = block
        return True

    def straighten(self, mark: int, block: str | None, known: dict[str, str]) -> bool:
        """Go on in the block that was written at a mark, if since then come only jumps and what nobody may want."""
        written = self._lines[mark:]
        if not all(isinstance(line, str) and EMPTY.match(line) for line in written):
            return False
        self._lines[mark:] = [line for line in written if isinstance(line, str) and line.startswith("  %u")]
        self.block, self.known = block, known
        return True

    def mark(self) -> int:
        """This place in the text, for `insert`."""
        return len(self._lines)

    def insert(self, place: int, lines: list[str]) -> None:
        """Add instructions at a marked place."""
        self._lines[place:place] = ["  " + line for line in lines]

    def leave_hole(self) -> Hole:
        """Go on in a new block behind a hole, to be filled by the time the text is wanted."""
        assert self.block is not None
        hole = Hole(self.block, self.fresh("filled"))
        self._lines.append(hole)
        self.block = hole.behind
        return hole

    def leave_line(self) -> Hole:
        """Leave a place for lines that control comes through; they are written, like those of a hole, by then."""
        assert self.block is not None
        line = Hole(self.block, self.block)
        self._lines.append(line)
        return line

    @contextlib.contextmanager
    def filling(self, hole: Hole) -> Iterator[None]:
        """Write what belongs into a hole; of what is known there, nothing is."""
        lines, block, known = self._lines, self.block, self.known
        self._lines, self.block, self.known = [], hole.before, {}
        yield
        self.begin(hole.behind)
        hole.lines = list(_flat(self._lines))
        self._lines, self.block, self.known = lines, block, known

    def written_cold(self) -> int:
        """The place of the last line of what was written to the function's end so far, for `replace_cold`."""
        return len(self._cold) - 1

    def replace_cold(self, place: int, line: str) -> None:
        """Write a line there anew."""
        self._cold[place] = "  " + line

    def end(self, terminator: str) -> None:
        """Close the current block."""
        self.emit(terminator)
        self.block = None

    def branch(self, condition: str, yes: str, no: str, likely: bool | None = None) -> None:
        """End the block with a conditional branch, weighted where one side is rare."""
        self.end(branch(condition, yes, no, likely))

    @contextlib.contextmanager
    def cold(self, label: str) -> Iterator[None]:
        """Write blocks that begin at `label` to the end of the function, then go on where we were."""
        lines, block, known = self._lines, self.block, self.known
        self._lines = []
        self.block = None
        self.begin(label)
        yield
        self._cold += self._lines
        self._lines, self.block, self.known = lines, block, known

    def text(self) -> str:
        """The whole function."""
        body = list(_flat([self._lines[0], *self._prologue, *self._lines[1:], *self._cold]))
        unwanted = self._unwanted("\n".join(body)) if self._spare else ()
        if unwanted:
            body = [line for line in body if not line.startswith("  %u") or line.split(" ", 3)[2] not in unwanted]
        return "\n".join([self.header + " {", *body, "}", ""])

    def _unwanted(self, text: str) -> set[str]:
        """Names of spare results that nobody uses, or only such results."""
        uses = Counter(SPARE.findall(text))
        unwanted = {name for name in reversed(self._spare) if self._drops(name, uses)}
        return unwanted

    def _drops(self, name: str, uses: Counter[str]) -> bool:
        """Whether a spare result is not used; then its operands are used once less."""
        if uses[name] > 1:
            return False
        uses.subtract(SPARE.findall(self._spare[name]))
        return True


def _flat(lines: list[str | Hole]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, Hole):
            yield from line.lines
        else:
            yield line


BRANCH_WEIGHTS = '!0 = !{!"branch_weights", i32 4000, i32 1}\n!1 = !{!"branch_weights", i32 1, i32 4000}\n'
