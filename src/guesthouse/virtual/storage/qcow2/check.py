"""Whether an image is sound: every cluster counted as often as it is pointed to, every table in a possible place."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from guesthouse.virtual.storage.qcow2.header import CORRUPT
from guesthouse.virtual.storage.qcow2.mapping import COMPRESSED, COPIED
from guesthouse.virtual.storage.qcow2.refcounts import OFFSET, load
from guesthouse.virtual.storage.qcow2.snapshots import snapshots
from guesthouse.virtual.storage.raw import read_at
from guesthouse.virtual.storage.reports import Report

if TYPE_CHECKING:
    from guesthouse.virtual.storage.qcow2.image import Qcow2Image


class Walk:
    """Counts what an image points to; with `repair`, takes away what points nowhere."""

    def __init__(self, image: "Qcow2Image", repair: bool) -> None:
        self.image, self.repair = image, repair
        self.cluster, self.bits = image.header.cluster, image.header.cluster_bits
        self.behind = -(-image.file.size >> self.bits) + 1
        self.counts: Counter[int] = Counter()
        self.wrong = 0
        self.allocated = 0

    def count(self, first: int, number: int, times: int = 1) -> None:
        """Note that clusters are pointed to; what is behind the file's end is wrong."""
        if first + number > self.behind:
            self.wrong += 1
            number = max(min(number, self.behind - first), 0)
        for cluster in range(first, first + number):
            self.counts[cluster] += times

    def possible(self, offset: int) -> bool:
        """Whether a cluster can be at an offset."""
        return offset % self.cluster == 0 and 0 < offset < self.image.file.size

    def walk(self) -> None:
        """Count everything."""
        image, header = self.image, self.image.header
        self.count(0, 1)
        self.count(header.table_offset >> self.bits, header.table_clusters)
        table = image.counts.table
        for index, offset in enumerate(table):
            if not offset:
                continue
            if self.possible(offset):
                self.count(offset >> self.bits, 1)
                continue
            self.wrong += 1
            if self.repair:
                table[index] = 0
                image.counts.entries.add(index)
        self._active()
        described, length = snapshots(image.file, header)
        if length:
            self.count(header.snapshots_offset >> self.bits, -(-length >> self.bits))
        for snapshot in described:
            self._other(snapshot.l1_offset, snapshot.l1_size)

    def _active(self) -> None:
        image, mapping = self.image, self.image.mapping
        self.count(image.header.l1_offset >> self.bits, -(-image.header.l1_size * 8 >> self.bits))
        for index, entry in enumerate(mapping.l1):
            if not entry:
                continue
            if not self.possible(entry & OFFSET):
                self.wrong += 1
                if self.repair:
                    mapping.l1[index] = 0
                    mapping.linked.add(index)
                continue
            self.count((entry & OFFSET) >> self.bits, 1)
            table = mapping.table(index)
            assert table is not None
            if not any(table.entries):
                continue
            for number in self._entries(table.entries, 1):
                self.wrong += 1
                if self.repair:
                    mapping.change(index, table, number, array("Q", [0]))

    def _entries(self, entries: Sequence[int], times: int) -> Iterator[int]:
        """Count what an L2 table points to; yields the numbers of entries that point nowhere."""
        for number, entry in enumerate(entries):
            if not entry & (OFFSET | COMPRESSED):
                continue
            clusters = self.image.mapping.clusters_of(entry)
            place = entry & OFFSET
            if clusters.stop > self.behind or (not entry & COMPRESSED and place % self.cluster):
                yield number
                continue
            self.allocated += times
            for cluster in clusters:
                self.counts[cluster] += times

    def _other(self, offset: int, size: int) -> None:
        """Count what a snapshot points to, each table once however often it is there."""
        if offset % self.cluster or not self.possible(offset) or size * 8 > 32 << 20:
            self.wrong += 1
            return
        self.count(offset >> self.bits, -(-size * 8 >> self.bits))
        file = self.image.file
        found = Counter(entry & OFFSET for entry in load(read_at(file, offset, size * 8)) if entry)
        for place, times in found.items():
            if not place or not self.possible(place):
                self.wrong += 1
                continue
            self.count(place >> self.bits, 1, times)
            allocated = self.allocated
            self.wrong += sum(1 for _ in self._entries(load(read_at(file, place, self.cluster)), times))
            self.allocated = allocated


def check(image: "Qcow2Image", repair: bool = False) -> Report:
    """Compare all refcounts with what points where, and mend them where asked; nobody may use the image meanwhile."""
    with image.guard.exclusive():
        if not image.readonly:
            image.mapping.settle(image.guard.oldest)
            image.counts.write()
        walk = Walk(image, repair)
        walk.walk()
        leaks, wrong = _compare(image, walk, repair)
        flags = _flags(image, walk, repair)
        corruptions = walk.wrong + wrong + flags
        if repair:
            image.mapping.settle(image.guard.oldest)
            image.counts.write()
            if image.header.incompatible & CORRUPT:
                image.header.incompatible &= ~CORRUPT
                image.file.pwritev([image.header.incompatible.to_bytes(8, "big")], 72)
            image.file.flush()
        end = (max(walk.counts, default=0) + 1) << image.bits
        total = -(-image.header.size >> image.bits)
        mended = (corruptions, leaks) if repair else (0, 0)
        return Report(
            corruptions=corruptions - mended[0], leaks=leaks - mended[1], corruptions_fixed=mended[0],
            leaks_fixed=mended[1], allocated=walk.allocated, total=total, end=end,
        )  # fmt: skip


def _compare(image: "Qcow2Image", walk: Walk, repair: bool) -> tuple[int, int]:
    """(clusters counted too often, clusters counted too seldom)."""
    leaks = wrong = 0
    counts = image.counts
    seen = set(walk.counts)
    for index, offset in enumerate(counts.table):
        if offset:
            start = index * counts.per_block
            block = counts.block(index)
            seen.update(start + at for at, value in enumerate(block) if value)
    if repair:
        counts.hint = walk.behind  # new blocks are made where nothing can be
    for cluster in sorted(seen):
        have, want = counts.get(cluster), walk.counts[cluster]
        if have == want:
            continue
        leaks, wrong = leaks + (have > want), wrong + (have < want)
        if repair:
            hint = counts.hint
            counts.set(cluster, want)
            counts.hint = max(hint, counts.hint)
    return leaks, wrong


def _flags(image: "Qcow2Image", walk: Walk, repair: bool) -> int:
    """How many entries of the disk itself say wrongly that they are the only ones to point to something."""
    mapping, wrong = image.mapping, 0
    for index, entry in enumerate(mapping.l1):
        if not entry:
            continue
        offset = (entry & OFFSET) >> image.bits
        if bool(entry & COPIED) != (walk.counts[offset] == 1):
            wrong += 1
            if repair:
                mapping.l1[index] = entry ^ COPIED
                mapping.linked.add(index)
        table = mapping.table(index)
        if table is None:
            continue
        for number, found in enumerate(table.entries):
            if not found & (OFFSET | COMPRESSED):
                continue
            once = not found & COMPRESSED and walk.counts[(found & OFFSET) >> image.bits] == 1
            if bool(found & COPIED) != once:
                wrong += 1
                if repair:
                    mapping.change(index, table, number, array("Q", [found ^ COPIED]))
    return wrong
