"""Address translation: Sv39, Sv48 and Sv57 with Svnapot, Svpbmt, Svade and Svadu.

Source: volume II, sections 12.3 to 12.5 (12.3.2 "Virtual Address Translation Process") and chapters 13 to 16.

A translation context is a number below 8: 0 machine mode, 1 user, 2 supervisor, 3 supervisor with SUM; plus 4 with
MXR. The right to an access (`spec.access`) is bit `1 << access`; managing a cache block takes that to load or to store.
"""

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import hook
from guesthouse.virtual.isa.riscv64.pmp import PARTIAL, pmp_rights
from guesthouse.virtual.isa.riscv64.status import Environment, Mode, Status
from guesthouse.virtual.isa.riscv64.translations import note_large
from guesthouse.virtual.spec.access import Access
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import (
    State,
    Trap,
    flag,
    physical_compare_exchange,
    physical_load,
    s64,
    u64,
)

PAGE = 4096
MACHINE, USER, SUPERVISOR, SUPERVISOR_SUM, MXR = 0, 1, 2, 3, 4  # contexts, of an address space
LOAD, STORE, FETCH = 1, 2, 4  # rights
# A page-table entry (12.4.1).
V, R, W, X, U, A, D = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6, 1 << 7
RESERVED = 0x7F << 54
PBMT = 3 << 61
N = 1 << 63
PHYSICAL_BITS = 56
ATTEMPTS = 16  # of setting A and D in an entry that others keep changing
NEVER = (1 << 64) - 1


@hook
def fetch_context(s: State) -> u64:
    """The translation context of instruction fetch."""
    if s.mode == Mode.MACHINE:
        return MACHINE
    return s.space << 3 | (SUPERVISOR if s.mode == Mode.SUPERVISOR else USER)


@hook
def data_context(s: State) -> u64:
    """The translation context of loads and stores: MPRV lends them the mode in MPP (3.1.6.3)."""
    mode = s.mode
    if s.mstatus & Status.MPRV != 0:
        mode = s.mstatus >> 11 & 3
    if mode == Mode.MACHINE:
        return MACHINE
    context = USER
    if mode == Mode.SUPERVISOR:
        context = SUPERVISOR | (s.mstatus >> 18 & 1)
    return s.space << 3 | context | (s.mstatus >> 19 & 1) << 2


@hook
def access_fault(s: State, address: u64, access: u64) -> None:
    """Raise the access fault of an access."""
    match access:
        case Access.LOAD:
            raise Trap(Cause.LOAD_ACCESS_FAULT, address)
        case Access.FETCH:
            raise Trap(Cause.INSTRUCTION_ACCESS_FAULT, address)
        case _:
            raise Trap(Cause.STORE_ACCESS_FAULT, address)


def page_fault(address: u64, access: u64) -> None:
    """Raise the page fault of an access."""
    match access:
        case Access.LOAD:
            raise Trap(Cause.LOAD_PAGE_FAULT, address)
        case Access.FETCH:
            raise Trap(Cause.INSTRUCTION_PAGE_FAULT, address)
        case _:
            raise Trap(Cause.STORE_PAGE_FAULT, address)


def suffices(rights: u64, access: u64) -> flag:
    """Whether some rights allow an access; a block may be managed by whom may load or store there (volume I, 20.4)."""
    if access == Access.MANAGE:
        return rights & (LOAD | STORE) != 0
    return rights >> (access & 63) & 1


@hook
def translate(s: State, address: u64, size: u64, access: u64, context: u64) -> u64:
    """The physical page of a virtual address with the rights to it that may be remembered, or a trap.

    `size` bytes from `address` lie in one page. Rights: 1 load, 2 store, 4 fetch; with 8 they hold for these bytes
    only. A right to store implies that the page is marked dirty.
    """
    if context == MACHINE or s.satp >> 60 == 0:
        if address >> PHYSICAL_BITS != 0:
            access_fault(s, address, access)
        return protected(s, address, LOAD | STORE | FETCH, address, size, access, context)
    for _attempt in range(ATTEMPTS):
        page = u64(walk(s, address, size, access, context))
        if page != 0:
            return page
    page_fault(address, access)
    return 0


def protected(s: State, physical: u64, rights: u64, address: u64, size: u64, access: u64, context: u64) -> u64:
    """The page of a physical address with those of the rights that PMP leaves; an access fault if it is not enough.

    Only RAM has blocks to manage: that is the attribute of physical memory which they need.
    """
    permitted = pmp_rights(s, physical, size, context == MACHINE)
    if not suffices(permitted, access) or (access == Access.MANAGE and vacant(s, physical)):
        access_fault(s, address, access)
    return u64(physical & ~(PAGE - 1)) | rights & permitted | permitted & PARTIAL


@function
def walk(s: State, address: u64, size: u64, access: u64, context: u64) -> u64:
    """Walk the page tables (12.3.2); zero where the leaf changed while A and D were being set."""
    levels = u64((s.satp >> 60) - 5)
    unused = 64 - (12 + 9 * levels) & 63
    if s64(address << unused) >> unused != s64(address):
        page_fault(address, access)
    table = (s.satp & (1 << 44) - 1) << 12
    for step in range(5):
        level = 4 - step
        if level < levels:
            place = u64(table) | (address >> (12 + 9 * level & 63) & 511) << 3
            entry = read_entry(s, place, address, access)
            if entry & (R | W | X) != 0:
                return leaf(s, place, entry, level, address, size, access, context)
            if entry & (V | U | A | D | N | PBMT | RESERVED) != V:
                page_fault(address, access)
            table = (entry >> 10 & (1 << 44) - 1) << 12
    page_fault(address, access)
    return 0


def read_entry(s: State, place: u64, address: u64, access: u64) -> u64:
    """The page-table entry at a physical address; tables are read as supervisor mode would (3.7.1)."""
    if pmp_rights(s, place, 8, 0) & LOAD == 0:
        access_fault(s, address, access)
    entry = u64(physical_load(s, place, 8))
    if entry == NEVER and vacant(s, place):
        access_fault(s, address, access)
    return entry


def vacant(s: State, physical: u64) -> flag:
    """Whether no RAM is there: only then are four bytes all ones as a word of eight."""
    return s64(physical_load(s, u64(physical & ~3), 4)) == -1


@function
def leaf(s: State, place: u64, entry: u64, level: u64, address: u64, size: u64, access: u64, context: u64) -> u64:
    """Finish a walk at a leaf: check it, mark it accessed and dirty, and give the page with its rights."""
    within = u64((1 << (12 + 9 * level & 63)) - 1)
    if not leaf_legal(s, entry, level, within):
        page_fault(address, access)
    rights = leaf_rights(entry, context)
    if not suffices(rights, access):
        page_fault(address, access)
    if entry & N != 0:
        within = 16 * PAGE - 1
    frame = (entry >> 10 & (1 << 44) - 1) << 12
    physical = u64(frame & ~within) | address & within
    marks = A | D if access == Access.STORE else A
    if entry & marks != marks and s.menvcfg & Environment.ADUE == 0:
        page_fault(address, access)
    marked = entry | marks
    if marked & D == 0:
        rights = u64(rights & ~STORE)
    page = protected(s, physical, rights, address, size, access, context)
    if entry != marked:
        if pmp_rights(s, place, 8, 0) & STORE == 0:
            access_fault(s, address, access)
        if not physical_compare_exchange(s, place, 8, entry, marked):
            page = 0
    if page != 0 and within >= PAGE:
        note_large(s, u64(address & ~within), u64(address | within))
    return page


def leaf_legal(s: State, entry: u64, level: u64, within: u64) -> flag:
    """Whether a leaf is neither invalid, reserved, nor misaligned."""
    if entry & V == 0 or entry & (R | W) == W or entry & RESERVED != 0:
        return 0
    if entry & PBMT != 0 and (s.menvcfg & Environment.PBMTE == 0 or entry & PBMT == PBMT):
        return 0
    if entry & N != 0 and (level != 0 or entry >> 10 & 15 != 8):
        return 0
    return (entry >> 10 & (1 << 44) - 1) << 12 & within == 0


def leaf_rights(entry: u64, context: u64) -> u64:
    """What a context may do with a leaf, leaving A and D aside (12.1.1.2, 12.4.1)."""
    rights = entry >> 1 & (LOAD | STORE | FETCH)
    if context & MXR != 0 and rights & FETCH != 0:
        rights = rights | LOAD
    mode = context & 3
    if entry & U == 0:
        return 0 if mode == USER else rights
    if mode == SUPERVISOR:
        return 0
    return rights & (LOAD | STORE) if mode == SUPERVISOR_SUM else rights
