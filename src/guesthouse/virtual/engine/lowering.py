"""Lowering: reads a description's syntax tree and writes LLVM IR.

It is built in layers, each using the ones below: `reading` (paths and joins), `arithmetic` (numbers), `expressions`,
`statements`, and here functions. What a machine access becomes is the target's business (lowering targets are shared
functions, interpreter handlers and translated regions).
"""

from __future__ import annotations

from typing import Any

from guesthouse.virtual.engine.reading import Frame
from guesthouse.virtual.engine.statements import Statements
from guesthouse.virtual.engine.values import Value
from guesthouse.virtual.spec import words

DEEPEST = 40  # functions inlined in each other: more is a recursion


class Lowering(Statements):
    """Reads functions into `target`'s text; `restartable` checks that nothing traps after a write."""

    _depth = 0

    def inline(self, semantics: Any, arguments: list[Value]) -> Value | None:
        """Read a function with these arguments at this place; gives its result."""
        source = self.sources.of(semantics)
        self._depth += 1
        if self._depth > DEEPEST:
            raise source.refuse(source.tree, "calls itself; recursion is not in the language")
        outer, names = getattr(self, "frame", None), self.path.names
        self.frame = Frame(source, source.parameters[0] if source.parameters else "", self.text.fresh("returned"))
        parameters = [p for p in source.parameters if source.annotations.get(p) is not words.State and p != "s"]
        if len(parameters) != len(arguments):
            raise source.refuse(source.tree, f"takes {len(parameters)} operands, not {len(arguments)}")
        self.path.names = {
            name: self._annotated(source, name, value) for name, value in zip(parameters, arguments, strict=True)
        }
        self._block(source.tree.body)
        result = self._join_returns(self.frame)
        self._depth -= 1
        if outer is not None:
            self.frame = outer
        self.path.names = names
        return result

    def _join_returns(self, frame: Frame) -> Value | None:
        wanted = frame.source.annotations.get("return") is not None
        if self.text.block is not None:
            if not frame.returns and not wanted:
                return None  # control went straight through
            frame.returns.append((self._leave(frame.done), self.path, None))
        if not frame.returns:
            return None
        if wanted and any(value is None for _, _, value in frame.returns):
            raise frame.source.refuse(frame.source.tree, "must return a value on every path")
        block, path, value = frame.returns[0]
        if len(frame.returns) == 1 and self.text.reopen(block, frame.done):
            self.path = path
            return value
        self.text.begin(frame.done)
        self._merge([(label, path) for label, path, _ in frame.returns], names=False)
        return self._phi([(label, value) for label, _, value in frame.returns if value]) if wanted else None
