"""Square root against exact arithmetic and against the host."""

import itertools
import math
import struct

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

CASES = 300


@pytest.mark.parametrize("width", [32, 64])
def test_roots_are_exactly_rounded_in_every_direction(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_square_root")
    operands = [*oracle.edges(form), *(a for (a,) in oracle.samples(form, CASES, 1, 1))]
    for a, mode in itertools.product(operands, oracle.MODES):
        assert oracle.run(word, a, mode) == oracle.square_root(form, a, mode), (hex(a), mode)


def test_roots_equal_the_hosts():
    checked = 0
    for (a,) in oracle.samples(oracle.F64, 500, 1, 3):
        x = struct.unpack("<d", a.to_bytes(8, "little"))[0]
        if x >= 0:
            checked += 1
            result, _ = oracle.run(floating_point.f64_square_root, a, 0)
            assert result.to_bytes(8, "little") == struct.pack("<d", math.sqrt(x))
    assert checked > 100


def test_a_root_without_rest_raises_nothing():
    assert oracle.run(floating_point.f64_square_root, 0x4022_0000_0000_0000, 3) == (0x4008_0000_0000_0000, 0)
