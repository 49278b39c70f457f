"""Values at lowering: an IR operand with the interval its exact value lies in.

Integers are exact in the language and 64 bits wide in the IR. A value whose interval fits an unsigned or a signed
64-bit word is *exact*: the bits tell its value. Any other is known modulo 2**64 only, which is enough to add, store
or truncate it, and the operations that would observe more are refused.
"""

from __future__ import annotations

import msgspec

U64 = (1 << 64) - 1
S64_LOW, S64_HIGH = -(1 << 63), (1 << 63) - 1
WIDE = 1 << 200  # an interval bound that stands for "unknown"


class Refused(Exception):
    """The description says something that not every tier can read: the reason, with file and line."""


class Value(msgspec.Struct, frozen=True):
    """An i64 operand (or i1 where `flag`) and its interval.

    `usual` has a mask and what its bits are (known at lowering, whatever the others are).
    `operand` marks the value of an operand not known yet; `pc_offset` one known to be the instruction's page-relative
    program counter plus that many bytes (and the operand); `choice` one that is either of two such values by an i1
    condition.
    """

    ir: str
    low: int
    high: int
    flag: bool = False
    pc_offset: int | None = None
    choice: tuple[str, Value, Value] | None = None
    operand: str | None = None
    usual: tuple[int, int] = (0, 0)

    @property
    def constant(self) -> int | None:
        """The value where it is known."""
        return self.low if self.low == self.high and self.pc_offset is None else None

    @property
    def unsigned(self) -> bool:
        """Fits an unsigned 64-bit word."""
        return self.low >= 0 and self.high <= U64

    @property
    def signed(self) -> bool:
        """Fits a signed 64-bit word."""
        return self.low >= S64_LOW and self.high <= S64_HIGH

    @property
    def exact(self) -> bool:
        """The 64 bits tell the value."""
        return self.unsigned or self.signed

    def within(self, low: int, high: int) -> Value:
        """The same bits with another interval."""
        return msgspec.structs.replace(
            self, low=low, high=high, pc_offset=None, choice=None, operand=None, usual=(0, 0)
        )


def constant(value: int) -> Value:
    """A known integer; beyond 64 bits only its low 64 bits reach the IR."""
    bits = value & U64
    return Value(str(bits - (1 << 64) if bits >> 63 else bits), value, value)


def union(values: list[Value]) -> tuple[int, int]:
    """The interval that holds all of them."""
    return min(v.low for v in values), max(v.high for v in values)


def add(a: Value, b: Value) -> tuple[int, int]:
    """Interval of a sum."""
    return a.low + b.low, a.high + b.high


def subtract(a: Value, b: Value) -> tuple[int, int]:
    """Interval of a difference."""
    return a.low - b.high, a.high - b.low


def multiply(a: Value, b: Value) -> tuple[int, int]:
    """Interval of a product."""
    products = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(products), max(products)


def _power_above(value: int) -> int:
    return 1 << value.bit_length()


def bitwise_and(a: Value, b: Value) -> tuple[int, int]:
    """Interval of a conjunction: a non-negative side bounds it."""
    bounds = [v.high for v in (a, b) if v.low >= 0]
    if bounds:
        return 0, min(bounds)
    return -_power_above(max(-a.low, -b.low, a.high, b.high)), max(a.high, b.high)


def bitwise_or(a: Value, b: Value) -> tuple[int, int]:
    """Interval of a disjunction or an exclusive one."""
    top = _power_above(max(a.high, b.high, -a.low - 1, -b.low - 1, 0))
    return (0 if a.low >= 0 and b.low >= 0 else -top), top - 1


def shift_left(a: Value, amount: Value) -> tuple[int, int]:
    """Interval of a left shift by 0..63."""
    ends = [v << n for v in (a.low, a.high) for n in (amount.low, amount.high)]
    return min(ends), max(ends)


def shift_right(a: Value, amount: Value) -> tuple[int, int]:
    """Interval of a right shift by 0..63."""
    ends = [v >> n for v in (a.low, a.high) for n in (amount.low, amount.high)]
    return min(ends), max(ends)
