"""What a guest program may say beside Python's own arithmetic: memory, system calls and the addresses of its data.

A program is Python functions whose first parameter is the `System`; all other values are integers: addresses, counts
and flags of 64 bits, signed. Run by CPython, the system is an object of the test's; compiled, it is the guest's kernel.
"""

from __future__ import annotations

from typing import Protocol


class Buffer:
    """Zeroed memory of the program, `size` bytes, which lives as long as it does; aligned to 16 bytes."""

    def __init__(self, size: int) -> None:
        self.size = size


class System(Protocol):
    """Memory by address, and the kernel."""

    def at(self, data: Buffer | bytes) -> int:
        """The address of a buffer, or of constant bytes, behind which a zero byte stands."""

    def load8(self, address: int) -> int:
        """The byte at an address, 0 to 255."""

    def load16(self, address: int) -> int:
        """The unsigned 16 bits at an address."""

    def load32(self, address: int) -> int:
        """The unsigned 32 bits at an address."""

    def load64(self, address: int) -> int:
        """The signed 64 bits at an address."""

    def store8(self, address: int, value: int) -> None:
        """Write the low 8 bits of a value."""

    def store16(self, address: int, value: int) -> None:
        """Write the low 16 bits of a value."""

    def store32(self, address: int, value: int) -> None:
        """Write the low 32 bits of a value."""

    def store64(self, address: int, value: int) -> None:
        """Write a value."""

    def call(self, number: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> int:
        """Make a system call; a negative result is an error number."""
