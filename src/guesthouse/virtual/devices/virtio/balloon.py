"""The virtio memory balloon (section 5.5): the guest gives pages up, or reports free ones, and the host takes them.

What a page held is gone: it reads as zeros when the guest takes it back. The guest need not tell before it does, so
pages are given to the host at once and come back by being touched.

Not modelled: free page hinting, which is for migration; page poisoning (a guest that poisons does not report).
"""

import struct
from collections.abc import Iterable, Iterator
from typing import ClassVar

from guesthouse.virtual.devices.state import Register, State
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import Chain

INFLATE, DEFLATE, STATISTICS, REPORTING = 0, 1, 2, 3
STATS_VQ, DEFLATE_ON_OOM, PAGE_REPORTING = 1, 2, 5
PAGE = 4096
QUEUE_SIZE = 128
MOST_PAGES = 1 << 16
"""Page numbers taken from one request; Linux gives 256."""
MOST_STATISTICS = 64

STATISTIC = struct.Struct("<HQ")
NAMES = (
    "swap in", "swap out", "major faults", "minor faults", "free", "total", "available", "disk caches",
    "huge page allocations", "huge page failures", "out of memory kills", "allocation stalls", "async scans",
    "direct scans", "async reclaims", "direct reclaims",
)  # fmt: skip
"""Of the statistics, by tag (section 5.5.6.3.1); memory in bytes."""


class VirtioBalloon(Function):
    """A balloon; `resize` sets how many pages the guest is to give up."""

    num_pages: int
    actual: int
    statistics: dict[str, int]

    device_id: ClassVar[int] = 5
    queue_sizes = (QUEUE_SIZE,) * 4
    features = 1 << STATS_VQ | 1 << DEFLATE_ON_OOM | 1 << PAGE_REPORTING
    registers = (
        Register("num_pages", 0, doc="pages of 4 KiB the guest is to give up"),
        Register("actual", 4, writable=0xFFFF_FFFF, doc="pages it has given up"),
    )
    state = (State("statistics", {}, "what the guest last told of its memory, by name"),)

    def __init__(self) -> None:
        self._asked: Chain | None = None
        """The guest's buffer for statistics: giving it back asks for new ones."""
        self.start()

    def resize(self, size: int) -> None:
        """Ask the guest to have `size` bytes in the balloon."""
        self.num_pages = size // PAGE
        self.transport.config_changed()

    def told(self) -> dict[str, int]:
        """Bytes asked for and given up, and what the guest last told of its memory; asks for that anew."""
        self.ask()
        return {"asked": self.num_pages * PAGE, "given": self.actual * PAGE, **self.statistics}

    def ask(self) -> None:
        """Ask for fresh statistics; they come when the guest gets to it."""
        if self._asked is not None:
            chain, self._asked = self._asked, None
            self.transport.give(STATISTICS, chain, 0)
            self.transport.settle(STATISTICS)

    def resume(self) -> None:
        """Forget the buffer of a driver that is no longer there; its successor brings one."""
        self._asked = None

    def notify(self, queue: int) -> None:
        """Take what the guest gives."""
        if queue == INFLATE:
            self.transport.serve(queue, self._inflate)
        elif queue == DEFLATE:
            self.transport.serve(queue, lambda chain: 0)
        elif queue == REPORTING:
            self.transport.serve(queue, self._report)
        else:
            self.transport.accept(queue, self._note)

    def _inflate(self, chain: Chain) -> int:
        memory = self.transport.memory
        data = chain.read(memory, 0, min(chain.to_read, 4 * MOST_PAGES))
        numbers = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
        for first, count in _runs(sorted(numbers)):
            memory.discard(first * PAGE, count * PAGE)
        return 0

    def _report(self, chain: Chain) -> int:
        """Free pages, as room that is not to be written to."""
        for address, length in chain.writable:
            first = -(-address // PAGE) * PAGE
            behind = (address + length) // PAGE * PAGE
            if behind > first:
                self.transport.memory.discard(first, behind - first)
        return 0

    def _note(self, chain: Chain) -> None:
        data = chain.read(self.transport.memory, 0, min(chain.to_read, MOST_STATISTICS * STATISTIC.size))
        told = STATISTIC.iter_unpack(data[: len(data) // STATISTIC.size * STATISTIC.size])
        self.statistics = {NAMES[tag]: value for tag, value in told if tag < len(NAMES)}
        if self._asked is not None:
            self.transport.give(STATISTICS, self._asked, 0)
        self._asked = chain


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of successive numbers."""
    first = count = 0
    for number in numbers:
        if number != first + count:
            if count:
                yield first, count
            first, count = number, 0
        count = number - first + 1
    if count:
        yield first, count
