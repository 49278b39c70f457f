"""Lowering: compiled functions of the language give what CPython gives; what is not in the language is refused."""

from __future__ import annotations

import ctypes
import random

import pytest

from guesthouse.virtual.engine.compiler import Compiler
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.engine.objects import Arena, read_object
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.shared_function import build_shared
from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import (
    byte_swap,
    count_leading_zeros,
    count_ones,
    count_trailing_zeros,
    divide,
    flag,
    maximum,
    minimum,
    multiply_high,
    remainder,
    s8,
    s16,
    s32,
    s64,
    u8,
    u16,
    u32,
    u64,
)
from tests.every_tier.cases import EDGES, MASK
from tests.toy.isa import ISA

TABLE = (5, 1 << 63, 0, 77)
ODD = 3


def arithmetic(a: u64, b: u64) -> u64:
    """Exact inside, truncated at the end."""
    return u64((a + b) * 3 - (a ^ b) + (a & ~b) - (a | 1))


def signs(a: u64, b: u64) -> u64:
    """Comparisons and shifts of signed words."""
    x = s64(a)
    y = s64(b)
    if x < y:
        return u64(x >> (b & 63))
    return u64((x >> 3) - (y << 2))


def widths(a: u64, b: u64) -> u64:
    """Truncation of every width."""
    return u64(s8(a) + s16(b) + s32(a) + u8(b) + u16(a) + u32(b))


def divisions(a: u64, b: u64) -> u64:
    """Division and remainder, signed and unsigned."""
    return u64(divide(s64(a), s64(b)) + 3 * remainder(s64(a), s64(b)) + 5 * divide(a, b) + 7 * remainder(a, b))


def counting(a: u64, b: u64) -> u64:
    """Words that look at bits."""
    first = count_leading_zeros(a, 64) + count_trailing_zeros(b, 64) + count_ones(a ^ b)
    return u64(first + byte_swap(a) + multiply_high(a, b) + multiply_high(s64(a), s64(b)) + multiply_high(s64(a), b))


def extremes(a: u64, b: u64) -> u64:
    """The smaller and larger, of either kind."""
    return u64(minimum(a, b) - maximum(s64(a), s64(b)))


def matching(a: u64, b: u64) -> u64:
    """A choice among constants, with several at once."""
    match a & 7:
        case 0 | 3:
            result = b
        case 1:
            result = u64(a + 1)
        case _:
            result = TABLE[b & 3]
    return result


def looping(a: u64, b: u64) -> u64:
    """A loop with break and continue."""
    total = 0
    for i in range(20):
        if i == (a & 31):
            break
        if (b >> i) & 1 == 0:
            continue
        total = u64(total + i * a)
    return u64(total)


def chained(a: u64, b: u64) -> u64:
    """Conditions in a chain, short-circuits, a conditional expression."""
    inside = 1 <= a <= b and not (a == ODD or b == ODD)
    return 1 if inside else 2 if a > b else 3


def early(a: u64, b: u64) -> u64:
    """Returns in the middle, through a function called."""
    if bit(a, 3):
        return b
    if bit(b, 5):
        return a
    return u64(~(a ^ b))


def bit(value: u64, number: u64) -> flag:
    """Whether a bit is set."""
    return value >> (number & 63) & 1


FUNCTIONS = (arithmetic, signs, widths, divisions, counting, extremes, matching, looping, chained, early)


@pytest.fixture(scope="module")
def compiled():
    """Host functions of all of FUNCTIONS, by name."""
    runtime = Runtime(ISA)
    module = Module(ISA.layout)
    for semantics in FUNCTIONS:
        build_shared(module, runtime, runtime.sources.of(function(semantics)))
    arena = Arena(1 << 20)
    symbols = arena.place(read_object(Compiler().compile(module.text())))
    kind = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
    yield {f.__name__: kind(symbols[runtime.sources.of(f).symbol]) for f in FUNCTIONS}
    arena.mapping.close()


@pytest.mark.parametrize("semantics", FUNCTIONS, ids=lambda f: f.__name__)
def test_compiled_is_python(semantics, compiled):
    rng = random.Random(semantics.__name__)
    pairs = [(a, b) for a in EDGES for b in EDGES] + [(rng.getrandbits(64), rng.getrandbits(64)) for _ in range(500)]
    for a, b in pairs:
        assert compiled[semantics.__name__](a, b) == int(semantics(a, b)) & MASK, (hex(a), hex(b))


def shifts_too_far(a: u64) -> u64:
    return a << a


def compares_unknown(a: u64) -> u64:
    return 1 if a + a > 5 else 0


def shifts_unknown(a: u64) -> u64:
    return u64(a * a >> 3)


def mixes_signs(a: u64) -> u64:
    return 1 if s64(a) < a else 0


def divides(a: u64) -> u64:
    return a // 3


def uses_while(a: u64) -> u64:
    while a:
        a = 0
    return a


def uses_list(a: u64) -> u64:
    return [a][0]


def forgets_a_value(a: u64) -> u64:
    if a == 1:
        return 4


def calls_itself(a: u64) -> u64:
    return calls_itself(a)


def knows_no_such_name(a: u64) -> u64:
    return a + no_such_name  # noqa: F821


REFUSED = {
    shifts_too_far: "0..63",
    compares_unknown: "wrap it",
    shifts_unknown: "wrap it",
    mixes_signs: "one kind of width",
    divides: "FloorDiv",
    uses_while: "While",
    uses_list: "not known",
    forgets_a_value: "every path",
    calls_itself: "recursion|calls itself",
    knows_no_such_name: "not known",
}


@pytest.mark.parametrize("semantics", REFUSED, ids=lambda f: f.__name__)
def test_what_is_not_in_the_language_is_refused(semantics):
    runtime = Runtime(ISA)
    with pytest.raises(Refused, match=REFUSED[semantics]) as refusal:
        build_shared(Module(ISA.layout), runtime, runtime.sources.of(semantics))
    assert "test_lowering.py" in str(refusal.value)
