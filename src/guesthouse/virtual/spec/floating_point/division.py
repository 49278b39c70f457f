"""Division.

Source: IEEE 754-2019, sections 5.4.1 and 7.3.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    Flag,
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
from guesthouse.virtual.spec.words import State, divide, remainder, u8, u32, u64


def quotient_of(above: u64, below: u64) -> u64:
    """above / below * 2 ** 63 of two significands of at most 53 bits at the top of their words, bit 0 sticky.

    Long division: a remainder of 53 bits leaves room for a digit of 11 bits.
    """
    divisor = below >> 11
    rest = above >> 11
    digits = 0
    for _ in range(6):
        digits = u64(u64(digits << 11) + divide(u64(rest), divisor))
        rest = u64(remainder(u64(rest), divisor) << 11)
    return u64(u64(digits) << 8) | (1 if u64(rest) != 0 else 0)


def quotient(s: State, a: u64, b: u64, rounding: u64, width: u8) -> u64:
    """The quotient of two patterns of one format."""
    if is_nan(a, width) or is_nan(b, width):
        return nan_of(s, a, b, width)
    negative = is_negative(a, width) ^ is_negative(b, width)
    if is_infinite(a, width):
        return invalid(s, width) if is_infinite(b, width) else with_sign(negative, infinity(width), width)
    if is_zero(b, width):
        if is_zero(a, width):
            return invalid(s, width)
        s.float_flags |= Flag.DIVIDE_BY_ZERO
        return with_sign(negative, infinity(width), width)
    if is_zero(a, width) or is_infinite(b, width):
        return with_sign(negative, 0, width)
    place = exponent(a, width) - exponent(b, width) + bias(width)
    ratio = quotient_of(significand(a, width), significand(b, width))
    if ratio < 1 << 63:
        ratio = u64(ratio << 1)
        place = place - 1
    return round_to_format(s, negative, place, ratio, rounding, width)


@function
def f64_divide(s: State, a: u64, b: u64, rounding: u64) -> u64:
    """a / b, binary64 patterns."""
    return quotient(s, a, b, rounding, 64)


@function
def f32_divide(s: State, a: u32, b: u32, rounding: u64) -> u32:
    """a / b, binary32 patterns."""
    return u32(quotient(s, a, b, rounding, 32))
