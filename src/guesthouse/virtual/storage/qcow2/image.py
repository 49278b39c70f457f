"""A QCOW2 image, open as a block backend."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from guesthouse.errors import UserError
from guesthouse.virtual.storage.block import Extent, Image, check_range, check_write, length_of
from guesthouse.virtual.storage.qcow2.buffers import clear, part
from guesthouse.virtual.storage.qcow2.check import check
from guesthouse.virtual.storage.qcow2.compression import Compression
from guesthouse.virtual.storage.qcow2.guard import Guard
from guesthouse.virtual.storage.qcow2.header import BITMAPS, BITMAPS_VALID, CORRUPT, DIRTY, LAZY_REFCOUNTS, parse_header
from guesthouse.virtual.storage.qcow2.mapping import COMPRESSED, COPIED, ZERO, Mapping
from guesthouse.virtual.storage.qcow2.refcounts import OFFSET, Refcounts, broken
from guesthouse.virtual.storage.raw import File
from guesthouse.virtual.storage.reports import Report

ZEROS = 1 << 20


class Run(NamedTuple):
    """A part of the disk that is kept in one way: "data" at a position, "zero", "none" or "packed" (the L2 entry)."""

    kind: str
    offset: int
    length: int
    position: int = 0


class Qcow2Image:
    """An image of version 2 or 3 with all that it is based on; several threads may use it at once."""

    format: ClassVar[str] = "qcow2"

    def __init__(self, file: File, readonly: bool = False, backing: Image | None = None) -> None:
        """Take over an open file; an image that was not closed is repaired by `open_qcow2`, not here."""
        self.file, self._readonly, self.backing = file, readonly, backing
        self.header = parse_header(file)
        if not readonly and self.header.incompatible & CORRUPT:
            raise UserError("The QCOW2 image is marked as corrupt; repair it with `guesthouse disk check --repair`.")
        self.counts = Refcounts(file, self.header)
        self.mapping = Mapping(file, self.header, self.counts)
        self.guard = Guard()
        self.compression = Compression(file, self.header)
        self.bits = self.header.cluster_bits
        self.was_dirty = bool(self.header.incompatible & DIRTY)
        self.l2_mask = (1 << self.header.l2_bits) - 1
        if not readonly:
            self._begin()

    def _begin(self) -> None:
        """Tell the file that it is written by somebody who does not keep what its autoclear bits stand for."""
        header = self.header
        if header.autoclear:
            header.autoclear = 0
            header.set_extension(BITMAPS, None)
            self.file.pwritev([header.pack()], 0)
        if self.lazy and not self.was_dirty:
            self.set_dirty(True)

    @property
    def lazy(self) -> bool:
        """Whether the image's owner allows refcounts that are written late."""
        return bool(self.header.compatible & LAZY_REFCOUNTS)

    def check(self, repair: bool = False) -> Report:
        """Look whether the image is sound, and mend it where asked to."""
        return check(self, repair)

    def set_dirty(self, dirty: bool) -> None:
        """Write the dirty bit, which says that the refcounts may be wrong."""
        bits = self.header.incompatible & ~DIRTY | (DIRTY if dirty else 0)
        self.file.flush()
        self.file.pwritev([bits.to_bytes(8, "big")], 72)
        self.file.flush()
        self.header.incompatible = bits

    @property
    def size(self) -> int:
        """The capacity in bytes, in whole sectors."""
        return -(-self.header.size // 512) * 512

    @property
    def readonly(self) -> bool:
        """Whether writes are refused."""
        return self._readonly

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """How a range is kept, neighbours that go together made one; with the lock held."""
        at, end, bits = offset, offset + length, self.bits
        inside = (1 << bits) - 1
        kind, start, position = "", at, 0
        while at < end:
            index = at >> bits
            table = self.mapping.table(index >> self.header.l2_bits)
            if table is None:
                behind = ((index | self.l2_mask) + 1) << bits
                new, place = "none", 0
            else:
                entry = table.entries[index & self.l2_mask]
                behind = (index + 1) << bits
                new, place = self._kind(entry)
                if new == "data":
                    place += at & inside
            if new != kind or new == "packed" or (new == "data" and place != position + at - start):
                if kind:
                    yield Run(kind, start, at - start, position)
                kind, start, position = new, at, place
            at = behind
        yield Run(kind, start, end - start, position)

    def _kind(self, entry: int) -> tuple[str, int]:
        if entry & COMPRESSED:
            return "packed", entry
        if entry & ZERO and self.header.version > 2:
            return "zero", 0
        place = entry & OFFSET
        if not place:
            return "none", 0
        if place % self.header.cluster or place >> 56:
            raise broken("a cluster in no possible place")
        return "data", place

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        """Fill the buffers, in order; raises `OSError` outside the disk."""
        length = length_of(buffers)
        check_range(self, offset, length)
        if not length:
            return
        with self.guard.lock:
            epoch = self.guard.enter()
            try:
                runs = list(self.runs(offset, length))
            except BaseException:
                self.guard.leave(epoch)
                raise
        try:
            for run in runs:
                whole = run.length == length
                self._read(run, list(buffers) if whole else part(buffers, run.offset - offset, run.length))
        finally:
            self.guard.leave(epoch)

    def _read(self, run: Run, buffers: list[memoryview]) -> None:
        if run.kind == "data":
            done = self.file.preadv(buffers, run.position)
            if done < run.length:
                clear(buffers, done)
        elif run.kind == "packed":
            data = memoryview(self.compression.read(*self.mapping.packed(run.position)))
            at = run.offset % self.header.cluster
            for buffer in buffers:
                buffer[:] = data[at : at + len(buffer)]
                at += len(buffer)
        elif run.kind == "none" and self.backing is not None and run.offset < self.backing.size:
            there = min(run.length, self.backing.size - run.offset)
            self.backing.readv(run.offset, part(buffers, 0, there))
            clear(buffers, there)
        else:
            clear(buffers)

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        """Write the buffers, in order; raises `OSError` outside the disk or where it is read-only."""
        length = length_of(buffers)
        check_write(self, offset, length)
        done = 0
        while done < length:
            done += self._write_some(offset + done, length - done, buffers, done)

    def _write_some(self, at: int, length: int, buffers: Sequence[bytes | memoryview], done: int) -> int:
        """Write the longest part that is kept in one way; returns its bytes."""
        guard, bits = self.guard, self.bits
        with guard.lock:
            epoch = guard.enter()
            try:
                guard.claim(range(at >> bits, (at + length - 1 >> bits) + 1))
                position, length, made = self._place(at, length)
            except BaseException:
                guard.leave(epoch)
                raise
        try:
            if not made:
                self.file.pwritev(part(buffers, done, length), position)
            else:
                self._fill(at, part(buffers, done, length), length, position, made)
        finally:
            guard.leave(epoch)
        return length

    def _place(self, at: int, length: int) -> tuple[int, int, int]:
        """Where to write: (position of byte `at`, bytes, clusters newly taken); those count as being allocated."""
        bits, mask = self.bits, self.l2_mask
        index = at >> bits
        inside = at & self.header.cluster - 1
        table = self.mapping.own(index >> self.header.l2_bits, self.guard.stamp())
        first = index & mask
        most = min(mask + 1 - first, (inside + length + self.header.cluster - 1) >> bits)
        entries = table.entries[first : first + most]
        zero = ZERO if self.header.version > 2 else 0
        if entries[0] & (COPIED | COMPRESSED | zero) == COPIED:
            count, entry = 1, entries[0]
            while count < most and entries[count] == entry + (count << bits):
                count += 1
            place = (entry & OFFSET) >> bits
            if (entry & OFFSET) % self.header.cluster or not place or place + count > self.counts.unused:
                raise broken("a cluster in no possible place")
            if not self.counts.metadata.isdisjoint(range(place, place + count)):
                raise broken("data where a table is")
            made = 0
        else:
            count = 1
            while count < most and entries[count] & (COPIED | COMPRESSED | zero) != COPIED:
                count += 1
            place, count = self.counts.allocate(count)
            self.guard.allocating.update(range(index, index + count))
            made = count
        return (place << bits) + inside, min(length, (count << bits) - inside), made

    def _fill(self, at: int, data: list[memoryview], length: int, position: int, count: int) -> None:
        """Write new clusters, with what was around the data before, and point to them."""
        guard, bits, cluster = self.guard, self.bits, self.header.cluster
        index, place = at >> bits, position >> bits
        clusters = range(index, index + count)
        try:
            parts, start = self._surrounded(at, data, length, position, count)
            self.file.pwritev(parts, start)
        except BaseException:
            with guard.lock:
                for taken in range(place, place + count):
                    self.counts.set(taken, 0)
                guard.release(clusters)
            raise
        with guard.lock:
            try:
                self._point(index, array("Q", [(place + n) * cluster | COPIED for n in range(count)]))
            finally:
                guard.release(clusters)
            if self.mapping.crowded:
                self.mapping.settle(guard.oldest)

    def _point(self, index: int, entries: "array[int]") -> None:
        """Change entries of one L2 table, dropping what they were."""
        epoch = self.guard.stamp()
        table = self.mapping.own(index >> self.header.l2_bits, epoch)
        first = index & self.l2_mask
        for old, new in zip(table.entries[first : first + len(entries)], entries, strict=True):
            if old & (COMPRESSED | OFFSET) and (old ^ new) & (COMPRESSED | OFFSET):
                self.mapping.drop(old, epoch)
        self.mapping.change(index >> self.header.l2_bits, table, first, entries)

    def _surrounded(
        self, at: int, data: list[memoryview], length: int, position: int, count: int
    ) -> tuple[list[memoryview], int]:
        """What to write into new clusters, and where: zeros are left out where the file has none but those."""
        cluster = self.header.cluster
        head = at % cluster
        tail = (count << self.bits) - head - length
        with self.guard.lock:
            fresh = self.counts.fresh(position >> self.bits, count)
            before = list(self.runs(at - head, head)) if head else []
            last = min(tail, max(self.size - at - length, 0))
            after = list(self.runs(at + length, last)) if last else []
        nothing = fresh and all(self._blank(run) for run in before + after)
        if nothing:
            return data, position
        first, second = bytearray(head), bytearray(tail)
        for run in before:
            self._read(run, part([memoryview(first)], run.offset - (at - head), run.length))
        for run in after:
            self._read(run, part([memoryview(second)], run.offset - at - length, run.length))
        return [memoryview(first), *data, memoryview(second)], position - head

    def _blank(self, run: Run) -> bool:
        """Whether a part reads as zeros without a look at it."""
        return run.kind == "zero" or (run.kind == "none" and (self.backing is None or run.offset >= self.backing.size))

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        """Make a range read as zeros, giving its space back where `unmap` is set."""
        check_write(self, offset, length)
        self._without_data(offset, length, unmap, exactly=True)

    def discard(self, offset: int, length: int) -> None:
        """Give whole clusters back; they read as zeros, though version 2 keeps them on a backing file."""
        check_write(self, offset, length)
        self._without_data(offset, length, True, exactly=False)

    def _without_data(self, offset: int, length: int, unmap: bool, exactly: bool) -> None:
        at, end, cluster = offset, offset + length, self.header.cluster
        while at < end:
            stop = min(end, ((at >> self.bits) + 1) << self.bits)
            whole = at % cluster == 0 and (stop % cluster == 0 or stop == self.size)
            if whole:
                behind = ((at >> self.bits | self.l2_mask) + 1) << self.bits
                stop = max(stop, min(behind, end if end == self.size else end & -cluster))
            if not (whole and self._zero_clusters(at, stop, unmap)) and exactly:
                stop = min(stop, at + ZEROS)
                self._write_zero_bytes(at, stop - at)
            at = stop

    def _write_zero_bytes(self, offset: int, length: int) -> None:
        with self.guard.lock:
            blank = all(self._blank(run) for run in self.runs(offset, length))
        if not blank:
            self.writev(offset, [bytes(length)])

    def _zero_clusters(self, at: int, stop: int, unmap: bool) -> bool:
        """Make clusters of one L2 table read as zeros by their entries; false where the version has no way."""
        if self.header.version == 2 and self.backing is not None:
            return False
        index = at >> self.bits
        count = (stop - at + self.header.cluster - 1) >> self.bits
        with self.guard.lock:
            self.guard.claim(range(index, index + count))
            table = self.mapping.table(index >> self.header.l2_bits)
            if table is None and self.backing is None:
                return True
            if self.header.version == 2:
                self._point(index, array("Q", bytes(8 * count)))
                return True
            first = index & self.l2_mask
            old = table.entries[first : first + count] if table else array("Q", bytes(8 * count))
            plain = 0 if self.backing is None else ZERO
            new = array("Q", (self._zeroed(entry, plain, unmap) for entry in old))
            if new != old:
                self._point(index, new)
                if self.mapping.crowded:
                    self.mapping.settle(self.guard.oldest)
        return True

    def _zeroed(self, entry: int, plain: int, unmap: bool) -> int:
        if not unmap and entry & (COPIED | COMPRESSED) == COPIED:
            return entry | ZERO
        return ZERO if plain or (entry and not unmap) else 0

    def flush(self) -> None:
        """Return once all that was written would survive a loss of power."""
        if self._readonly:
            return
        with self.guard.lock:
            freed = self.mapping.settle(self.guard.oldest)
            for cluster in freed:
                self.file.zero(cluster << self.bits, self.header.cluster, True)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """How this image alone keeps a range."""
        check_range(self, offset, length)
        with self.guard.lock:
            runs = list(self.runs(offset, length)) if length else []
        for run in runs:
            data, packed = run.kind in ("data", "packed"), run.kind == "packed"
            position = run.position if run.kind == "data" else None
            yield Extent(run.offset, run.length, data, run.kind == "zero", position, 0, packed)

    def resize(self, size: int) -> None:
        """Set the capacity in bytes, a multiple of 512, to more than it is."""
        check_write(self, 0, 0)
        if size % 512 or size < self.size:
            raise UserError("A QCOW2 image can only grow, in whole sectors; convert it into a smaller one instead.")
        with self.guard.exclusive():
            if self.backing is not None and self.backing.size > self.size:
                raise UserError("The image hides the end of what it is based on; convert it to enlarge it.")
            if self.header.l1_needed(size) > self.header.l1_size:
                raise UserError("The image's L1 table is full; convert the image into a larger one.")
            self.file.pwritev([size.to_bytes(8, "big")], 24)
            self.file.flush()
            self.header.size = size

    def info(self) -> dict[str, Any]:
        """Version, cluster size, refcount width, backing file and flags."""
        header = self.header
        return {
            "version": header.version,
            "cluster-size": header.cluster,
            "refcount-bits": self.counts.width,
            "compression": "zstd" if header.compression else "zlib",
            "backing-file": header.backing,
            "lazy-refcounts": bool(header.compatible & LAZY_REFCOUNTS),
            "dirty": bool(header.incompatible & DIRTY),
            "corrupt": bool(header.incompatible & CORRUPT),
            "bitmaps": bool(header.autoclear & BITMAPS_VALID),
            "snapshots": header.snapshots,
        }

    def settle(self) -> None:
        """Write all that waits, so that the file is what it would be once closed."""
        if self._readonly:
            return
        with self.guard.exclusive():
            self.flush()
            self.counts.write()
            if self.header.incompatible & DIRTY:
                self.set_dirty(False)

    def close(self) -> None:
        """Write what waits, close and unlock the files, also where writing fails."""
        try:
            self.settle()
        finally:
            self.file.close()
            if self.backing is not None:
                self.backing.close()
