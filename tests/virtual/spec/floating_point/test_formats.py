"""Fields and kinds of patterns."""

import pytest

from guesthouse.virtual.spec.floating_point import formats

from . import oracle


@pytest.mark.parametrize("width", [32, 64])
def test_significand_and_exponent_give_the_number_back(width):
    form = oracle.FORMATS[width]
    for bits in oracle.edges(form):
        value = form.value(bits)
        if isinstance(value, str) or not value:
            continue
        digits, place = formats.significand(bits, width), formats.exponent(bits, width)
        assert digits >> 63 == 1
        assert digits * oracle.Fraction(2) ** (place - formats.bias(width) - 63) == abs(value)


@pytest.mark.parametrize("width", [32, 64])
def test_kinds(width):
    form = oracle.FORMATS[width]
    for bits in oracle.edges(form):
        value = form.value(bits)
        assert formats.is_nan(bits, width) == (value == oracle.NAN)
        assert formats.is_infinite(bits, width) == (value == oracle.INFINITY)
        assert formats.is_zero(bits, width) == (value == 0)
        assert formats.is_signaling(bits, width) == form.signals(bits)
        assert formats.is_negative(bits, width) == form.negative(bits)
