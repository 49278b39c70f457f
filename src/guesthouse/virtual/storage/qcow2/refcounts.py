"""Which clusters of the file are in use, and how often: refcount blocks and the table that finds them.

Everything here changes memory only; `write` brings it to the file. Who calls holds the image's lock.
"""

import errno
import sys
from array import array

from guesthouse.virtual.storage.qcow2.header import Header
from guesthouse.virtual.storage.raw import File, read_at

OFFSET = 0x00FFFFFFFFFFFE00
KEPT = 8 << 20
"""Bytes of unchanged blocks that stay in memory."""


def load(data: bytes, code: str = "Q") -> "array[int]":
    """A table of big-endian words of the file."""
    table = array(code, data)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def dump(table: "array[int]") -> bytes:
    """The bytes of a table as the file has it."""
    table = table[:]
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()


def broken(what: str) -> OSError:
    """What a request gets from a broken image."""
    return OSError(errno.EIO, f"the image is broken: {what}")


class Refcounts:
    """The refcounts of all clusters of a file, by cluster number."""

    def __init__(self, file: File, header: Header) -> None:
        self.file, self.header = file, header
        self.width = 1 << header.refcount_order
        self.most = (1 << self.width) - 1
        self.per_block = header.cluster * 8 >> header.refcount_order
        self.table = load(read_at(file, header.table_offset, header.table_clusters << header.cluster_bits))
        self.blocks: dict[int, array[int]] = {}
        self.dirty: set[int] = set()
        self.entries: set[int] = set()
        """Entries of the table that the file does not have yet."""
        self.moved: int | None = None
        """Where the table goes as it has grown, in bytes."""
        self.metadata: set[int] = set()
        """Clusters of tables in use: no data may be written there."""
        self.hint = 0
        self.unused = -(-file.size >> header.cluster_bits)
        """Clusters from this one on were never written: they read as zeros."""

    def _load(self, index: int) -> "array[int] | None":
        """The block of counts with a number, one word a count; None where there is none."""
        block = self.blocks.get(index)
        if block is not None or index >= len(self.table) or not self.table[index]:
            return block
        offset = self.table[index]
        if offset % self.header.cluster or offset >= self.file.size:
            raise broken("a refcount block in no possible place")
        block = self._unpack(read_at(self.file, offset, self.header.cluster))
        if len(self.blocks) * self.header.cluster > KEPT:
            for old in [old for old in self.blocks if old not in self.dirty]:
                del self.blocks[old]
        self.blocks[index] = block
        return block

    def _unpack(self, data: bytes) -> "array[int]":
        if self.width >= 8:
            return load(data, {8: "B", 16: "H", 32: "I", 64: "Q"}[self.width])
        parts = range(0, 8, self.width)
        spread = [bytes(byte >> part & self.most for part in parts) for byte in range(256)]
        return array("B", b"".join(map(spread.__getitem__, data)))

    def _pack(self, block: "array[int]") -> bytes:
        if self.width >= 8:
            return dump(block)
        data = bytearray(self.header.cluster)
        step = 8 // self.width
        for part in range(step):
            for at, value in enumerate(block[part::step]):
                data[at] |= value << part * self.width
        return bytes(data)

    def get(self, cluster: int) -> int:
        """How often a cluster is in use."""
        block = self._load(cluster // self.per_block)
        return block[cluster % self.per_block] if block is not None else 0

    def block(self, index: int) -> "array[int]":
        """The counts of a block, none where there is no block."""
        return self._load(index) or array("B")

    def set(self, cluster: int, count: int) -> None:
        """Set a count; raises `OSError` for one that is too large."""
        if not 0 <= count <= self.most:
            raise broken("a cluster in use more often than can be counted" if count > 0 else "a cluster freed twice")
        index = cluster // self.per_block
        if self._load(index) is None:
            if not count:
                return
            self._create(index)
        self.blocks[index][cluster % self.per_block] = count
        self.dirty.add(index)
        if not count:
            self.hint = min(self.hint, cluster)

    def _create(self, index: int, place: int | None = None) -> None:
        """Make a block where there is none, in `place` or any free cluster."""
        if index >= len(self.table):
            self._grow(index)
            if self._load(index) is not None:
                return
        inside = place is not None
        if place is None:
            place = self.allocate(1)[0]
            if self._load(index) is not None:  # the cluster found was the first one of the same block
                self.set(place, 0)
                return
        elif place in self.metadata:
            raise broken("a table in a cluster that counts as free")
        self.put_block(index, place)
        if inside:
            self.blocks[index][place % self.per_block] = 1

    def put_block(self, index: int, place: int) -> None:
        """Have an empty block in a cluster, which it does not count yet."""
        self.blocks[index] = self._unpack(bytes(self.header.cluster))
        self.table[index] = place << self.header.cluster_bits
        self.entries.add(index)
        self.dirty.add(index)
        self.metadata.add(place)
        self.unused = max(self.unused, place + 1)

    def _grow(self, index: int) -> None:
        """Make the table long enough for a block with a number, and find it another place."""
        per_cluster = self.header.cluster // 8
        clusters = -(-(index + 1) * 5 // (4 * per_cluster)) + 1
        if clusters << self.header.cluster_bits > 32 << 20:
            raise OSError(errno.EFBIG, "the image's file can't grow further")
        self.table.extend([0] * (clusters * per_cluster - len(self.table)))
        self.moved = self.allocate_table(clusters) << self.header.cluster_bits

    def allocate(self, most: int, least: int = 1) -> tuple[int, int]:
        """Take the first free run of `least` to `most` clusters: (first, how many)."""
        first, count, at = self.hint, 0, self.hint
        while count < least:
            index = at // self.per_block
            block = self._load(index)
            if block is None:
                self._create(index, at)  # a block describes itself
                at += 1
                first, count = at, 0
                continue
            start = at % self.per_block
            try:
                free = block.index(0, start)
            except ValueError:
                at = (index + 1) * self.per_block
                first, count = at, 0
                continue
            if free != start:
                at += free - start
                first, count = at, 0
            stop = min(self.per_block, free + most - count)
            while free < stop and not block[free]:
                free, at, count = free + 1, at + 1, count + 1
            if free < self.per_block and count < least and block[free]:
                first, count = at, 0
        if not self.metadata.isdisjoint(range(first, first + count)):
            raise broken("a table in a cluster that counts as free")
        for cluster in range(first, first + count):
            self.blocks[cluster // self.per_block][cluster % self.per_block] = 1
        self.dirty.update(range(first // self.per_block, (first + count - 1) // self.per_block + 1))
        if least == 1:
            self.hint = first + count
        return first, count

    def allocate_table(self, clusters: int) -> int:
        """Take clusters side by side for a table; returns the first."""
        first, _ = self.allocate(clusters, clusters)
        self.metadata.update(range(first, first + clusters))
        self.unused = max(self.unused, first + clusters)
        return first

    def fresh(self, first: int, count: int) -> bool:
        """Whether clusters just allocated read as zeros; they count as written from now on."""
        fresh = first >= self.unused
        self.unused = max(self.unused, first + count)
        return fresh

    def write(self) -> list[int]:
        """Bring what has changed to the file; returns the clusters that are free once that is flushed."""
        for index in sorted(self.dirty):
            self.file.pwritev([self._pack(self.blocks[index])], self.table[index])
            self.dirty.discard(index)
        if self.moved is None and not self.entries:
            return []
        self.file.flush()
        if self.moved is None:
            for index in sorted(self.entries):
                self.file.pwritev([dump(self.table[index : index + 1])], self.header.table_offset + index * 8)
            self.entries.clear()
            return []
        return self._move()

    def _move(self) -> list[int]:
        """Write the table to its new place; returns the clusters of the old one."""
        assert self.moved is not None
        header = self.header
        self.file.pwritev([dump(self.table)], self.moved)
        self.file.flush()
        bits = header.cluster_bits
        clusters = len(self.table) * 8 >> bits
        fields = self.moved.to_bytes(8, "big") + clusters.to_bytes(4, "big")
        self.file.pwritev([fields], 48)
        old = range(header.table_offset >> bits, (header.table_offset >> bits) + header.table_clusters)
        header.table_offset, header.table_clusters = self.moved, clusters
        self.moved = None
        self.entries.clear()
        self.metadata.difference_update(old)
        return list(old)
