"""Multiplication against exact arithmetic and against the host."""

import itertools
import struct

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

CASES = 400


@pytest.mark.parametrize("width", [32, 64])
def test_results_are_exactly_rounded_in_every_direction(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_multiply")
    pairs = [*itertools.product(oracle.edges(form)[::3], repeat=2), *oracle.samples(form, CASES, 2, 1)]
    for (a, b), mode in itertools.product(pairs, oracle.MODES):
        assert oracle.run(word, a, b, mode) == oracle.multiply(form, a, b, mode), (hex(a), hex(b), mode)


def test_products_equal_the_hosts():
    checked = 0
    for a, b in oracle.samples(oracle.F64, 1000, 2, 3):
        x, y = (struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in (a, b))
        if x * y == x * y:
            checked += 1
            result, _ = oracle.run(floating_point.f64_multiply, a, b, 0)
            assert result.to_bytes(8, "little") == struct.pack("<d", x * y)
    assert checked > 500


def test_what_rounds_up_to_the_smallest_normal_number_is_not_tiny():
    almost_one, smallest = 0x3FEF_FFFF_FFFF_FFFF, 1 << 52
    assert oracle.run(floating_point.f64_multiply, smallest, almost_one, 0) == (smallest, 3)
    # With one more bit below the rounding with unbounded exponent reaches the normal number itself.
    assert oracle.run(floating_point.f64_multiply, smallest + 1, almost_one - 1, 3) == (smallest, 1)
