"""What kind of value a pattern is.

Source: The RISC-V Instruction Set Manual, volume I, section "Single-precision floating-point classify instruction".
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    fraction,
    is_infinite,
    is_nan,
    is_negative,
    is_signaling,
    is_zero,
    magnitude,
)
from guesthouse.virtual.spec.words import State, u8, u32, u64


def kind(a: u64, width: u8) -> u64:
    """Distance from zero: 0 zero, 1 subnormal, 2 normal, 3 infinite; not for a NaN."""
    if is_infinite(a, width):
        return 3
    if is_zero(a, width):
        return 0
    return 1 if magnitude(a, width) == fraction(a, width) else 2


def classify(a: u64, width: u8) -> u64:
    """One bit of ten: from -infinity (bit 0) up to +infinity (bit 7), signaling NaN (8), quiet NaN (9)."""
    if is_nan(a, width):
        return 1 << 8 if is_signaling(a, width) else 1 << 9
    return 1 << ((3 - kind(a, width)) & 63) if is_negative(a, width) else 1 << ((4 + kind(a, width)) & 63)


@function
def f64_classify(s: State, a: u64) -> u64:
    """The class bit of a binary64 pattern."""
    return classify(a, 64)


@function
def f32_classify(s: State, a: u32) -> u64:
    """The class bit of a binary32 pattern."""
    return classify(a, 32)
