"""Cached translations: dropping them, whatever the size of the leaf that gave them.

Engines remember translations page by page, but SFENCE.VMA for one address of a large leaf is for all of it (volume II,
section 12.2.1). So where there have been large leaves is remembered, in bits that several addresses share.

Translations of several address spaces are kept side by side, each in translation contexts of its own. A space is known
by the whole of satp: a guest that gives an identifier to another root table without a fence gets another space.
"""

from guesthouse.virtual.isa.riscv64.description import LARGE_WORDS, SPACES, hook
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, flag, forget_context, forget_translation, forget_translations, u64

EVERYWHERE = (1 << 64) - 1
FEW_PAGES = 16  # that are forgotten one by one
LARGE_SHIFT, HUGE_SHIFT = 21, 30
LARGE, HUGE = 1 << LARGE_SHIFT, 1 << HUGE_SHIFT  # bytes of the leaves of the two levels above pages


def large_place(address: u64) -> u64:
    """Number of the bits for the 2 MiB round an address; the halves of the address space seldom share one."""
    return u64(address >> LARGE_SHIFT ^ address >> 52)


def huge_place(address: u64) -> u64:
    """Number of the bit for the GiB round an address."""
    return u64((address >> HUGE_SHIFT ^ address >> 58) & 63)


def note_large(s: State, first: u64, last: u64) -> None:
    """Remember that the addresses from `first` to `last` are translated by one leaf."""
    size = u64(last - first)
    if size < LARGE:
        place = large_place(first)
        s.large_leaves[place >> 6 & LARGE_WORDS - 1] |= 1 << (place & 63)
    elif size < HUGE:
        s.huge_leaves |= 1 << huge_place(first)
    else:
        s.huge_leaves = EVERYWHERE


def large_leaf(s: State, address: u64) -> flag:
    """Whether a leaf of up to 2 MiB, larger than a page, may have translated an address."""
    place = large_place(address)
    return s.large_leaves[place >> 6 & LARGE_WORDS - 1] >> (place & 63) & 1 != 0


@function
def forget_pages(s: State) -> None:
    """Drop all translations, because page tables, their root or the protection changed."""
    for i in range(LARGE_WORDS):
        s.large_leaves[i] = 0
    s.huge_leaves = 0
    forget_translations(s)


@function
def forget_page(s: State, address: u64) -> None:
    """Drop the translations of an address, and of all that the same leaf may have translated."""
    if s.huge_leaves >> huge_place(address) & 1 != 0:
        forget_pages(s)
    elif large_leaf(s, address):
        forget_translation(s, u64(address & ~(LARGE - 1)), LARGE >> 12)
    else:
        forget_translation(s, address, 1)


@function
def enter_space(s: State, satp: u64) -> None:
    """Change satp; the translations of the space that is left stay for when it is entered again."""
    s.space_labels[s.space] = u64(s.satp + 1)
    s.satp = satp
    found = SPACES
    for i in range(SPACES):
        if s.space_labels[i] == u64(satp + 1):
            found = i
    if u64(found) < SPACES:
        s.space = u64(found)
    else:
        s.space = s.space_next
        s.space_next = s.space + 1
        s.space_labels[s.space] = 0
        forget_space(s, s.space)


def forget_space(s: State, space: u64) -> None:
    """Drop the translations of one space."""
    for i in range(8):
        forget_context(s, u64(space * 8 + i))


@function
def forget_identified(s: State, identifier: u64) -> None:
    """Drop the translations of every space that has this address-space identifier (12.1.11)."""
    s.space_labels[s.space] = u64(s.satp + 1)
    for i in range(SPACES):
        label = s.space_labels[i]
        if label != 0 and u64(label - 1) >> 44 & 0xFFFF == identifier & 0xFFFF:
            forget_space(s, i)


@hook
def fence_range(s: State, address: u64, pages: u64, space: u64) -> None:
    """Drop translations as the SFENCE.VMA of another hart asks."""
    if pages <= FEW_PAGES:
        for i in range(pages):
            forget_page(s, u64(address + 4096 * i))
    elif space != 0:
        forget_identified(s, u64(space - 1))
    else:
        forget_pages(s)
