"""Cached translations: dropping them, whatever the size of the leaf that gave them.

Engines remember translations page by page, but SFENCE.VMA for one address of a large leaf is for all of it (volume II,
section 12.2.1). So the range that large leaves have covered is remembered, for either half of the address space.

Translations of several address spaces are kept side by side, each in translation contexts of its own. A space is known
by the whole of satp: a guest that gives an identifier to another root table without a fence gets another space.
"""

from guesthouse.virtual.isa.riscv64.description import SPACES, hook
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, forget_context, forget_translation, forget_translations, u64

NEVER = (1 << 64) - 1
FEW_PAGES = 16  # that are forgotten one by one


def note_large(s: State, first: u64, last: u64) -> None:
    """Remember that the addresses from `first` to `last` are translated by one leaf."""
    if first >> 63 == 0:
        if first < s.large_user_low:
            s.large_user_low = first
        if last > s.large_user_high:
            s.large_user_high = last
    else:
        if first < s.large_kernel_low:
            s.large_kernel_low = first
        if last > s.large_kernel_high:
            s.large_kernel_high = last


@function
def forget_pages(s: State) -> None:
    """Drop all translations, because page tables, their root or the protection changed."""
    s.large_user_low = NEVER
    s.large_user_high = 0
    s.large_kernel_low = NEVER
    s.large_kernel_high = 0
    forget_translations(s)


@function
def forget_page(s: State, address: u64) -> None:
    """Drop the translations of an address, and all where a leaf larger than a page may have translated it."""
    if s.large_user_low <= address <= s.large_user_high or s.large_kernel_low <= address <= s.large_kernel_high:
        forget_pages(s)
    else:
        forget_translation(s, address)


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
