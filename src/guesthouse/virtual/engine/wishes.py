"""What a run would have had translated, had it lasted longer: made when the guest has ended, for the next time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from guesthouse.virtual.engine.native_code import NativeCode

MOST_WISHES = 64
"""Regions asked for at the end of a run: so many that the compile service makes them within a few seconds."""

MOST_OF_PAGE = 4
"""Of these in one page: the first may hold the places of the others too."""


class Wishes:
    """Places that were reported hot, how often, and not often enough to translate them while the guest ran."""

    def __init__(self) -> None:
        self._heat: dict[str, int] = {}
        self._places: dict[str, tuple[int, int, bytes]] = {}

    def report(self, name: str, code_page: int, entry: int, page: bytes) -> int:
        """A place is hot: its region's name, its code page (host address), its offset, its bytes; tells how often."""
        self._heat[name] = self._heat.get(name, 0) + 1
        self._places[name] = code_page, entry, page
        return self._heat[name]

    def granted(self, name: str) -> None:
        """A place's region is being made."""
        self._places.pop(name, None)

    def hand_in(
        self, source: NativeCode, jumps_to: Callable[[int, bytes], list[int]], seen: Callable[[int], bytes]
    ) -> None:
        """Ask for the hottest, a few in a page; the guest has ended.

        `jumps_to` and `seen` give what a code page counted, and the bytes that it is for now.
        """
        asked: Counter[int] = Counter()
        for name in sorted(self._places, key=lambda name: -self._heat[name]):
            code_page, entry, page = self._places[name]
            if asked[code_page] == MOST_OF_PAGE or seen(code_page) != page:
                continue
            if not source.request_region(page, entry, jumps_to(code_page, page), self._heat[name], later=True):
                return
            asked[code_page] += 1
            if asked.total() == MOST_WISHES:
                return
