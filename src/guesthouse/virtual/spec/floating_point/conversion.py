"""Conversions between formats, and between numbers and integers.

Source: IEEE 754-2019, sections 5.4.1, 5.4.2 and 5.8; what an integer becomes where the number does not fit is
RISC-V's choice (volume I, section "Single-precision floating-point conversion and move instructions"): the nearest
one, a NaN as +infinity, invalid raised and inexact not.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    Flag,
    bias,
    exponent,
    infinity,
    is_infinite,
    is_nan,
    is_negative,
    is_zero,
    nan_of,
    significand,
    with_sign,
)
from guesthouse.virtual.spec.floating_point.rounding import round_to_format, rounds_up, shift_right_sticky
from guesthouse.virtual.spec.words import State, count_leading_zeros, flag, s32, s64, u8, u32, u64


def saturated(s: State, negative: flag, highest: u64, lowest: u64) -> u64:
    """The integer nearest to a number beyond the range; `lowest` is the magnitude of the lowest one."""
    s.float_flags |= Flag.INVALID
    return u64(-lowest) if negative else highest


def to_integer(s: State, a: u64, rounding: u64, width: u8, highest: u64, lowest: u64) -> u64:
    """The integer (two's complement) nearest in the given direction, from -lowest to highest."""
    if is_nan(a, width):
        return saturated(s, 0, highest, lowest)
    if is_zero(a, width):
        return 0
    negative = is_negative(a, width)
    place = exponent(a, width) - bias(width)
    if place > 63:
        return saturated(s, negative, highest, lowest)
    whole = 0
    rest = 0  # the fraction, its half at bit 63
    if place < 0:
        rest = shift_right_sticky(significand(a, width), -1 - place)
    else:
        whole = significand(a, width) >> ((63 - place) & 63)
        if place < 63:
            rest = u64(significand(a, width) << ((place + 1) & 63))
    if rounds_up(negative, whole & 1, rest, 1 << 63, rounding):
        whole = u64(whole + 1)
    if whole > (lowest if negative else highest):
        return saturated(s, negative, highest, lowest)
    if rest != 0:
        s.float_flags |= Flag.INEXACT
    return u64(-whole) if negative else whole


def from_integer(s: State, negative: flag, size: u64, rounding: u64, width: u8) -> u64:
    """The pattern nearest to an integer of magnitude `size`; zero is +0."""
    if size == 0:
        return 0
    shift = count_leading_zeros(size, 64)
    return round_to_format(s, negative, bias(width) + 63 - shift, u64(size << (shift & 63)), rounding, width)


def to_format(s: State, a: u64, rounding: u64, source: u8, width: u8) -> u64:
    """A pattern of width `source` in the format of another width."""
    if is_nan(a, source):
        nan_of(s, a, a, source)
        return nan_of(s, 0, 0, width)
    negative = is_negative(a, source)
    if is_infinite(a, source):
        return with_sign(negative, infinity(width), width)
    if is_zero(a, source):
        return with_sign(negative, 0, width)
    place = exponent(a, source) - bias(source) + bias(width)
    return round_to_format(s, negative, place, significand(a, source), rounding, width)


@function
def f64_to_s32(s: State, a: u64, rounding: u64) -> s32:
    """binary64 to a signed 32-bit integer."""
    return s32(to_integer(s, a, rounding, 64, 0x7FFF_FFFF, 0x8000_0000))


@function
def f64_to_u32(s: State, a: u64, rounding: u64) -> u32:
    """binary64 to an unsigned 32-bit integer."""
    return u32(to_integer(s, a, rounding, 64, 0xFFFF_FFFF, 0))


@function
def f64_to_s64(s: State, a: u64, rounding: u64) -> s64:
    """binary64 to a signed 64-bit integer."""
    return s64(to_integer(s, a, rounding, 64, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000))


@function
def f64_to_u64(s: State, a: u64, rounding: u64) -> u64:
    """binary64 to an unsigned 64-bit integer."""
    return to_integer(s, a, rounding, 64, 0xFFFF_FFFF_FFFF_FFFF, 0)


@function
def f32_to_s32(s: State, a: u32, rounding: u64) -> s32:
    """binary32 to a signed 32-bit integer."""
    return s32(to_integer(s, a, rounding, 32, 0x7FFF_FFFF, 0x8000_0000))


@function
def f32_to_u32(s: State, a: u32, rounding: u64) -> u32:
    """binary32 to an unsigned 32-bit integer."""
    return u32(to_integer(s, a, rounding, 32, 0xFFFF_FFFF, 0))


@function
def f32_to_s64(s: State, a: u32, rounding: u64) -> s64:
    """binary32 to a signed 64-bit integer."""
    return s64(to_integer(s, a, rounding, 32, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000))


@function
def f32_to_u64(s: State, a: u32, rounding: u64) -> u64:
    """binary32 to an unsigned 64-bit integer."""
    return to_integer(s, a, rounding, 32, 0xFFFF_FFFF_FFFF_FFFF, 0)


@function
def u64_to_f64(s: State, a: u64, rounding: u64) -> u64:
    """An unsigned 64-bit integer to binary64."""
    return from_integer(s, 0, a, rounding, 64)


@function
def s64_to_f64(s: State, a: s64, rounding: u64) -> u64:
    """A signed 64-bit integer to binary64."""
    return from_integer(s, a < 0, u64(-a) if a < 0 else u64(a), rounding, 64)


@function
def u32_to_f64(s: State, a: u32, rounding: u64) -> u64:
    """An unsigned 32-bit integer to binary64: exact."""
    return u64_to_f64(s, a, rounding)


@function
def s32_to_f64(s: State, a: s32, rounding: u64) -> u64:
    """A signed 32-bit integer to binary64: exact."""
    return s64_to_f64(s, a, rounding)


@function
def u64_to_f32(s: State, a: u64, rounding: u64) -> u32:
    """An unsigned 64-bit integer to binary32."""
    return u32(from_integer(s, 0, a, rounding, 32))


@function
def s64_to_f32(s: State, a: s64, rounding: u64) -> u32:
    """A signed 64-bit integer to binary32."""
    return u32(from_integer(s, a < 0, u64(-a) if a < 0 else u64(a), rounding, 32))


@function
def u32_to_f32(s: State, a: u32, rounding: u64) -> u32:
    """An unsigned 32-bit integer to binary32."""
    return u64_to_f32(s, a, rounding)


@function
def s32_to_f32(s: State, a: s32, rounding: u64) -> u32:
    """A signed 32-bit integer to binary32."""
    return s64_to_f32(s, a, rounding)


@function
def f64_to_f32(s: State, a: u64, rounding: u64) -> u32:
    """binary64 to binary32."""
    return u32(to_format(s, a, rounding, 64, 32))


@function
def f32_to_f64(s: State, a: u32, rounding: u64) -> u64:
    """binary32 to binary64: exact, whatever the rounding."""
    return to_format(s, a, rounding, 32, 64)
