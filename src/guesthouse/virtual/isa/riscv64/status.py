"""Fields of mstatus and sstatus, of the interrupt registers and of the environment configuration.

Source: volume II, sections 3.1.6 "Machine Status Registers", 3.1.9 "Machine Interrupt Registers" and 3.1.18
"Machine Environment Configuration Register".
"""

from enum import IntEnum


class Mode(IntEnum):
    """Privilege modes: volume II, table 1."""

    USER = 0
    SUPERVISOR = 1
    MACHINE = 3


class Status(IntEnum):
    """Bits and fields of mstatus."""

    SIE = 1 << 1
    MIE = 1 << 3
    SPIE = 1 << 5
    MPIE = 1 << 7
    SPP = 1 << 8
    MPP = 3 << 11
    FS = 3 << 13
    MPRV = 1 << 17
    SUM = 1 << 18
    MXR = 1 << 19
    TVM = 1 << 20
    TW = 1 << 21
    TSR = 1 << 22
    UXL = 2 << 32  # 64 bits, read-only
    SXL = 2 << 34
    SD = 1 << 63

    # What a write to sstatus reaches, and to mstatus (MPP apart).
    SUPERVISOR = SIE | SPIE | SPP | FS | SUM | MXR
    WRITABLE = SUPERVISOR | MIE | MPIE | MPRV | TVM | TW | TSR
    # What chooses the translation context of loads and stores.
    CONTEXT = MPP | MPRV | SUM | MXR


class Interrupt(IntEnum):
    """Bits of mip and mie."""

    SSI = 1 << 1
    MSI = 1 << 3
    STI = 1 << 5
    MTI = 1 << 7
    SEI = 1 << 9
    MEI = 1 << 11

    SUPERVISOR = SSI | STI | SEI
    ALL = SUPERVISOR | MSI | MTI | MEI


class Environment(IntEnum):
    """Bits and fields of menvcfg and senvcfg."""

    FIOM = 1 << 0
    CBIE = 3 << 4
    CBIE_FLUSH = 1 << 4
    CBIE_RESERVED = 2 << 4
    CBCFE = 1 << 6
    CBZE = 1 << 7
    ADUE = 1 << 61
    PBMTE = 1 << 62
    STCE = 1 << 63

    USER = FIOM | CBIE | CBCFE | CBZE
    ALL = USER | ADUE | PBMTE | STCE


MISA = 2 << 62 | sum(1 << ord(letter) - ord("A") for letter in "ABCDFIMSU")

# Exceptions that can be delegated: all but the misaligned fetch, which two-byte instructions make impossible, the
# ecall of machine mode, double traps and the reserved codes.
DELEGABLE = 0xC_B3FE
