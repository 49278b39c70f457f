"""Rounding: the pieces that the operations share."""

import pytest

from guesthouse.virtual.spec.floating_point import formats, rounding

from . import oracle


@pytest.mark.parametrize(
    ("value", "amount", "expected"),
    [(0b1000, 3, 1), (0b1001, 3, 1), (0b10100, 3, 0b11), (5, 0, 5), (1 << 63, 63, 1), (1 << 63, 64, 1), (0, 99, 0)],
)
def test_shifted_out_ones_stick(value, amount, expected):
    assert rounding.shift_right_sticky(value, amount) == expected


@pytest.mark.parametrize(
    ("negative", "rounded"),
    [(False, {-1: "00010", 0: "10011", 1: "10011"}), (True, {-1: "00100", 0: "10101", 1: "10101"})],
)
def test_directions_of_an_odd_magnitude(negative, rounded):
    # Below, at and above the midpoint, one digit a mode. Nearest modes stay below it.
    for offset, modes in rounded.items():
        found = "".join(str(int(rounding.rounds_up(negative, True, 8 + offset, 8, mode))) for mode in oracle.MODES)
        assert found == modes


def test_a_tie_goes_to_the_even_magnitude():
    assert not rounding.rounds_up(False, False, 8, 8, formats.Rounding.NEAREST_EVEN)
    assert rounding.rounds_up(False, True, 8, 8, formats.Rounding.NEAREST_EVEN)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("mode", oracle.MODES)
def test_overflow_and_underflow(width, mode):
    form = oracle.FORMATS[width]
    for negative in (False, True):
        for place in (-200, -60, -3, -1, 0, 1, 2 * form.largest_exponent, 2 * form.largest_exponent + 1):
            for digits in (1 << 63, (1 << 64) - 1, (1 << 64) - (1 << 39), (1 << 64) - (1 << 10), 3 << 62):
                scale = oracle.Fraction(2) ** (place - form.largest_exponent - 63)
                expected = form.round(digits * scale * (-1 if negative else 1), mode)
                found = oracle.run(rounding.round_to_format, negative, place, digits, mode, width)
                assert found == expected, (negative, place, hex(digits))
