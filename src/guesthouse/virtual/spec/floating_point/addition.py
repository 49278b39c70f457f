"""Addition and subtraction.

Source: IEEE 754-2019, sections 5.4.1 and 6.3.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    exponent,
    invalid,
    is_infinite,
    is_nan,
    is_negative,
    is_zero,
    magnitude,
    nan_of,
    sign_mask,
    significand,
)
from guesthouse.virtual.spec.floating_point.rounding import round_to_format, shift_right_sticky, zero_sum
from guesthouse.virtual.spec.words import State, count_leading_zeros, u8, u32, u64


def add(s: State, a: u64, b: u64, rounding: u64, width: u8) -> u64:
    """The sum of two patterns of one format."""
    if is_nan(a, width) or is_nan(b, width):
        return nan_of(s, a, b, width)
    large = a
    small = b
    if magnitude(a, width) < magnitude(b, width):
        large = b
        small = a
    negative = is_negative(large, width)
    opposite = negative ^ is_negative(small, width)
    if is_infinite(large, width):
        return invalid(s, width) if opposite and is_infinite(small, width) else large
    if magnitude(large, width) == magnitude(small, width) and (opposite or is_zero(large, width)):
        return zero_sum(negative, is_negative(small, width), rounding, width)
    if is_zero(small, width):
        return large
    # One bit down, for the carry. Below the significands are at least ten zero bits: enough for guard and sticky.
    above = significand(large, width) >> 1
    below = shift_right_sticky(significand(small, width) >> 1, exponent(large, width) - exponent(small, width))
    total = u64(above - below) if opposite else u64(above + below)
    shift = count_leading_zeros(total, 64)
    return round_to_format(s, negative, exponent(large, width) + 1 - shift, u64(total << (shift & 63)), rounding, width)


@function
def f64_add(s: State, a: u64, b: u64, rounding: u64) -> u64:
    """a + b, binary64 patterns."""
    return add(s, a, b, rounding, 64)


@function
def f32_add(s: State, a: u32, b: u32, rounding: u64) -> u32:
    """a + b, binary32 patterns."""
    return u32(add(s, a, b, rounding, 32))


@function
def f64_subtract(s: State, a: u64, b: u64, rounding: u64) -> u64:
    """a - b, binary64 patterns."""
    return f64_add(s, a, b ^ sign_mask(64), rounding)


@function
def f32_subtract(s: State, a: u32, b: u32, rounding: u64) -> u32:
    """a - b, binary32 patterns."""
    return f32_add(s, a, u32(b ^ sign_mask(32)), rounding)
