"""Fused multiply-add: one rounding.

Source: IEEE 754-2019, section 5.4.1; that infinity * 0 + a quiet NaN raises invalid is RISC-V's choice (volume I,
section "Single-precision floating-point computational instructions").
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
    is_signaling,
    is_zero,
    nan_of,
    significand,
    with_sign,
)
from guesthouse.virtual.spec.floating_point.rounding import round_to_format, shift_right_sticky, zero_sum
from guesthouse.virtual.spec.words import State, count_leading_zeros, flag, multiply_high, s32, u8, u32, u64


def shifted_low(high: u64, low: u64, amount: s32) -> u64:
    """The lower word of a 128-bit number shifted right by `amount` >= 0, bit 0 sticky."""
    if amount >= 64:
        return shift_right_sticky(high, amount - 64) | (1 if low != 0 else 0)
    if amount == 0:
        return low
    return shift_right_sticky(low, amount) | u64(high << ((64 - amount) & 63))


def shifted_high(high: u64, amount: s32) -> u64:
    """The upper word of a 128-bit number shifted right by `amount` >= 0."""
    return 0 if amount >= 64 else high >> (amount & 63)


def rounded_wide(s: State, negative: flag, place: s32, high: u64, low: u64, rounding: u64, width: u8) -> u64:
    """Normalize and round a nonzero 128-bit significand whose bit 126 has the weight of exponent `place`."""
    if high == 0:
        high = low
        low = 0
        place = place - 64
    shift = count_leading_zeros(high, 64)
    top = high
    if shift != 0:
        top = u64(high << (shift & 63)) | low >> ((64 - shift) & 63)
    if u64(low << (shift & 63)) != 0:
        top = top | 1
    return round_to_format(s, negative, place + 1 - shift, top, rounding, width)


def multiply_add_finite(s: State, a: u64, b: u64, c: u64, rounding: u64, width: u8) -> u64:
    """a * b + c of finite nonzero patterns.

    Both terms become 128-bit numbers whose highest bit is bit 126: nothing is lost, a carry has room.
    """
    negative = is_negative(a, width) ^ is_negative(b, width)
    opposite = negative ^ is_negative(c, width)
    high = multiply_high(significand(a, width), significand(b, width))
    low = u64(significand(a, width) * significand(b, width))
    place = exponent(a, width) + exponent(b, width) - bias(width)
    if high >= 1 << 63:
        low = low >> 1 | u64(high << 63)
        high = high >> 1
        place = place + 1
    other_high = significand(c, width) >> 1
    other_low = 0
    other_place = exponent(c, width)
    if other_place > place or (other_place == place and other_high > high):
        # The addend is the larger term.
        negative = is_negative(c, width)
        other_high = high
        other_low = low
        high = significand(c, width) >> 1
        low = 0
        other_place = place
        place = exponent(c, width)
    apart = place - other_place
    other_low = shifted_low(other_high, other_low, apart)
    other_high = shifted_high(other_high, apart)
    if opposite:
        difference_high = u64(high - other_high - (1 if low < other_low else 0))
        difference_low = u64(low - other_low)
        if difference_high == 0 and difference_low == 0:
            return zero_sum(0, 1, rounding, width)
        return rounded_wide(s, negative, place, difference_high, difference_low, rounding, width)
    total_low = u64(low + other_low)
    total_high = u64(high + other_high + (1 if total_low < low else 0))
    return rounded_wide(s, negative, place, total_high, total_low, rounding, width)


def multiply_add(s: State, a: u64, b: u64, c: u64, rounding: u64, width: u8) -> u64:
    """a * b + c of patterns of one format."""
    if (is_infinite(a, width) and is_zero(b, width)) or (is_zero(a, width) and is_infinite(b, width)):
        return invalid(s, width)
    if is_nan(a, width) or is_nan(b, width) or is_nan(c, width):
        return invalid(s, width) if is_signaling(c, width) else nan_of(s, a, b, width)
    negative = is_negative(a, width) ^ is_negative(b, width)
    if is_infinite(a, width) or is_infinite(b, width):
        if is_infinite(c, width) and negative != is_negative(c, width):
            return invalid(s, width)
        return with_sign(negative, infinity(width), width)
    if is_infinite(c, width):
        return c
    if is_zero(a, width) or is_zero(b, width):
        return zero_sum(negative, is_negative(c, width), rounding, width) if is_zero(c, width) else c
    if is_zero(c, width):
        high = multiply_high(significand(a, width), significand(b, width))
        low = u64(significand(a, width) * significand(b, width))
        place = exponent(a, width) + exponent(b, width) - bias(width)
        return rounded_wide(s, negative, place, high, low, rounding, width)
    return multiply_add_finite(s, a, b, c, rounding, width)


@function
def f64_multiply_add(s: State, a: u64, b: u64, c: u64, rounding: u64) -> u64:
    """a * b + c, binary64 patterns."""
    return multiply_add(s, a, b, c, rounding, 64)


@function
def f32_multiply_add(s: State, a: u32, b: u32, c: u32, rounding: u64) -> u32:
    """a * b + c, binary32 patterns."""
    return u32(multiply_add(s, a, b, c, rounding, 32))
