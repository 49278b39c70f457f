"""Multiplication.

Source: IEEE 754-2019, section 5.4.1.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    bias,
    exponent,
    infinity,
    invalid,
    is_infinite,
    is_nan,
    is_negative,
    is_zero,
    nan_of,
    significand,
    with_sign,
)
from guesthouse.virtual.spec.floating_point.rounding import round_to_format
from guesthouse.virtual.spec.words import State, multiply_high, u8, u32, u64


def multiply(s: State, a: u64, b: u64, rounding: u64, width: u8) -> u64:
    """The product of two patterns of one format."""
    if is_nan(a, width) or is_nan(b, width):
        return nan_of(s, a, b, width)
    negative = is_negative(a, width) ^ is_negative(b, width)
    if is_infinite(a, width) or is_infinite(b, width):
        if is_zero(a, width) or is_zero(b, width):
            return invalid(s, width)
        return with_sign(negative, infinity(width), width)
    if is_zero(a, width) or is_zero(b, width):
        return with_sign(negative, 0, width)
    place = exponent(a, width) + exponent(b, width) - bias(width) + 1
    product = multiply_high(significand(a, width), significand(b, width))
    if u64(significand(a, width) * significand(b, width)) != 0:
        product = product | 1
    if product < 1 << 63:
        product = u64(product << 1)
        place = place - 1
    return round_to_format(s, negative, place, product, rounding, width)


@function
def f64_multiply(s: State, a: u64, b: u64, rounding: u64) -> u64:
    """a * b, binary64 patterns."""
    return multiply(s, a, b, rounding, 64)


@function
def f32_multiply(s: State, a: u32, b: u32, rounding: u64) -> u32:
    """a * b, binary32 patterns."""
    return u32(multiply(s, a, b, rounding, 32))
