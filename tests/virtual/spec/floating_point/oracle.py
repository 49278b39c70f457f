"""IEEE 754 by exact rational arithmetic, written apart from the words it judges, and operands worth trying."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace

INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16
NEAREST_EVEN, ZERO, DOWN, UP, NEAREST_AWAY = MODES = range(5)
INFINITY = "infinity"
NAN = "nan"

Exact = Fraction | str  # a number, or INFINITY, or NAN


def integer_of(value: Fraction, mode: int) -> int:
    """The integer nearest to a rational number in the given direction."""
    low = math.floor(value)
    rest = value - low
    if rest == 0:
        return low
    match mode:
        case 1:
            return math.trunc(value)
        case 2:
            return low
        case 3:
            return low + 1
    if rest != Fraction(1, 2):
        return low + (rest > Fraction(1, 2))
    return low + low % 2 if mode == NEAREST_EVEN else low + (value > 0)


@dataclass(frozen=True)
class Format:
    """A binary interchange format."""

    width: int
    precision: int

    @property
    def largest_exponent(self) -> int:
        return (1 << (self.width - self.precision - 1)) - 1

    @property
    def smallest_exponent(self) -> int:
        return 1 - self.largest_exponent

    @property
    def sign(self) -> int:
        return 1 << (self.width - 1)

    @property
    def infinity(self) -> int:
        return (self.sign - 1) >> (self.precision - 1) << (self.precision - 1)

    @property
    def quiet(self) -> int:
        return 1 << (self.precision - 2)

    @property
    def nan(self) -> int:
        return self.infinity | self.quiet

    def negative(self, bits: int) -> bool:
        return bool(bits & self.sign)

    def is_nan(self, bits: int) -> bool:
        return bits & (self.sign - 1) > self.infinity

    def signals(self, bits: int) -> bool:
        return self.is_nan(bits) and not bits & self.quiet

    def value(self, bits: int) -> Exact:
        """What a pattern means (the sign of a zero or an infinity apart)."""
        size = bits & (self.sign - 1)
        if size >= self.infinity:
            return INFINITY if size == self.infinity else NAN
        field = size >> (self.precision - 1)
        tail = size & ((1 << (self.precision - 1)) - 1)
        if field:
            tail += 1 << (self.precision - 1)
        number = tail * Fraction(2) ** (max(field, 1) - self.largest_exponent - self.precision + 1)
        return -number if self.negative(bits) else number

    def signed(self, negative: bool, bits: int) -> int:
        return bits | self.sign if negative else bits

    def round(self, value: Fraction, mode: int) -> tuple[int, int]:
        """The pattern nearest to a nonzero number, and the flags."""
        negative, size = value < 0, abs(value)
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        if Fraction(2) ** exponent > size:
            exponent -= 1
        free = self._rounded(value, exponent, mode)
        tiny = free < Fraction(2) ** self.smallest_exponent
        result = self._rounded(value, max(exponent, self.smallest_exponent), mode)
        flags = INEXACT if result != size else 0
        if tiny and flags:
            flags |= UNDERFLOW
        if result >= Fraction(2) ** (self.largest_exponent + 1):
            to_infinity = mode in (NEAREST_EVEN, NEAREST_AWAY) or mode == (DOWN if negative else UP)
            return self.signed(negative, self.infinity - (not to_infinity)), OVERFLOW | INEXACT
        return self.signed(negative, self._pattern(result)), flags

    def _rounded(self, value: Fraction, exponent: int, mode: int) -> Fraction:
        unit = Fraction(2) ** (exponent - self.precision + 1)
        return abs(integer_of(value / unit, mode) * unit)

    def _pattern(self, size: Fraction) -> int:
        if size < Fraction(2) ** self.smallest_exponent:
            return int(size / Fraction(2) ** (self.smallest_exponent - self.precision + 1))
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        if Fraction(2) ** exponent > size:
            exponent -= 1
        digits = int(size / Fraction(2) ** (exponent - self.precision + 1))
        return ((exponent + self.largest_exponent - 1) << (self.precision - 1)) + digits

    def sum(self, value: Fraction, negative: bool, other: bool, mode: int) -> tuple[int, int]:
        """The pattern of a sum of terms with these signs, whose exact value is given."""
        if value:
            return self.round(value, mode)
        return self.signed(negative if negative == other else mode == DOWN, 0), 0


F32 = Format(32, 24)
F64 = Format(64, 53)
FORMATS = {32: F32, 64: F64}


def run(word: Callable[..., int], *arguments: int) -> tuple[int, int]:
    """A word's result and the flags it raised."""
    state = SimpleNamespace(float_flags=0)
    result = word(state, *arguments)
    return int(result), int(state.float_flags)


def edges(form: Format) -> list[int]:
    """Patterns at which something changes, of both signs."""
    one = form.largest_exponent << (form.precision - 1)
    step = 1 << (form.precision - 1)
    sizes = [
        0, 1, 2, 3, step - 1, step, step + 1, 2 * step - 1, 2 * step,  # about the smallest numbers
        one - 1, one, one + 1, one + step // 2, one + step - 1, one + step, one + 7,
        one - (form.precision + 1) * step, one - form.precision * step, one + form.precision * step + 1,
        one // 2, one // 2 + 1, one // 2 - step,  # about square roots of the smallest
        form.infinity - step, form.infinity - 2, form.infinity - 1, form.infinity,
        form.infinity + 1, form.infinity | form.quiet - 1, form.nan, form.nan | 5,
    ]  # fmt: skip
    return [size | sign for size in sizes for sign in (0, form.sign)]


def samples(form: Format, count: int, arity: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Random operands: full range, of like exponents, sparse fractions, mixed with edges."""
    source = random.Random(seed)
    known = edges(form)
    fraction = form.precision - 1
    for _ in range(count):
        place = source.randrange(form.infinity >> fraction)
        operands = []
        for _ in range(arity):
            kind = source.randrange(8)
            if kind == 0:
                bits = source.choice(known)
            elif kind == 1:
                bits = source.getrandbits(form.width)
            else:
                near = min(max(place + source.randint(-3, 3), 0), (form.infinity >> fraction) - 1)
                if kind == 2:
                    near = source.randrange(form.infinity >> fraction)
                tail = source.getrandbits(fraction)
                if kind in (3, 4):  # few ones or few zeros: carries, ties
                    tail = (1 << source.randrange(fraction)) | (1 << source.randrange(fraction))
                    tail = tail if kind == 3 else ((1 << fraction) - 1) ^ tail
                bits = near << fraction | tail | source.getrandbits(1) << (form.width - 1)
            operands.append(bits)
        yield tuple(operands)


def nan_result(form: Format, *operands: int) -> tuple[int, int] | None:
    """The outcome where an operand is a NaN, else None."""
    if any(form.is_nan(bits) for bits in operands):
        return form.nan, INVALID if any(form.signals(bits) for bits in operands) else 0
    return None


def add(form: Format, a: int, b: int, mode: int) -> tuple[int, int]:
    """a + b."""
    x, y = form.value(a), form.value(b)
    if found := nan_result(form, a, b):
        return found
    if x == INFINITY or y == INFINITY:
        if x == y and form.negative(a) != form.negative(b):
            return form.nan, INVALID
        return (a if x == INFINITY else b), 0
    assert isinstance(x, Fraction) and isinstance(y, Fraction)
    return form.sum(x + y, form.negative(a), form.negative(b), mode)


def multiply(form: Format, a: int, b: int, mode: int) -> tuple[int, int]:
    """a * b."""
    x, y = form.value(a), form.value(b)
    negative = form.negative(a) != form.negative(b)
    if found := nan_result(form, a, b):
        return found
    if INFINITY in (x, y):
        return (form.nan, INVALID) if 0 in (x, y) else (form.signed(negative, form.infinity), 0)
    assert isinstance(x, Fraction) and isinstance(y, Fraction)
    return form.round(x * y, mode) if x * y else (form.signed(negative, 0), 0)


def divide(form: Format, a: int, b: int, mode: int) -> tuple[int, int]:
    """a / b."""
    x, y = form.value(a), form.value(b)
    negative = form.negative(a) != form.negative(b)
    if found := nan_result(form, a, b):
        return found
    if x == y == INFINITY or x == y == 0:
        return form.nan, INVALID
    if x == INFINITY or y == 0:
        return form.signed(negative, form.infinity), 0 if x == INFINITY else DIVIDE_BY_ZERO
    if y == INFINITY or x == 0:
        return form.signed(negative, 0), 0
    assert isinstance(x, Fraction) and isinstance(y, Fraction)
    return form.round(x / y, mode)


def square_root(form: Format, a: int, mode: int) -> tuple[int, int]:
    """The square root of a."""
    x = form.value(a)
    if found := nan_result(form, a):
        return found
    if x == 0:
        return a, 0
    if form.negative(a):
        return form.nan, INVALID
    if x == INFINITY:
        return a, 0
    assert isinstance(x, Fraction)
    scale = 1 << 700  # the denominator of every number divides its square
    scaled = x * scale * scale * scale * scale
    assert scaled.denominator == 1
    root = math.isqrt(scaled.numerator)
    exact = root * root == scaled
    return form.round(Fraction(root if exact else 2 * root + 1, scale * scale * (1 if exact else 2)), mode)


def multiply_add(form: Format, a: int, b: int, c: int, mode: int) -> tuple[int, int]:
    """a * b + c; infinity times zero is invalid even with a NaN."""
    x, y, z = form.value(a), form.value(b), form.value(c)
    if {x, y} == {INFINITY, Fraction(0)}:
        return form.nan, INVALID
    if found := nan_result(form, a, b, c):
        return found
    negative = form.negative(a) != form.negative(b)
    if INFINITY in (x, y):
        if z == INFINITY and form.negative(c) != negative:
            return form.nan, INVALID
        return form.signed(negative, form.infinity), 0
    if z == INFINITY:
        return c, 0
    assert isinstance(x, Fraction) and isinstance(y, Fraction) and isinstance(z, Fraction)
    return form.sum(x * y + z, negative, form.negative(c), mode)
