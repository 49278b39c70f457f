"""Physical memory protection: volume II, section 3.7, "Physical Memory Protection". 16 entries, granularity 4 bytes.

Rights are the bits of pmpcfg, which are those of `translate`: 1 load, 2 store, 4 fetch.
"""

from guesthouse.virtual.isa.riscv64.csr_names import PMPADDR0
from guesthouse.virtual.isa.riscv64.translations import forget_pages
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, flag, synchronize, u64

ENTRIES = 16
PAGE = 4096
PHYSICAL = (1 << 56) - 1
ALL = 7
PARTIAL = 8  # the page is not of one piece: ask again for every access
LOCKED = 1 << 7
TOR, NA4, NAPOT = 1, 2, 3  # of the field A, bits 4:3


def entry_bytes(kind: u64, top: u64) -> u64:
    """Bytes of a NA4 or NAPOT entry: the ones at the end of its address tell."""
    return 4 if kind == NA4 else u64((top ^ top + 1) + 1) << 2


@function
def pmp_rights(s: State, address: u64, size: u64, machine: flag) -> u64:
    """What machine mode, or a mode below it, may do with these bytes, which lie in one page.

    The first entry that touches one of them decides, and must hold them all. With PARTIAL where the rest of the page
    may be another matter.
    """
    first = address & PHYSICAL
    end = first + (size & 0xFFFF)
    page = first & ~(PAGE - 1)
    rights = ALL if machine else 0
    partial = 0
    decided = 0
    previous = 0
    for index in range(ENTRIES):
        config = s.pmpcfg[index]
        top = s.pmpaddr[index]
        kind = config >> 3 & 3
        if kind != 0:
            low = u64(previous) << 2
            high = top << 2
            if kind != TOR:
                extent = entry_bytes(kind, top)
                low = u64(high & ~(extent - 1))
                high = u64(low + extent)
            low = u64(low)
            if low < high and low < page + PAGE and page < high:
                if u64(decided) == 0 and low < end and first < high:
                    decided = 1
                    if first < low or high < end:
                        rights = 0
                    elif machine and config & LOCKED == 0:
                        rights = ALL
                    else:
                        rights = config & ALL
                if low <= page and page + PAGE <= high:
                    break
                partial = PARTIAL
        previous = top
    return u64(rights) | u64(partial)


@function
def pmp_read(s: State, number: u64) -> u64:
    """The value of pmpcfg0..14 or pmpaddr0..63; entries from 16 on read zero."""
    value = 0
    if number >= PMPADDR0:
        if number < PMPADDR0 + ENTRIES:
            value = s.pmpaddr[number & 15]
    elif number & 15 <= 2:
        for index in range(8):
            value = u64(value) | s.pmpcfg[(number & 2) * 4 + index] << (8 * index & 63)
    return u64(value)


@function
def pmp_write(s: State, number: u64, value: u64) -> None:
    """Write pmpcfg0..14 or pmpaddr0..63; locked entries keep what they hold."""
    if number >= PMPADDR0:
        if number < PMPADDR0 + ENTRIES:
            address_write(s, number & 15, value)
    elif number & 15 <= 2:
        for index in range(8):
            config_write(s, (number & 2) * 4 + index, value >> (8 * index & 63) & 0xFF)
    forget_pages(s)
    synchronize(s)


def config_write(s: State, index: u64, value: u64) -> None:
    """Write one entry's byte: bits 6:5 are zero, and the reserved W without R becomes neither."""
    if s.pmpcfg[index & 15] & LOCKED == 0:
        legal = value & 0x9F
        s.pmpcfg[index & 15] = legal if legal & 1 != 0 else legal & 0x9D


def address_write(s: State, index: u64, value: u64) -> None:
    """Write one entry's address, unless it is locked or a locked entry above takes it as its lower end."""
    if s.pmpcfg[index & 15] & LOCKED != 0:
        return
    if index < ENTRIES - 1 and s.pmpcfg[index + 1 & 15] & (LOCKED | 3 << 3) == LOCKED | TOR << 3:
        return
    s.pmpaddr[index & 15] = value & (1 << 54) - 1
