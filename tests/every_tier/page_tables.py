"""Page tables as guests make them, for tests: three address-space widths in one tree."""

from __future__ import annotations

from collections.abc import Callable

V, R, W, X, U, G, A, D = (1 << n for n in range(8))
PAGE = 4096
MODES = {39: 8, 48: 9, 57: 10}  # width of virtual addresses: MODE of satp


class PageTables:
    """A tree in memory that `store(address, word)` writes, made of pages from `area` on.

    The root of Sv39 is the table below the first and the last entry of Sv48's, and that below Sv57's, so that an
    address that is canonical in Sv39 means the same in all of them.
    """

    def __init__(self, store: Callable[[int, int], None], area: int) -> None:
        self._store = store
        self.next_page = area
        self._tables: dict[tuple[int, int], int] = {}
        self.roots = {width: self._page() for width in MODES}
        for outer, inner in ((48, 39), (57, 48)):
            for index in (0, 511):
                store(self.roots[outer] + 8 * index, pointer(self.roots[inner]))

    def _page(self) -> int:
        page, self.next_page = self.next_page, self.next_page + PAGE
        for offset in range(0, PAGE, 8):
            self._store(page + offset, 0)
        return page

    def satp(self, width: int) -> int:
        """The value of satp that switches these tables on."""
        return MODES[width] << 60 | self.roots[width] >> 12

    def place(self, address: int, level: int = 0) -> int:
        """Physical address of the entry of a virtual address at a level (0: a page of 4 KiB)."""
        table = self.roots[39]
        for step in (2, 1):
            index = address >> 12 + 9 * step & 511
            if step == level:
                return table + 8 * index
            if (table, index) not in self._tables:
                self._tables[table, index] = self._page()
                self._store(table + 8 * index, pointer(self._tables[table, index]))
            table = self._tables[table, index]
        return table + 8 * (address >> 12 & 511)

    def map(self, address: int, physical: int, flags: int, level: int = 0) -> None:
        """Write a leaf."""
        self._store(self.place(address, level), leaf(physical, flags))


def leaf(physical: int, flags: int) -> int:
    """A page-table entry."""
    return physical >> 12 << 10 | flags


def pointer(table: int) -> int:
    """An entry that points to the next table."""
    return leaf(table, V)
