"""Addition and subtraction against exact arithmetic and against the host."""

import itertools
import struct

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

CASES = 400


@pytest.mark.parametrize("width", [32, 64])
def test_sums_are_exactly_rounded_in_every_direction(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_add")
    pairs = [*itertools.product(oracle.edges(form)[::3], repeat=2), *oracle.samples(form, CASES, 2, 1)]
    for (a, b), mode in itertools.product(pairs, oracle.MODES):
        assert oracle.run(word, a, b, mode) == oracle.add(form, a, b, mode), (hex(a), hex(b), mode)


@pytest.mark.parametrize("width", [32, 64])
def test_a_difference_is_the_sum_with_the_sign_flipped(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_subtract")
    for (a, b), mode in itertools.product(oracle.samples(form, CASES, 2, 2), oracle.MODES):
        assert oracle.run(word, a, b, mode) == oracle.add(form, a, b ^ form.sign, mode), (hex(a), hex(b), mode)


def test_sums_equal_the_hosts():
    checked = 0
    for a, b in oracle.samples(oracle.F64, 1000, 2, 3):
        x, y = (struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in (a, b))
        if x + y == x + y:
            checked += 1
            assert oracle.run(floating_point.f64_add, a, b, 0)[0].to_bytes(8, "little") == struct.pack("<d", x + y)
    assert checked > 500


def test_the_zero_of_a_difference_is_negative_only_when_rounding_down():
    one = 0x3FF << 52
    zeros = [oracle.run(floating_point.f64_subtract, one, one, mode)[0] for mode in oracle.MODES]
    assert zeros == [0, 0, 1 << 63, 0, 0]
