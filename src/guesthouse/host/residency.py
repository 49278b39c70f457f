"""Which pages of a mapping the process has ever touched.

Source: the kernel's documentation of /proc/PID/pagemap (bits 63 "present" and 62 "swapped").
"""

from __future__ import annotations

import os
from collections.abc import Iterator

PAGE = 4096
WORD = 8
PRESENT_OR_SWAPPED = 3 << 62
AT_ONCE = 1 << 16  # pages


class Residency:
    """This process's page map, opened once so that a confined process still has it."""

    def __init__(self) -> None:
        try:
            self._descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1

    def touched(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        """Ranges (offset, length), in bytes and whole pages, outside of which all is zero.

        A host that does not tell gives the whole range.
        """
        first, last = 0, 0
        for index, word in enumerate(self._words(address // PAGE, size // PAGE)):
            if not word & PRESENT_OR_SWAPPED:
                continue
            if index * PAGE != last:
                if last > first:
                    yield first, last - first
                first = index * PAGE
            last = (index + 1) * PAGE
        if last > first:
            yield first, last - first

    def _words(self, page: int, count: int) -> Iterator[int]:
        for start in range(0, count, AT_ONCE):
            number = min(AT_ONCE, count - start)
            data = b""
            if self._descriptor >= 0:
                try:
                    data = os.pread(self._descriptor, number * WORD, (page + start) * WORD)
                except OSError:
                    data = b""
            yield from memoryview(data).cast("Q") if len(data) == number * WORD else [PRESENT_OR_SWAPPED] * number

    def close(self) -> None:
        """Give the page map back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
