"""The built-in guest `hello`, assembled by our own assembler when it is wanted (milliseconds, no file, no download)."""

from __future__ import annotations

from guesthouse.guest.hello import SOURCE
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler


def hello_kernel() -> bytes:
    """The program as a raw kernel image: entered at its first byte, anywhere in RAM at a multiple of 4096 bytes."""
    return Assembler(ISA, RISCV64_SYNTAX).assemble(SOURCE)
