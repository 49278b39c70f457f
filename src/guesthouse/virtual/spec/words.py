"""The vocabulary of semantics: every word an instruction's description may use, with its exact meaning.

Arithmetic is Python's: exact. A register or field truncates what is written to it. What looks at bits above
the word (``>>``, a comparison, a division, a conversion) must see an exact value, so wrap it: ``u64(a + b)``.
Each function below is the word's definition for the reference engine; the lowering knows each by its name.
Words that touch the machine take the state ``s`` first and ask its ``environment``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    u8: TypeAlias = int
    u16: TypeAlias = int
    u32: TypeAlias = int
    u64: TypeAlias = int
    s8: TypeAlias = int
    s16: TypeAlias = int
    s32: TypeAlias = int
    s64: TypeAlias = int
    flag: TypeAlias = int
    State: TypeAlias = Any
else:

    class _Width(int):
        """A fixed-width word: calling it truncates an integer, naming it in a signature states a range."""

        bits: int
        signed: bool

        def __new__(cls, value: int) -> int:
            value = int(value) & ((1 << cls.bits) - 1)
            return value - (1 << cls.bits) if cls.signed and value >> (cls.bits - 1) else value

    def _width(name: str, bits: int, signed: bool) -> type:
        kind = "signed (two's complement)" if signed else "unsigned"
        return type(name, (_Width,), {"bits": bits, "signed": signed, "__doc__": f"The low {bits} bits, {kind}."})

    u8, u16, u32, u64 = (_width(f"u{n}", n, False) for n in (8, 16, 32, 64))
    s8, s16, s32, s64 = (_width(f"s{n}", n, True) for n in (8, 16, 32, 64))
    flag = _width("flag", 1, False)
    State = object

F = TypeVar("F", bound=Callable[..., Any])

MASK64 = (1 << 64) - 1


class Trap(Exception):
    """The guest's failure: `raise Trap(cause, value)` ends the instruction before it changed anything."""

    def __init__(self, cause: int, value: int = 0) -> None:
        super().__init__(cause, value)
        self.cause = cause & MASK64
        self.value = value & MASK64


# --- Arithmetic -------------------------------------------------------------------------------------------------------


def multiply_high(a: int, b: int) -> int:
    """Bits 127..64 of the exact product of two exact 64-bit words, either of which may be signed."""
    return (a * b) >> 64


def divide(a: int, b: int) -> int:
    """Quotient of two exact words of one signedness, truncated towards zero; by zero it is -1 (all ones)."""
    if b == 0:
        return -1
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def remainder(a: int, b: int) -> int:
    """Remainder of two exact words of one signedness, with the dividend's sign; by zero it is the dividend."""
    if b == 0:
        return a
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def minimum(a: int, b: int) -> int:
    """The smaller of two exact words."""
    return min(a, b)


def maximum(a: int, b: int) -> int:
    """The larger of two exact words."""
    return max(a, b)


def count_leading_zeros(value: int, width: int) -> int:
    """Zero bits above the highest one bit of an unsigned word of `width` bits (32 or 64); `width` for zero."""
    return width - value.bit_length()


def count_trailing_zeros(value: int, width: int) -> int:
    """Zero bits below the lowest one bit of an unsigned word of `width` bits (32 or 64); `width` for zero."""
    return (value & -value).bit_length() - 1 if value else width


def count_ones(value: int) -> int:
    """One bits of an unsigned 64-bit word."""
    return value.bit_count()


def byte_swap(value: int) -> int:
    """The eight bytes of an unsigned 64-bit word in reverse order."""
    return int.from_bytes(value.to_bytes(8, "little"), "big")


# --- Memory -----------------------------------------------------------------------------------------------------------
# Sizes are constants: 1, 2, 4 or 8 bytes. Addresses are the guest's virtual ones and may be misaligned.


def load(s: State, address: int, size: int) -> int:
    """Read `size` bytes of guest memory as an unsigned little-endian word, or trap."""
    return s.environment.load(address & MASK64, size)


def store(s: State, address: int, size: int, value: int) -> None:
    """Write the low `size` bytes of `value` to guest memory, or trap before any byte changed."""
    s.environment.store(address & MASK64, size, value & MASK64)


def touch(s: State, address: int, access: int, size: int) -> None:
    """Trap as an access (see spec.access) of `size` bytes within one page would be denied, and do nothing else."""
    s.environment.touch(address & MASK64, access, size)


def zero_block(s: State, address: int, size: int) -> None:
    """Clear the naturally aligned block of `size` bytes (64) that holds `address`, or trap as a store would."""
    s.environment.zero_block(address & MASK64, size)


def fetched(s: State) -> int:
    """The bytes of the current instruction as an unsigned word (for trap values; slow)."""
    return s.environment.fetched()


def physical_load(s: State, address: int, size: int) -> int:
    """Read an aligned word of RAM at a guest-physical address; -1 where there is no RAM (page walks)."""
    return s.environment.physical_load(address & MASK64, size)


def physical_compare_exchange(s: State, address: int, size: int, expected: int, desired: int) -> int:
    """Atomically replace an aligned word of RAM if it equals `expected`; gives 1 where it did, else 0."""
    return s.environment.physical_compare_exchange(address & MASK64, size, expected & MASK64, desired & MASK64)


# --- Atomics (naturally aligned; the instruction checks that and traps) -----------------------------------------------


def atomic_exchange(s: State, address: int, size: int, value: int) -> int:
    """Put `value` there and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: value)


def atomic_add(s: State, address: int, size: int, value: int) -> int:
    """Add to memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: old + value)


def atomic_and(s: State, address: int, size: int, value: int) -> int:
    """And into memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: old & value)


def atomic_or(s: State, address: int, size: int, value: int) -> int:
    """Or into memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: old | value)


def atomic_xor(s: State, address: int, size: int, value: int) -> int:
    """Exclusive-or into memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: old ^ value)


def _signed(value: int, size: int) -> int:
    bits = 8 * size
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _unsigned(value: int, size: int) -> int:
    return value & ((1 << 8 * size) - 1)


def atomic_min(s: State, address: int, size: int, value: int) -> int:
    """Keep the smaller signed word in memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: min(old, value, key=lambda v: _signed(v, size)))


def atomic_max(s: State, address: int, size: int, value: int) -> int:
    """Keep the larger signed word in memory and give the old word (unsigned), as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: max(old, value, key=lambda v: _signed(v, size)))


def atomic_min_unsigned(s: State, address: int, size: int, value: int) -> int:
    """Keep the smaller unsigned word in memory and give the old word, as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: min(old, value, key=lambda v: _unsigned(v, size)))


def atomic_max_unsigned(s: State, address: int, size: int, value: int) -> int:
    """Keep the larger unsigned word in memory and give the old word, as one atomic access."""
    return s.environment.atomic(address & MASK64, size, lambda old: max(old, value, key=lambda v: _unsigned(v, size)))


def load_reserved(s: State, address: int, size: int) -> int:
    """Read an aligned word (unsigned) and remember its place and value for `store_conditional`."""
    return s.environment.load_reserved(address & MASK64, size)


def store_conditional(s: State, address: int, size: int, value: int) -> int:
    """Store if the reservation still holds; gives 0 where it did, else 1. The reservation ends either way."""
    return s.environment.store_conditional(address & MASK64, size, value & MASK64)


def fence(s: State) -> None:
    """Order every memory access before it with every one after it, for all observers."""
    s.environment.fence()


def fence_acquire_release(s: State) -> None:
    """As `fence`, but that stores before it need not be seen by others before loads after it are done."""
    s.environment.fence()


# --- The machine around the processor ---------------------------------------------------------------------------------


def nanoseconds(s: State) -> int:
    """The machine's clock in nanoseconds since reset (host time, or one per instruction): unsigned, exact."""
    return s.environment.nanoseconds()


def retired(s: State) -> int:
    """Instructions this processor has retired before this one: unsigned, exact."""
    return s.environment.retired()


def relax(s: State) -> None:
    """A program spins until another processor has done something: let that one run, if it can't."""
    s.environment.relax()


def synchronize(s: State) -> None:
    """What follows must be fetched and translated afresh and interrupts looked at: mode, mask or mapping changed."""
    s.environment.synchronize()


def forget_translations(s: State) -> None:
    """Drop every cached guest-virtual translation."""
    s.environment.forget_translations()


def forget_translation(s: State, address: int, pages: int) -> None:
    """Drop cached translations of that many pages from the one that holds guest-virtual `address`, in every context."""
    s.environment.forget_translation(address & MASK64, pages)


def forget_context(s: State, context: int) -> None:
    """Drop every cached guest-virtual translation of one translation context."""
    s.environment.forget_context(context)


def leave(s: State, reason: int) -> None:
    """Stop the engine after this instruction with an exit for the monitor (see spec.exits)."""
    s.environment.leave(reason)
