"""Conversions against exact arithmetic."""

import itertools
import random

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

RANGES = {"s32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1), "s64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}


def expected_integer(form, a, mode, low, high):
    """The integer and the flags of a conversion, as RISC-V saturates it."""
    value = form.value(a)
    if isinstance(value, str):
        return (low if value == oracle.INFINITY and form.negative(a) else high), oracle.INVALID
    whole = oracle.integer_of(value, mode)
    if not low <= whole <= high:
        return min(max(whole, low), high), oracle.INVALID
    return whole, oracle.INEXACT if whole != value else 0


def near_integers(form, count):
    """Numbers about the ends of integer ranges and about halves."""
    source = random.Random(7)
    ends = [0, 1, 2, 2**31, 2**32, 2**63, 2**64, 2**52, 2**53, 2**24]
    for _ in range(count):
        value = oracle.Fraction(source.choice(ends)) + oracle.Fraction(source.randint(-9, 9), source.choice([1, 2, 4]))
        if value:
            yield form.round(value * source.choice([1, -1]), source.randrange(5))[0]


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("width", [32, 64])
def test_to_integers(width, name):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_to_{name}")
    operands = [*oracle.edges(form), *near_integers(form, 300), *(a for (a,) in oracle.samples(form, 100, 1, 1))]
    for a, mode in itertools.product(operands, oracle.MODES):
        assert oracle.run(word, a, mode) == expected_integer(form, a, mode, *RANGES[name]), (hex(a), mode)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("width", [32, 64])
def test_from_integers(width, name):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"{name}_to_f{width}")
    low, high = RANGES[name]
    source = random.Random(8)
    numbers = [low, high, low + 1, high - 1, 1, 2**24 - 1, 2**24 + 1, 2**25 + 2, 2**25 + 6, -1, -(2**24) - 1]
    numbers += [2**53 + 1, 2**54 + 2, 2**54 + 6, 2**64 - 2**10, 2**63 - 2**9]
    numbers += [source.randint(low, high) >> source.randrange(64) for _ in range(200)]
    for number, mode in itertools.product([n for n in numbers if low <= n <= high and n], oracle.MODES):
        assert oracle.run(word, number, mode) == form.round(oracle.Fraction(number), mode), (number, mode)
    assert oracle.run(word, 0, oracle.DOWN) == (0, 0)


@pytest.mark.parametrize(("source", "target"), [(32, 64), (64, 32)])
def test_between_formats(source, target):
    old, new = oracle.FORMATS[source], oracle.FORMATS[target]
    word = getattr(floating_point, f"f{source}_to_f{target}")
    edges = oracle.edges(old)
    if source == 64:  # about the ends of the narrower format
        edges += [(0x3FF - 1023 + e << 52) + d for e in (873, 874, 896, 897, 1150, 1151) for d in (-1, 0, 1, 1 << 28)]
    for a, mode in itertools.product([*edges, *(a for (a,) in oracle.samples(old, 400, 1, 1))], oracle.MODES):
        value = old.value(a)
        if value == oracle.NAN:
            expected = new.nan, oracle.INVALID if old.signals(a) else 0
        elif value == oracle.INFINITY or not value:
            expected = new.signed(old.negative(a), new.infinity if value else 0), 0
        else:
            expected = new.round(value, mode)
        assert oracle.run(word, a, mode) == expected, (hex(a), mode)
