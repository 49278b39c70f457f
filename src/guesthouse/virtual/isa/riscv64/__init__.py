"""RISC-V RV64GC, complete: importing this records every chapter."""

from guesthouse.virtual.isa.riscv64 import (
    atomic,
    cache,
    compressed,
    conditional,
    double,
    environment,
    fencei,
    fences,
    integer,
    interrupts,
    muldiv,
    paging,
    pausehint,
    single,
    trap,
    zba,
    zbb,
    zbc,
    zbs,
    zicsr,
)
from guesthouse.virtual.isa.riscv64.description import RISCV64

CHAPTERS = (
    *(integer, fencei, pausehint, muldiv, atomic, zicsr, conditional),
    *(cache, single, double, compressed, zba, zbb, zbc, zbs),
    *(environment, trap, interrupts, paging, fences),
)
"""The chapters in the manual's order."""

ISA = RISCV64
