"""Words for the engine's own runtime: host memory, seen as addresses. Instructions never use them."""

from __future__ import annotations

from enum import IntEnum

from guesthouse.virtual.spec.words import F, State, u64


class Handler(IntEnum):
    """The handlers that are not an instruction's."""

    DECODE = 0  # decode the instruction here, then run it
    LOOKUP = 1  # control ran off a page: find the code at pc
    ILLEGAL = 2  # no instruction has these bits
    BREAK = 3  # there is a breakpoint at this place on some page


def host_word(semantics: F) -> F:
    """Mark a function as a word that lowering writes itself."""
    semantics.host_word = True  # type: ignore[attr-defined]
    return semantics


@host_word
def host_load(address: u64, size: u64) -> u64:
    """Read `size` bytes of host memory (a constant: 1, 2, 4 or 8)."""
    raise NotImplementedError


@host_word
def host_store(address: u64, size: u64, value: u64) -> None:
    """Write `size` bytes of host memory."""
    raise NotImplementedError


@host_word
def host_compare_exchange(address: u64, size: u64, expected: u64, desired: u64) -> u64:
    """Atomic compare and exchange of a host word; 1 where it exchanged."""
    raise NotImplementedError


@host_word
def host_nanoseconds(s: State) -> u64:
    """The host's monotonic clock in nanoseconds."""
    raise NotImplementedError


@host_word
def host_sleep(s: State, microseconds: u64) -> None:
    """Have this thread of the host sleep, for less than a second."""
    raise NotImplementedError


@host_word
def host_decode(entry: u64, word: u64) -> u64:
    """Fill a decoded-instruction slot from an instruction's bits; gives its length, 0 where none matches."""
    raise NotImplementedError


@host_word
def host_handler(which: u64) -> u64:
    """Address of one of the interpreter's own handlers (a `Handler`)."""
    raise NotImplementedError
