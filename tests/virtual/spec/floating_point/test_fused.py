"""Fused multiply-add against exact arithmetic."""

import itertools
import random

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

CASES = 500


def cancelling(form, count):
    """Operands whose addend nearly cancels the product, or lies just beyond its last bit."""
    source = random.Random(5)
    for a, b in oracle.samples(form, count, 2, 4):
        c, _ = oracle.multiply(form, a, b, 0)
        apart = source.choice([0, 0, 1, 2, form.precision - 1, form.precision, form.precision + 1])
        yield a, b, (c ^ form.sign) + source.choice([-1, 0, 1]) & 2 * form.sign - 1
        yield a, b, c - (apart << form.precision - 1) & 2 * form.sign - 1


@pytest.mark.parametrize("width", [32, 64])
def test_one_rounding_in_every_direction(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_multiply_add")
    triples = [
        *itertools.product(oracle.edges(form)[::7], repeat=3),
        *oracle.samples(form, CASES, 3, 1),
        *cancelling(form, CASES),
    ]
    for number, (a, b, c) in enumerate(triples):
        for mode in (number % 5, (number + 2) % 5):
            expected = oracle.multiply_add(form, a, b, c, mode)
            assert oracle.run(word, a, b, c, mode) == expected, (hex(a), hex(b), hex(c), mode)


def test_infinity_times_zero_is_invalid_even_with_a_quiet_nan():
    nan, infinity = oracle.F64.nan, oracle.F64.infinity
    assert oracle.run(floating_point.f64_multiply_add, infinity, 0, nan, 0) == (nan, oracle.INVALID)
    assert oracle.run(floating_point.f64_multiply_add, infinity, infinity, nan, 0) == (nan, 0)
