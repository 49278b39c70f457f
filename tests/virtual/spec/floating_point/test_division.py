"""Division against exact arithmetic and against the host."""

import itertools
import struct

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

CASES = 400


@pytest.mark.parametrize("width", [32, 64])
def test_results_are_exactly_rounded_in_every_direction(width):
    form, word = oracle.FORMATS[width], getattr(floating_point, f"f{width}_divide")
    pairs = [*itertools.product(oracle.edges(form)[::3], repeat=2), *oracle.samples(form, CASES, 2, 1)]
    for (a, b), mode in itertools.product(pairs, oracle.MODES):
        assert oracle.run(word, a, b, mode) == oracle.divide(form, a, b, mode), (hex(a), hex(b), mode)


def test_quotients_equal_the_hosts():
    checked = 0
    for a, b in oracle.samples(oracle.F64, 1000, 2, 3):
        x, y = (struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in (a, b))
        if y and x / y == x / y:
            checked += 1
            result, _ = oracle.run(floating_point.f64_divide, a, b, 0)
            assert result.to_bytes(8, "little") == struct.pack("<d", x / y)
    assert checked > 500


def test_division_by_zero_has_its_own_flag():
    assert oracle.run(floating_point.f32_divide, 0x3F80_0000, 1 << 31, 0) == (0xFF80_0000, oracle.DIVIDE_BY_ZERO)
    assert oracle.run(floating_point.f32_divide, 0, 0, 0) == (0x7FC0_0000, oracle.INVALID)
