"""What an instruction set gives an engine, callable from the runtime's own functions.

Lowering binds each to the set's function of that role (see `spec.description.Isa`); the constants likewise.
"""

from __future__ import annotations

from typing import Any

from guesthouse.virtual.spec.words import State, u64


class Parameter:
    """A number of the instruction set's that lowering puts in place of the name."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __index__(self) -> int:
        raise NotImplementedError("known at lowering only")

    __add__ = __sub__ = __rsub__ = __floordiv__ = __mul__ = __neg__ = lambda self, *other: self.__index__()


UNIT_SHIFT: Any = Parameter("logarithm of the bytes at which instructions align")
LONGEST: Any = Parameter("bytes of the longest instruction")


def translate(s: State, address: u64, size: u64, access: u64, context: u64) -> u64:
    """Physical page of a guest-virtual address with cacheable rights in its low bits, or a trap.

    `access` is one of `spec.access`; `size` bytes lie in one page.
    Rights: 1 load, 2 store, 4 fetch; with 8 they hold for these bytes only.
    """
    raise NotImplementedError


def data_context(s: State) -> u64:
    """Number of the translation context of loads and stores."""
    raise NotImplementedError


def fetch_context(s: State) -> u64:
    """Number of the translation context of instruction fetch."""
    raise NotImplementedError


def fence_range(s: State, address: u64, pages: u64, space: u64) -> None:
    """Forget translations of so many pages, as another processor asks; `space`: an identifier and one, 0 for all."""
    raise NotImplementedError


def take_trap(s: State, cause: u64, value: u64) -> None:
    """Enter the guest's handler."""
    raise NotImplementedError


def poll(s: State) -> None:
    """Raise the interrupt to take, if any."""
    raise NotImplementedError


def illegal(s: State) -> None:
    """Raise the trap of an undefined encoding."""
    raise NotImplementedError


def access_fault(s: State, address: u64, access: u64) -> None:
    """Raise the trap of an access that no memory or device answers."""
    raise NotImplementedError


def length(first: u64) -> u64:
    """Bytes of the instruction whose first unit this is."""
    raise NotImplementedError
