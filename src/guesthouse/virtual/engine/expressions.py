"""Expressions in lowering: names, state, choices and calls, by kind of syntax node (`_of_...`)."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.arithmetic import COMPARE, Arithmetic, is_width
from guesthouse.virtual.engine.source import EFFECTS, TRAPPING, WRITING
from guesthouse.virtual.engine.values import Refused, Value, constant
from guesthouse.virtual.spec import words
from guesthouse.virtual.spec.layout import RegisterFile

# Words whose result depends on bits that an inexact value has lost.
OBSERVING = frozenset(
    {"divide", "remainder", "minimum", "maximum", "multiply_high", "count_leading_zeros", "count_trailing_zeros"}
    | {"count_ones", "byte_swap"}
)
# Words without effects that are too dear, or not harmless, to evaluate before it is known whether they are wanted.
NOT_EARLY = frozenset({"divide", "remainder", "physical_load", "physical_compare_exchange"})


class Expressions(Arithmetic):
    """Third layer of lowering: everything that gives a value."""

    def inline(self, semantics: Any, arguments: list[Value]) -> Value | None:
        """Read a function with these arguments at this place (see `lowering`)."""
        raise NotImplementedError

    def _expression(self, node: ast.expr) -> Value:
        read: Callable[[Any], Value] = getattr(self, "_of_" + type(node).__name__, self._of_unknown)
        return read(node)

    def _of_unknown(self, node: ast.expr) -> Value:
        raise self._refuse(node, f"'{type(node).__name__}' expressions are not in the language")

    def _of_Constant(self, node: ast.Constant) -> Value:
        return self._known(node.value, node)

    def _of_Name(self, node: ast.Name) -> Value:
        if node.id in self.path.names:
            return self.path.names[node.id]
        return self._known(self.sources.bound(self.frame.source.resolve(node)), node)

    def _of_Attribute(self, node: ast.Attribute) -> Value:
        if not self._is_state(node.value):
            owner = ast.unparse(node)
            if owner in self.sources.bindings:
                return self._known(self.sources.bindings[owner], node)
            return self._known(self.frame.source.resolve(node), node)
        if node.attr == "pc":
            return self.target.read_pc()
        if node.attr == "next_pc":
            if self.path.next_pc is None:
                raise self._refuse(node, "next_pc is known in instructions only")
            return self.path.next_pc
        try:
            return self.target.read_field(node.attr)
        except KeyError:
            raise self._refuse(node, f"the state has no field '{node.attr}'") from None

    def _of_Subscript(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute) and self._is_state(node.value.value):
            return self.target.read_register(self._file(node.value), self._index(node))
        table = self.frame.source.resolve(node.value)
        if not (isinstance(table, tuple) and all(isinstance(n, int) for n in table)):
            raise self._refuse(node, "only registers and constant tables are indexed")
        index = self.number(self._expression(node.slice))
        if not (index.exact and index.low >= 0 and index.high < len(table)):
            raise self._refuse(node, f"the index must be within 0..{len(table) - 1}")
        if index.constant is not None:
            return constant(table[index.constant])
        place = self.text.value(f"getelementptr i64, ptr {self.target.table(table)}, i64 {index.ir}")
        return Value(self.text.value(f"load i64, ptr {place}"), min(table), max(table))

    def _file(self, node: ast.Attribute) -> RegisterFile:
        found = self.target.layout.fields.get(node.attr) if self._is_state(node.value) else None
        if not isinstance(found, RegisterFile):
            raise self._refuse(node, f"the state has no register file '{node.attr}'")
        return found

    def _index(self, node: ast.Subscript) -> Value:
        file = self._file(node.value) if isinstance(node.value, ast.Attribute) else None
        index = self.number(self._expression(node.slice))
        if file is None or index.low < 0 or index.high >= file.count:
            raise self._refuse(node, "the register number must be provably within the file")
        return index

    def _of_UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self._expression(node.operand)
        if isinstance(node.op, ast.Not):
            test = self._flag(value, node)
            if test.constant is not None:
                return self._known(not test.constant, node)
            return Value(self.text.value(f"xor i1 {test.ir}, true"), 0, 1, flag=True)
        number = self.number(value)
        if isinstance(node.op, ast.USub):
            return self._binary(node, ast.Sub(), constant(0), number)
        if isinstance(node.op, ast.Invert):
            return self._binary(node, ast.Sub(), constant(-1), number)
        raise self._refuse(node, "unary + does nothing")

    def _of_BinOp(self, node: ast.BinOp) -> Value:
        return self._binary(node, node.op, self._expression(node.left), self._expression(node.right))

    def _of_Compare(self, node: ast.Compare) -> Value:
        left = self._expression(node.left)
        result: Value | None = None
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._expression(right_node)
            if type(op) not in COMPARE:
                raise self._refuse(node, "compare with == != < <= > >=")
            part = self._compare_values(COMPARE[type(op)], self.number(left), self.number(right), node)
            result = part if result is None else self._binary(node, ast.BitAnd(), result, part)
            left = right
        assert result is not None
        return result

    def _of_BoolOp(self, node: ast.BoolOp) -> Value:
        conjunction = isinstance(node.op, ast.And)
        result = self._flag(self._expression(node.values[0]), node)
        for operand in node.values[1:]:
            if result.constant is not None:
                if bool(result.constant) != conjunction:
                    return result
                result = self._flag(self._expression(operand), node)
            elif self._pure(operand):
                other = self._flag(self._expression(operand), node)
                if other.constant is not None:
                    result = result if bool(other.constant) == conjunction else other
                else:
                    name = "and" if conjunction else "or"
                    result = Value(self.text.value(f"{name} i1 {result.ir}, {other.ir}"), 0, 1, flag=True)
            else:
                result = self._short_circuit(result, operand, conjunction)
        return result

    def _short_circuit(self, first: Value, operand: ast.expr, conjunction: bool) -> Value:
        more, join = self.text.fresh("more"), self.text.fresh("join")
        before = self.text.block
        assert before is not None
        self.text.branch(first.ir, *((more, join) if conjunction else (join, more)))
        kept = self.path.copy()
        self.text.begin(more)
        other = self._flag(self._expression(operand), operand)
        ends = [(before, kept), (self.text.block or more, self.path)]
        self.text.begin(join)
        self._merge(ends)
        return self._phi([(before, self._known(not conjunction, operand)), (ends[1][0], other)])

    def _of_IfExp(self, node: ast.IfExp) -> Value:
        test = self._flag(self._expression(node.test), node.test)
        if test.constant is not None:
            return self._expression(node.body if test.constant else node.orelse)
        if self._pure(node.body) and self._pure(node.orelse):
            a, b = self._alike(self._expression(node.body), self._expression(node.orelse))
            if a == b:
                return a
            kind = "i1" if a.flag else "i64"
            low, high = values.union([a, b])
            result = self.text.value(f"select i1 {test.ir}, {kind} {a.ir}, {kind} {b.ir}")
            return Value(result, low, high, a.flag)
        yes, no, join = (self.text.fresh(stem) for stem in ("then", "else", "join"))
        self.text.branch(test.ir, yes, no)
        before, ends, results = self.path, [], []
        for label, body in ((yes, node.body), (no, node.orelse)):
            self.text.begin(label)
            self.path = before.copy()
            results.append(self.number(self._expression(body)))
            assert self.text.block is not None
            ends.append((self.text.block, self.path))
            self.text.end(f"br label %{join}")
        self.text.begin(join)
        self._merge(ends)
        return self._phi([(label, value) for (label, _), value in zip(ends, results, strict=True)])

    def _alike(self, a: Value, b: Value) -> tuple[Value, Value]:
        return (a, b) if a.flag == b.flag else (self.number(a), self.number(b))

    def _pure(self, node: ast.expr) -> bool:
        """Whether evaluating it early does no harm: no calls but widths and arithmetic words."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                callee = self.frame.source.resolve(part.func)
                if getattr(callee, "__module__", "") != words.__name__ or callee.__name__ in EFFECTS.keys() | NOT_EARLY:
                    return False
        return True

    # --- calls --------------------------------------------------------------------------------------------------------

    def _of_Call(self, node: ast.Call) -> Value:
        result = self._call(node, wanted=True)
        if result is None:
            raise self._refuse(node, "this call gives no value")
        return result

    def _call(self, node: ast.Call, wanted: bool) -> Value | None:
        callee = self.sources.bound(self.frame.source.resolve(node.func))
        if node.keywords:
            raise self._refuse(node, "keyword arguments are not in the language")
        state = bool(node.args) and self._is_state(node.args[0])
        arguments = [self._expression(a) for a in (node.args[1:] if state else node.args)]
        if is_width(callee):
            return self._width(callee, self.number(arguments[0]))
        name = getattr(callee, "__name__", "")
        if getattr(callee, "__module__", "") == words.__name__ or getattr(callee, "host_word", False):
            return self._word(node, name, [self.number(a) for a in arguments])
        if not inspect.isfunction(callee):
            raise self._refuse(node, f"'{ast.unparse(node.func)}' is not a function of the language")
        if getattr(callee, "shared", False):
            return self._call_shared(node, callee, arguments)
        return self.inline(callee, arguments)

    def _call_shared(self, node: ast.Call, callee: Any, arguments: list[Value]) -> Value | None:
        source, effects = self.sources.of(callee), self.sources.effects(callee)
        if "traps" in effects:
            self._may_trap(node)
        parameters = [p for p in source.parameters if source.annotations.get(p) is not words.State]
        if len(parameters) != len(arguments):
            raise self._refuse(node, f"{source.name} takes {len(parameters)} operands, not {len(arguments)}")
        numbers = [self.number(self._annotated(source, p, a)) for p, a in zip(parameters, arguments, strict=True)]
        result = self.target.call(source, effects, numbers)
        self.path.wrote |= "writes" in effects
        self.path.synchronizes |= "synchronize" in effects
        return result

    def _word(self, node: ast.Call, name: str, arguments: list[Value]) -> Value | None:
        if name in TRAPPING:
            self._may_trap(node)
        if name in OBSERVING:
            for argument in arguments:
                self._exact(argument, node)
        try:
            result = self.target.word(name, arguments)
        except Refused as error:
            raise self._refuse(node, str(error)) from None
        self.path.wrote |= name in WRITING
        self.path.synchronizes |= "synchronize" in EFFECTS.get(name, ())
        return result
