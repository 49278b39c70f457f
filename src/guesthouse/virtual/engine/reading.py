"""Where the reading of a function stands: paths of control, the functions and loops being read, joins.

Control flow in the language is structured, so names become SSA values directly: each branch works on its own copy of
the names, and a join makes phis.
"""

from __future__ import annotations

import ast
from typing import Protocol

import msgspec

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.source import Source, Sources
from guesthouse.virtual.engine.values import Refused, Value
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout


class Target(Protocol):
    """What the machine's state and memory are to the code being written."""

    text: FunctionText
    layout: StateLayout

    def read_pc(self) -> Value: ...
    def read_field(self, name: str) -> Value: ...
    def write_field(self, name: str, value: Value) -> None: ...
    def read_register(self, file: RegisterFile, index: Value) -> Value: ...
    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None: ...
    def word(self, name: str, arguments: list[Value]) -> Value | None: ...
    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None: ...
    def trap(self, cause: Value, value: Value) -> None: ...
    def table(self, numbers: tuple[int, ...]) -> str: ...


class Path(msgspec.Struct):
    """What is known on one path of control: names, where the instruction goes next, whether state was written."""

    names: dict[str, Value] = msgspec.field(default_factory=dict)
    next_pc: Value | None = None
    jumped: bool = False
    wrote: bool = False
    synchronizes: bool = False

    def copy(self) -> Path:
        """The same knowledge, for a branch to change."""
        return Path(dict(self.names), self.next_pc, self.jumped, self.wrote, self.synchronizes)


class Loop(msgspec.Struct):
    """A loop being read: its counter, the names it carries round, and the paths that went round or out."""

    head: str
    body: str
    latch: str
    done: str
    before: str  # the block that entered it
    counter: str
    start: Value
    step: int
    carried: dict[str, Value]  # names that the body assigns, with their values on entry
    phis: dict[str, Value]  # and at the head
    rounds: list[tuple[str, Path]] = msgspec.field(default_factory=list)
    exits: list[tuple[str, Path]] = msgspec.field(default_factory=list)


class Frame(msgspec.Struct):
    """One function being read: its source and the paths that left it."""

    source: Source
    state: str
    done: str
    returns: list[tuple[str, Path, Value | None]] = msgspec.field(default_factory=list)
    loops: list[Loop] = msgspec.field(default_factory=list)


class Reading:
    """The lowest layer of lowering: what is known on the present path, and how paths meet."""

    def __init__(self, sources: Sources, target: Target, *, restartable: bool = True) -> None:
        """Write into `target`'s text; `restartable`: refuse what may trap after a write."""
        self.sources = sources
        self.target = target
        self.text = target.text
        self.restartable = restartable
        self.path = Path()
        self.frame: Frame

    def _is_state(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.frame.state and node.id not in self.path.names

    def _refuse(self, node: ast.AST, reason: str) -> Refused:
        return self.frame.source.refuse(node, reason)

    def _may_trap(self, node: ast.AST) -> None:
        if self.restartable and self.path.wrote:
            raise self._refuse(node, "may trap after state was written; an instruction changes state last")

    # --- joins --------------------------------------------------------------------------------------------------------

    def _leave(self, label: str) -> str:
        """End the current block with a jump; gives the block's label, for the phis there."""
        block = self.text.block
        assert block is not None
        self.text.end(f"br label %{label}")
        return block

    def _phi(self, incoming: list[tuple[str, Value]], spare: bool = False, select: str = "") -> Value:
        """The value that comes from whichever block control came from; `spare`: perhaps nobody wants it.

        `select`: the i1 condition for the first of two, where control was one after all.
        """
        first = incoming[0][1]
        if all(value == first for _, value in incoming):
            return first
        low, high = values.union([value for _, value in incoming])
        flags = all(value.flag for _, value in incoming)
        texts = []
        for label, value in incoming:
            if value.flag and not flags:
                raise Refused(f"{self.frame.source.file}: {self.frame.source.name}: join of a flag and a number")
            texts.append(f"[ {value.ir}, %{label} ]")
        kind = "i1" if flags else "i64"
        write = self.text.spare if spare else self.text.value
        if select:
            yes, no = (value.ir for _, value in incoming)
            return Value(write(f"select i1 {select}, {kind} {yes}, {kind} {no}"), low, high, flags)
        return Value(write(f"phi {kind} " + ", ".join(texts)), low, high, flags)

    def _merge(
        self, ends: list[tuple[str, Path]], names: bool = True, condition: str = "", straight: bool = False
    ) -> None:
        """Continue where several paths meet, at the beginning of the current block, or `straight` within it."""
        select = condition if straight else ""
        paths = [path for _, path in ends]
        merged = paths[0].copy()
        merged.wrote = any(path.wrote for path in paths)
        merged.synchronizes = any(path.synchronizes for path in paths)
        merged.jumped = any(path.jumped for path in paths)
        nexts = [path.next_pc for path in paths]
        if all(n is not None for n in nexts) and any(n != nexts[0] for n in nexts):
            places = [(label, path.next_pc) for label, path in ends if path.next_pc]
            merged.next_pc = self._phi(places, spare=True, select=select)
            if condition and len(ends) == 2 and nexts[0] and nexts[1]:
                merged.next_pc = Value(merged.next_pc.ir, 0, values.U64, choice=(condition, nexts[0], nexts[1]))
        if names:
            shared = [n for n in paths[0].names if all(n in path.names for path in paths)]
            merged.names = {
                n: self._phi([(label, path.names[n]) for label, path in ends], select=select) for n in shared
            }
        self.path = merged

    def _meet(self, ends: list[tuple[str, Path]], join: str, condition: str = "") -> None:
        """Begin the block `join` where these paths meet; where there are none, control ends here."""
        if ends:
            self.text.begin(join)
            self._merge(ends, condition=condition)
