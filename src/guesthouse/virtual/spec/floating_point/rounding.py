"""From an exact result to a bit pattern: rounding, overflow and underflow.

Source: IEEE 754-2019, sections 4.3, 7.4, 7.5 and 7.6. Tininess is detected after rounding, as RISC-V chooses.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.floating_point.formats import (
    Flag,
    Rounding,
    exponent_limit,
    fraction_bits,
    infinity,
    with_sign,
)
from guesthouse.virtual.spec.words import State, flag, s32, u8, u64


def shift_right_sticky(value: u64, amount: s32) -> u64:
    """Shift right by `amount` >= 0; bit 0 stays set where any bit that was lost was set."""
    if amount >= 64:
        return 1 if value != 0 else 0
    kept = value >> (amount & 63)
    return kept | 1 if u64(kept << (amount & 63)) != value else kept


def rounds_up(negative: flag, odd: flag, rest: u64, half: u64, rounding: u64) -> flag:
    """Whether a magnitude goes up to the next representable one.

    `rest` is how far it lies above the one below, `half` the midpoint in the same unit, `odd` whether the one
    below is odd.
    """
    match rounding:
        case Rounding.NEAREST_EVEN:
            return rest > half or (rest == half and odd != 0)
        case Rounding.NEAREST_AWAY:
            return rest >= half
        case Rounding.DOWN:
            return rest != 0 and negative != 0
        case Rounding.UP:
            return rest != 0 and negative == 0
        case _:
            return False


def zero_sum(negative: flag, other: flag, rounding: u64, width: u8) -> u64:
    """The zero that is the sum of two opposite numbers, or of two zeros, of these signs (section 6.3)."""
    if negative == other:
        return with_sign(negative, 0, width)
    return with_sign(rounding == Rounding.DOWN, 0, width)


def overflow(s: State, negative: flag, rounding: u64, width: u8) -> u64:
    """Infinity or the largest finite number, whichever the rounding direction leads to."""
    s.float_flags |= Flag.OVERFLOW | Flag.INEXACT
    beyond = rounds_up(negative, 1, 3, 2, rounding)
    return with_sign(negative, infinity(width) if beyond else infinity(width) - 1, width)


@function
def round_to_format(s: State, negative: flag, exponent: s32, significand: u64, rounding: u64, width: u8) -> u64:
    """The pattern nearest to a nonzero result in the given direction, with its flags.

    The significand has its highest bit at bit 63. Its bit 0 may stand for any number of lower bits (sticky).
    """
    if exponent >= exponent_limit(width):
        return overflow(s, negative, rounding, width)
    dropped = 63 - fraction_bits(width)
    half = 1 << ((dropped - 1) & 63)
    below = (1 << (dropped & 63)) - 1
    kept = significand >> (dropped & 63)
    tiny = False
    if exponent < 1:
        # Half the smallest normal number and more may still round up to it: then it was not tiny.
        carries = kept == (1 << ((64 - dropped) & 63)) - 1 and rounds_up(
            negative, 1, significand & below, half, rounding
        )
        tiny = exponent < 0 or not carries
        significand = shift_right_sticky(significand, 1 - exponent)
        kept = significand >> (dropped & 63)
        exponent = 1
    rest = significand & below
    # The significand's leading one, where it is there, adds one to the exponent field; so does a carry out of it.
    bits = u64(kept + (u64(exponent - 1) << (fraction_bits(width) & 63)))
    if rounds_up(negative, kept & 1, rest, half, rounding):
        bits = u64(bits + 1)
    if bits >= infinity(width):
        return overflow(s, negative, rounding, width)
    if rest != 0:
        s.float_flags |= Flag.INEXACT | Flag.UNDERFLOW if tiny else Flag.INEXACT
    return with_sign(negative, bits, width)
