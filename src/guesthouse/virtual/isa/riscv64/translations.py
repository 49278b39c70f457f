"""Cached translations: dropping them, whatever the size of the leaf that gave them.

Engines remember translations page by page, but SFENCE.VMA for one address of a large leaf is for all of it (volume II,
section 12.2.1). So the range that large leaves have covered is remembered, for either half of the address space.
"""

from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.words import State, forget_translation, forget_translations, u64

NEVER = (1 << 64) - 1


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
