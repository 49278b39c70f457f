"""Where the clusters of a disk are: the L1 table, the L2 tables, and the order in which changes reach the file.

Who calls holds the image's lock. The order that keeps an image sound wherever writing ends: data, refcounts and new
tables; a flush; entries that point to them; a flush; only then are clusters that nothing points to any more free.
"""

from array import array

from guesthouse.virtual.storage.qcow2.header import DIRTY, LAZY_REFCOUNTS, Header
from guesthouse.virtual.storage.qcow2.refcounts import OFFSET, Refcounts, broken, dump, load
from guesthouse.virtual.storage.raw import File, read_at

COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1
KEPT = 16 << 20
"""Bytes of unchanged L2 tables that stay in memory."""
MOST_DIRTY = 4 << 20
"""Bytes of changed L2 tables that wait for a flush."""


class Table:
    """An L2 table: its entries, its place in the file, the range of entries that changed, and whether it is new."""

    __slots__ = ("entries", "first", "last", "new", "offset")

    def __init__(self, entries: "array[int]", offset: int, new: bool) -> None:
        self.entries, self.offset, self.new = entries, offset, new
        self.first, self.last = len(entries), -1


class Mapping:
    """The tables of an image's disk."""

    def __init__(self, file: File, header: Header, counts: Refcounts) -> None:
        self.file, self.header, self.counts = file, header, counts
        self.l1 = load(read_at(file, header.l1_offset, header.l1_size * 8))
        self.tables: dict[int, Table] = {}
        self.dirty: set[int] = set()
        self.linked: set[int] = set()
        """Entries of the L1 table that the file does not have yet."""
        self.dropped: list[tuple[int, int]] = []
        """(epoch, cluster) of what the file still points to and this mapping does not."""
        bits = header.cluster_bits
        places = [(0, 1), (header.l1_offset >> bits, -(-header.l1_size * 8 >> bits))]
        places.append((header.table_offset >> bits, header.table_clusters))
        for first, count in places:
            counts.metadata.update(range(first, first + count))
        counts.metadata.update(entry >> bits for entry in counts.table if entry)
        counts.metadata.update((entry & OFFSET) >> bits for entry in self.l1 if entry)

    def table(self, index: int) -> Table | None:
        """The L2 table of an entry of the L1 table; None where there is none."""
        table = self.tables.get(index)
        if table is not None:
            return table
        offset = self.l1[index] & OFFSET
        if not offset:
            return None
        if offset % self.header.cluster or offset >= self.file.size:
            raise broken("an L2 table in no possible place")
        if len(self.tables) * self.header.cluster > KEPT:
            for old in [old for old in self.tables if old not in self.dirty]:
                del self.tables[old]
        table = Table(load(read_at(self.file, offset, self.header.cluster)), offset, False)
        self.tables[index] = table
        return table

    def own(self, index: int, epoch: int) -> Table:
        """The L2 table of an entry, made or copied so that it can be changed."""
        table = self.table(index)
        if table is not None and self.l1[index] & COPIED:
            return table
        entries = array("Q", table.entries if table is not None else bytes(self.header.cluster))
        bits = self.header.cluster_bits
        offset = self.counts.allocate_table(1) << bits
        if table is not None:
            self.dropped.append((epoch, table.offset >> bits))
            self.counts.metadata.discard(table.offset >> bits)
        table = self.tables[index] = Table(entries, offset, True)
        self.l1[index] = offset | COPIED
        self.linked.add(index)
        self.dirty.add(index)
        return table

    def change(self, index: int, table: Table, first: int, entries: "array[int]") -> None:
        """Put entries into an L2 table that is this image's own."""
        self.tables[index] = table
        table.entries[first : first + len(entries)] = entries
        table.first, table.last = min(table.first, first), max(table.last, first + len(entries) - 1)
        self.dirty.add(index)

    def drop(self, entry: int, epoch: int) -> None:
        """Note that an entry is in use once less than before."""
        self.dropped += [(epoch, cluster) for cluster in self.clusters_of(entry)]

    def clusters_of(self, entry: int) -> range:
        """The clusters of the file that an L2 entry is a reference to."""
        bits = self.header.cluster_bits
        if entry & COMPRESSED:
            start, length = self.packed(entry)
            return range(start >> bits, (start + length - 1 >> bits) + 1)
        first = (entry & OFFSET) >> bits
        return range(first, first + (1 if entry & OFFSET else 0))

    def packed(self, entry: int) -> tuple[int, int]:
        """Where the data of a compressed cluster is at most: (offset, bytes)."""
        split = 62 - (self.header.cluster_bits - 8)
        start = entry & (1 << split) - 1
        sectors = (entry & COMPRESSED - 1) >> split
        return start, (sectors + 1) * 512 - start % 512

    @property
    def crowded(self) -> bool:
        """Whether so much has changed that it is time to write it."""
        return len(self.dirty) * self.header.cluster > MOST_DIRTY

    def settle(self, oldest: int) -> list[int]:
        """Bring all changes to the file, in order; returns clusters that have become free.

        `oldest` is the epoch of the oldest request under way: what it may still use is not given away. May be called
        again where it raises `OSError`.
        """
        freed = []
        if not self.lazy:
            self.drop_old(self.counts.write())
        if self.dirty or self.linked or self.dropped:
            self._write_new()
            self.file.flush()
            self._write_entries()
            self.file.flush()
            freed = self._release(oldest)
            if freed and not self.lazy:
                self.drop_old(self.counts.write())
        else:
            self.file.flush()
        return freed

    @property
    def lazy(self) -> bool:
        """Whether refcounts may stay unwritten until the image is closed."""
        return bool(self.header.incompatible & DIRTY and self.header.compatible & LAZY_REFCOUNTS)

    def drop_old(self, clusters: list[int]) -> None:
        """Give back the place a refcount table had; the header points elsewhere by now, though perhaps not flushed."""
        self.dropped += [(0, cluster) for cluster in clusters]

    def _write_new(self) -> None:
        for index in sorted(self.dirty):
            table = self.tables[index]
            if table.new:
                self.file.pwritev([dump(table.entries)], table.offset)
                self._written(index, table)

    def _written(self, index: int, table: Table) -> None:
        table.new, table.first, table.last = False, len(table.entries), -1
        self.dirty.discard(index)

    def _write_entries(self) -> None:
        for index in sorted(self.dirty):
            table = self.tables[index]
            first, last = table.first & ~63, table.last | 63
            self.file.pwritev([dump(table.entries[first : last + 1])], table.offset + first * 8)
            self._written(index, table)
        for index in sorted(self.linked):
            self.file.pwritev([dump(self.l1[index : index + 1])], self.header.l1_offset + index * 8)
            self.linked.discard(index)

    def _release(self, oldest: int) -> list[int]:
        ready = [cluster for epoch, cluster in self.dropped if epoch < oldest]
        self.dropped = [(epoch, cluster) for epoch, cluster in self.dropped if epoch >= oldest]
        freed = []
        for cluster in ready:
            count = self.counts.get(cluster) - 1
            if count < 0:
                raise broken("a cluster freed twice; repair it with `guesthouse disk check --repair`")
            self.counts.set(cluster, count)
            if not count:
                freed.append(cluster)
        return freed
