"""Comparisons, minimum and maximum.

Source: IEEE 754-2019, sections 5.11 (compareQuietEqual, compareSignalingLess, compareSignalingLessEqual) and 9.6
(minimumNumber, maximumNumber, with -0 below +0).
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    Flag,
    is_nan,
    is_negative,
    is_signaling,
    is_zero,
    magnitude,
    quiet_nan,
)
from guesthouse.virtual.spec.words import State, flag, u8, u32, u64


def below(a: u64, b: u64, width: u8) -> flag:
    """Whether a comes before b in the order of numbers in which -0 is below +0."""
    if is_negative(a, width) != is_negative(b, width):
        return is_negative(a, width)
    return magnitude(b, width) < magnitude(a, width) if is_negative(a, width) else a < b


def unordered(s: State, a: u64, b: u64, width: u8, signaling: flag) -> flag:
    """Whether an operand is a NaN; raises invalid where it signals, or in any case with `signaling`."""
    if is_nan(a, width) or is_nan(b, width):
        if signaling or is_signaling(a, width) or is_signaling(b, width):
            s.float_flags |= Flag.INVALID
        return True
    return False


def equal(s: State, a: u64, b: u64, width: u8) -> flag:
    """a == b, quiet."""
    if unordered(s, a, b, width, 0):
        return False
    return a == b or (is_zero(a, width) and is_zero(b, width))


def less(s: State, a: u64, b: u64, width: u8) -> flag:
    """a < b, signaling."""
    if unordered(s, a, b, width, 1):
        return False
    return below(a, b, width) and not (is_zero(a, width) and is_zero(b, width))


def less_equal(s: State, a: u64, b: u64, width: u8) -> flag:
    """a <= b, signaling."""
    if unordered(s, a, b, width, 1):
        return False
    return not below(b, a, width) or (is_zero(a, width) and is_zero(b, width))


def lesser(s: State, a: u64, b: u64, width: u8) -> u64:
    """minimumNumber(a, b): a NaN gives way to a number."""
    if unordered(s, a, b, width, 0):
        if is_nan(b, width):
            return quiet_nan(width) if is_nan(a, width) else a
        return b
    return b if below(b, a, width) else a


def greater(s: State, a: u64, b: u64, width: u8) -> u64:
    """maximumNumber(a, b): a NaN gives way to a number."""
    if unordered(s, a, b, width, 0):
        if is_nan(b, width):
            return quiet_nan(width) if is_nan(a, width) else a
        return b
    return b if below(a, b, width) else a


@function
def f64_equal(s: State, a: u64, b: u64) -> flag:
    """a == b, binary64 patterns; a quiet NaN raises nothing."""
    return equal(s, a, b, 64)


@function
def f32_equal(s: State, a: u32, b: u32) -> flag:
    """a == b, binary32 patterns; a quiet NaN raises nothing."""
    return equal(s, a, b, 32)


@function
def f64_less(s: State, a: u64, b: u64) -> flag:
    """a < b, binary64 patterns; any NaN raises invalid."""
    return less(s, a, b, 64)


@function
def f32_less(s: State, a: u32, b: u32) -> flag:
    """a < b, binary32 patterns; any NaN raises invalid."""
    return less(s, a, b, 32)


@function
def f64_less_equal(s: State, a: u64, b: u64) -> flag:
    """a <= b, binary64 patterns; any NaN raises invalid."""
    return less_equal(s, a, b, 64)


@function
def f32_less_equal(s: State, a: u32, b: u32) -> flag:
    """a <= b, binary32 patterns; any NaN raises invalid."""
    return less_equal(s, a, b, 32)


@function
def f64_min(s: State, a: u64, b: u64) -> u64:
    """The lesser number, binary64 patterns; only a signaling NaN raises invalid."""
    return lesser(s, a, b, 64)


@function
def f32_min(s: State, a: u32, b: u32) -> u32:
    """The lesser number, binary32 patterns; only a signaling NaN raises invalid."""
    return u32(lesser(s, a, b, 32))


@function
def f64_max(s: State, a: u64, b: u64) -> u64:
    """The greater number, binary64 patterns; only a signaling NaN raises invalid."""
    return greater(s, a, b, 64)


@function
def f32_max(s: State, a: u32, b: u32) -> u32:
    """The greater number, binary32 patterns; only a signaling NaN raises invalid."""
    return u32(greater(s, a, b, 32))
