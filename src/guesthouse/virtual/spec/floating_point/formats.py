"""The binary interchange formats, as bit patterns: fields, kinds of values, and what a NaN becomes.

Source: IEEE 754-2019, sections 3.4 and 6.2; The RISC-V Instruction Set Manual, volume I, section "NaN generation and
propagation". A format is named by its `width` in bits: 32 or 64. Every function that takes a width is written once
for both and inlined where the width is a constant.

Inside the package a finite nonzero number is a sign, a `significand` with its highest bit at bit 63, and a biased
`exponent` of the format, which for a subnormal number goes on below 1:
value = significand * 2 ** (exponent - bias - 63).
"""

from enum import IntEnum

from guesthouse.virtual.spec.words import State, count_leading_zeros, flag, s32, u8, u64


class Rounding(IntEnum):
    """Rounding directions, numbered as in RISC-V's `frm`."""

    NEAREST_EVEN = 0
    ZERO = 1
    DOWN = 2
    UP = 3
    NEAREST_AWAY = 4


class Flag(IntEnum):
    """Exception flags, as they accrue in `float_flags`."""

    INEXACT = 1
    UNDERFLOW = 2
    OVERFLOW = 4
    DIVIDE_BY_ZERO = 8
    INVALID = 16


def fraction_bits(width: u8) -> u8:
    """Bits of the trailing significand field."""
    return 52 if width == 64 else 23


def exponent_limit(width: u8) -> s32:
    """The exponent field of infinities and NaNs: all ones."""
    return 0x7FF if width == 64 else 0xFF


def bias(width: u8) -> s32:
    """What the exponent field adds to the exponent."""
    return 1023 if width == 64 else 127


def infinity(width: u8) -> u64:
    """The positive infinity."""
    return 0x7FF0_0000_0000_0000 if width == 64 else 0x7F80_0000


def quiet_nan(width: u8) -> u64:
    """The canonical NaN: the only one that arithmetic gives."""
    return 0x7FF8_0000_0000_0000 if width == 64 else 0x7FC0_0000


def sign_mask(width: u8) -> u64:
    """The pattern of -0."""
    return 1 << ((width - 1) & 63)


def with_sign(negative: flag, bits: u64, width: u8) -> u64:
    """A non-negative pattern with the given sign."""
    return bits | sign_mask(width) if negative else bits


def is_negative(a: u64, width: u8) -> flag:
    """Whether the sign bit is set."""
    return a & sign_mask(width) != 0


def magnitude(a: u64, width: u8) -> u64:
    """The pattern without its sign; numbers' magnitudes order as unsigned integers."""
    return a & (sign_mask(width) - 1)


def is_nan(a: u64, width: u8) -> flag:
    """Whether it is not a number."""
    return magnitude(a, width) > infinity(width)


def is_signaling(a: u64, width: u8) -> flag:
    """Whether it is a NaN that raises invalid: its highest fraction bit is clear."""
    return is_nan(a, width) and a & (1 << ((fraction_bits(width) - 1) & 63)) == 0


def is_infinite(a: u64, width: u8) -> flag:
    """Whether it is an infinity."""
    return magnitude(a, width) == infinity(width)


def is_zero(a: u64, width: u8) -> flag:
    """Whether it is a zero."""
    return magnitude(a, width) == 0


def fraction(a: u64, width: u8) -> u64:
    """The trailing significand field."""
    return a & ((1 << (fraction_bits(width) & 63)) - 1)


def significand(a: u64, width: u8) -> u64:
    """The significand of a finite number, normalized to bit 63; 0 for a zero."""
    tail = fraction(a, width)
    if magnitude(a, width) == tail:
        return u64(tail << (count_leading_zeros(tail, 64) & 63))
    return u64(tail << ((63 - fraction_bits(width)) & 63)) | 1 << 63


def exponent(a: u64, width: u8) -> s32:
    """The biased exponent that goes with `significand`; meaningless for a zero."""
    tail = fraction(a, width)
    if magnitude(a, width) == tail:
        return 64 - fraction_bits(width) - count_leading_zeros(tail, 64)
    return magnitude(a, width) >> (fraction_bits(width) & 63)


def invalid(s: State, width: u8) -> u64:
    """The outcome of an operation without a meaning: raises invalid, gives the canonical NaN."""
    s.float_flags |= Flag.INVALID
    return quiet_nan(width)


def nan_of(s: State, a: u64, b: u64, width: u8) -> u64:
    """The outcome of an operation on a NaN: invalid only where an operand signals; payloads are not kept."""
    if is_signaling(a, width) or is_signaling(b, width):
        s.float_flags |= Flag.INVALID
    return quiet_nan(width)
