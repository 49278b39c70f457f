"""Comparisons, minimum and maximum against exact arithmetic."""

import itertools

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle


def key(form, bits):
    """Something that orders as the number does."""
    value = form.value(bits)
    if value == oracle.INFINITY:
        return -(2**2000) if form.negative(bits) else 2**2000
    return value


@pytest.mark.parametrize("width", [32, 64])
def test_order(width):
    form = oracle.FORMATS[width]
    equal, less, less_equal = (getattr(floating_point, f"f{width}_{n}") for n in ("equal", "less", "less_equal"))
    for a, b in [*itertools.product(oracle.edges(form), repeat=2), *oracle.samples(form, 500, 2, 1)]:
        if form.is_nan(a) or form.is_nan(b):
            signals = oracle.INVALID if form.signals(a) or form.signals(b) else 0
            assert oracle.run(equal, a, b) == (0, signals)
            assert oracle.run(less, a, b) == oracle.run(less_equal, a, b) == (0, oracle.INVALID)
        else:
            x, y = key(form, a), key(form, b)
            outcomes = [oracle.run(word, a, b) for word in (equal, less, less_equal)]
            assert outcomes == [(x == y, 0), (x < y, 0), (x <= y, 0)], (hex(a), hex(b))


@pytest.mark.parametrize("width", [32, 64])
def test_extremes_prefer_numbers_and_order_zeros(width):
    form = oracle.FORMATS[width]
    lesser, greater = getattr(floating_point, f"f{width}_min"), getattr(floating_point, f"f{width}_max")
    for a, b in [*itertools.product(oracle.edges(form), repeat=2), *oracle.samples(form, 500, 2, 2)]:
        flags = oracle.INVALID if form.signals(a) or form.signals(b) else 0
        numbers = [bits for bits in (a, b) if not form.is_nan(bits)]
        numbers.sort(key=lambda bits: (key(form, bits), not form.negative(bits)))
        low, high = (numbers[0], numbers[-1]) if numbers else (form.nan, form.nan)
        assert oracle.run(lesser, a, b) == (low, flags), (hex(a), hex(b))
        assert oracle.run(greater, a, b) == (high, flags), (hex(a), hex(b))
