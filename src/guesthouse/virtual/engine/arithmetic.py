"""Numbers in lowering: conversions, operators, comparisons, each with its interval and folded where it is known.

See `values` for what an interval means and which operations need an exact value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import msgspec

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.reading import Reading
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import Value, constant
from guesthouse.virtual.spec import words

# An operator's LLVM name (`shr` stands for two) and the interval of its result.
BINARY: dict[type[ast.operator], tuple[str, Callable[[Value, Value], tuple[int, int]]]] = {
    ast.Add: ("add", values.add),
    ast.Sub: ("sub", values.subtract),
    ast.Mult: ("mul", values.multiply),
    ast.BitAnd: ("and", values.bitwise_and),
    ast.BitOr: ("or", values.bitwise_or),
    ast.BitXor: ("xor", values.bitwise_or),
    ast.LShift: ("shl", values.shift_left),
    ast.RShift: ("shr", values.shift_right),
}
FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << b,
    "shr": lambda a, b: a >> b,
}
COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


def is_width(kind: Any) -> bool:
    """Whether an annotation or a callee is one of the width words (u8 .. s64, flag)."""
    return isinstance(kind, type) and hasattr(kind, "bits")


class Arithmetic(Reading):
    """Second layer of lowering: what is done with numbers."""

    # --- conversions --------------------------------------------------------------------------------------------------

    def _known(self, thing: Any, node: ast.AST) -> Value:
        """A Python number or truth value as a constant."""
        if isinstance(thing, bool):
            return Value("true" if thing else "false", int(thing), int(thing), flag=True)
        if isinstance(thing, int):
            return constant(int(thing))
        raise self._refuse(node, f"'{ast.unparse(node)}' is not a number")

    def _width(self, kind: Any, value: Value) -> Value:
        """A value wrapped into a width word's range; where it is known to lie there, nothing is written."""
        bits, signed = kind.bits, kind.signed
        value = self.number(value)
        if kind is words.flag:
            return self._flag(value, self.frame.source.tree) if value.exact else value
        low = -(1 << (bits - 1)) if signed else 0
        high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
        if value.low >= low and value.high <= high:
            return value
        if value.constant is not None:
            return constant(kind(value.constant))
        if bits == 64:
            return msgspec.structs.replace(value, low=low, high=high)
        if signed:
            narrow = self.text.value(f"trunc i64 {value.ir} to i{bits}")
            return Value(self.text.value(f"sext i{bits} {narrow} to i64"), low, high)
        return Value(self.text.value(f"and i64 {value.ir}, {high}"), low, high)

    def number(self, value: Value) -> Value:
        """A flag as an i64, anything else as it is."""
        if not value.flag:
            return value
        if value.constant is not None:
            return constant(value.constant)
        return Value(self.text.value(f"zext i1 {value.ir} to i64"), 0, 1)

    def _flag(self, value: Value, node: ast.AST) -> Value:
        if value.flag:
            return value
        return self._compare_values("ne", value, constant(0), node)

    def _exact(self, value: Value, node: ast.AST) -> Value:
        if not value.exact:
            raise self._refuse(node, "the value may not fit its word here; wrap it in u64(), s64() or their kin")
        return value

    def _annotated(self, source: Source, name: str, value: Value) -> Value:
        """An argument as the parameter's annotation wants it."""
        kind = source.annotations.get(name)
        return self._width(kind, value) if is_width(kind) else value

    # --- operators ----------------------------------------------------------------------------------------------------

    def _binary(self, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Value:
        if type(op) not in BINARY:
            raise self._refuse(node, f"operator '{type(op).__name__}' is not in the language; see spec.words")
        name, interval = BINARY[type(op)]
        known = left.constant is not None and right.constant is not None
        if left.flag and right.flag and name in ("and", "or", "xor") and not known:
            return Value(self.text.value(f"{name} i1 {left.ir}, {right.ir}"), 0, 1, flag=True)
        a, b = self.number(left), self.number(right)
        if name in ("shl", "shr") and not (b.low >= 0 and b.high <= 63):
            if b.constant is None or b.constant < 0 or name == "shr":
                raise self._refuse(node, "a shift amount must be within 0..63; mask it")
            return constant(0).within(a.low << b.constant, a.high << b.constant)
        if a.constant is not None and b.constant is not None:
            return constant(FOLD[name](a.constant, b.constant))
        low, high = interval(a, b)
        if a.pc_offset is not None and b.constant is not None and name in ("add", "sub"):
            offset = b.constant if name == "add" else -b.constant
            moved = self.text.spare(f"{name} i64 {a.ir}, {b.ir}")
            return Value(moved, low, high, pc_offset=a.pc_offset + offset, operand=a.operand)
        if a.pc_offset is not None and b.operand is not None and name == "add":
            moved = self.text.spare(f"add i64 {a.ir}, {b.ir}")
            return Value(moved, low, high, pc_offset=a.pc_offset, operand=b.operand)
        if name == "shr":
            self._exact(a, node)
            name = "lshr" if a.unsigned else "ashr"
        return self._folded_value(name, a, b, low, high)

    def _folded_value(self, name: str, a: Value, b: Value, low: int, high: int) -> Value:
        mask, bits = a.usual
        if b.constant and b.constant & mask == b.constant:
            if name == "and":
                return constant(bits & b.constant)
            if name == "or" and bits & b.constant == b.constant:
                return a
        if b.constant == 0 and name in ("add", "sub", "or", "xor", "shl", "lshr", "ashr"):
            return a
        if a.constant == 0 and name in ("add", "or", "xor"):
            return b
        if name == "and" and b.constant is not None and a.low >= 0 and a.exact:
            every = (1 << a.high.bit_length()) - 1
            if b.constant & every == every:
                return a
        operation = f"{name} i64 {a.ir}, {b.ir}"
        if b.constant is not None and name in ("add", "sub"):
            return Value(self.text.sum(operation, a.ir, b.constant if name == "add" else -b.constant), low, high)
        return Value(self.text.value(operation), low, high)

    def _compare_values(self, op: str, a: Value, b: Value, node: ast.AST) -> Value:
        self._exact(a, node)
        self._exact(b, node)
        below = a.high < b.low
        if below or a.low > b.high:
            return self._known({"eq": False, "ne": True, "lt": below, "le": below}.get(op, not below), node)
        if a.constant is not None and b.constant is not None:
            return self._known(op in ("eq", "le", "ge"), node)
        if a.signed and b.signed:
            prefix = "s"
        elif a.unsigned and b.unsigned:
            prefix = "u"
        else:
            raise self._refuse(node, "one side may be negative, the other above 2**63: wrap them in one kind of width")
        code = op if op in ("eq", "ne") else prefix + op
        return Value(self.text.value(f"icmp {code} i64 {a.ir}, {b.ir}"), 0, 1, flag=True)
