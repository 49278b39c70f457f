"""Square root.

Source: IEEE 754-2019, section 5.4.1; the square root of -0 is -0 (section 6.3).
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    bias,
    exponent,
    invalid,
    is_infinite,
    is_nan,
    is_negative,
    is_zero,
    nan_of,
    significand,
)
from guesthouse.virtual.spec.floating_point.rounding import round_to_format
from guesthouse.virtual.spec.words import State, u8, u32, u64


def root_of(value: u64) -> u64:
    """The square root of a number from 1 (2 ** 55) to below 4 as a significand with bit 0 sticky.

    A bit a step: before the step of weight `bit`, `rest` is (value - root ** 2), scaled so that it stays a word.
    """
    rest = value
    twice = 0
    root = 0
    for step in range(56):
        bit = 1 << ((55 - step) & 63)
        trial = u64(u64(twice) + bit)
        if trial <= u64(rest):
            rest = u64(u64(rest) - trial)
            twice = u64(trial + bit)
            root = u64(root) | bit
        rest = u64(u64(rest) << 1)
    return u64(u64(root) << 8) | (1 if u64(rest) != 0 else 0)


def square_root(s: State, a: u64, rounding: u64, width: u8) -> u64:
    """The square root of a pattern."""
    if is_nan(a, width):
        return nan_of(s, a, a, width)
    if is_zero(a, width):
        return a
    if is_negative(a, width):
        return invalid(s, width)
    if is_infinite(a, width):
        return a
    # The bias is odd and counts twice here, so this sum is odd exactly where the exponent is.
    place = u64(exponent(a, width) + bias(width))
    value = significand(a, width) >> 8
    return round_to_format(s, 0, place >> 1, root_of(u64(value << (place & 1))), rounding, width)


@function
def f64_square_root(s: State, a: u64, rounding: u64) -> u64:
    """The square root, binary64 patterns."""
    return square_root(s, a, rounding, 64)


@function
def f32_square_root(s: State, a: u32, rounding: u64) -> u32:
    """The square root, binary32 patterns."""
    return u32(square_root(s, a, rounding, 32))
