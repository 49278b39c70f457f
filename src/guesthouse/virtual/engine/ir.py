"""LLVM IR as text: a function under construction, block by block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class FunctionText:
    """The body of one LLVM function; `block` is the label being filled, None after a terminator."""

    def __init__(self, header: str) -> None:
        self.header = header
        self.block: str | None = "entry"
        self._lines: list[str] = ["entry:"]
        self._cold: list[str] = []
        self._prologue: list[str] = []
        self._counter = 0

    def fresh(self, stem: str = "v") -> str:
        """A name not used yet in this function."""
        self._counter += 1
        return f"{stem}{self._counter}"

    def emit(self, line: str) -> None:
        """Add an instruction that has no result."""
        self._lines.append("  " + line)

    def value(self, operation: str) -> str:
        """Add an instruction; gives the name of its result."""
        name = "%" + self.fresh()
        self._lines.append(f"  {name} = {operation}")
        return name

    def local(self, kind: str) -> str:
        """A stack slot, made in the entry block where LLVM turns it into registers."""
        name = "%" + self.fresh("slot")
        self._prologue.append(f"  {name} = alloca {kind}")
        return name

    def prologue(self, line: str) -> None:
        """Add an instruction at the very beginning."""
        self._prologue.append("  " + line)

    def begin(self, label: str) -> None:
        """Start a block; the one before must have ended or falls through."""
        if self.block is not None:
            self.emit(f"br label %{label}")
        self._lines.append(f"{label}:")
        self.block = label

    def mark(self) -> int:
        """This place in the text, for `insert`."""
        return len(self._lines)

    def insert(self, place: int, lines: list[str]) -> None:
        """Add instructions at a marked place."""
        self._lines[place:place] = ["  " + line for line in lines]

    def end(self, terminator: str) -> None:
        """Close the current block."""
        self.emit(terminator)
        self.block = None

    def branch(self, condition: str, yes: str, no: str, likely: bool | None = None) -> None:
        """End the block with a conditional branch, weighted where one side is rare."""
        weight = "" if likely is None else ", !prof !0" if likely else ", !prof !1"
        self.end(f"br i1 {condition}, label %{yes}, label %{no}{weight}")

    @contextlib.contextmanager
    def cold(self, label: str) -> Iterator[None]:
        """Write blocks that begin at `label` to the end of the function, then go on where we were."""
        lines, block = self._lines, self.block
        self._lines = []
        self.block = None
        self.begin(label)
        yield
        self._cold += self._lines
        self._lines, self.block = lines, block

    def text(self) -> str:
        """The whole function."""
        body = [self._lines[0], *self._prologue, *self._lines[1:], *self._cold]
        return "\n".join([self.header + " {", *body, "}", ""])


BRANCH_WEIGHTS = '!0 = !{!"branch_weights", i32 4000, i32 1}\n!1 = !{!"branch_weights", i32 1, i32 4000}\n'
