"""The virtio block device (section 5.2) on a block backend.

Requests are done together: each is checked, then done by the lane of its sort, and given back when it is done. A host
error becomes VIRTIO_BLK_S_IOERR; but where the host's disk is full, the machine stands still until there is room.
While VIRTIO_BLK_F_FLUSH is not accepted, or the cache is in write-through mode, a write is done when it is flushed.

Not modelled: secure erase, lifetime, zones.
"""

import errno
import struct
from collections.abc import Callable
from typing import ClassVar

from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import Chain, RingError
from guesthouse.virtual.devices.wires import BlockBackend, Work

SECTOR = 512
HEADER = struct.Struct("<IIQ")
RANGE = struct.Struct("<QII")

SIZE_MAX, SEG_MAX, GEOMETRY, READ_ONLY, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE = 1, 2, 4, 5, 6, 9, 10, 11
MQ, DISCARD, WRITE_ZEROES = 12, 13, 14
TYPE_IN, TYPE_OUT, TYPE_FLUSH, TYPE_GET_ID, TYPE_DISCARD, TYPE_WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = 0, 1, 2
UNMAP = 1

QUEUE_SIZE = 256
MOST_QUEUES = 8
SEGMENTS = QUEUE_SIZE - 2
SEGMENT_BYTES = 1 << 18
MAX_DATA = SEGMENTS * SEGMENT_BYTES
MAX_RANGE_SECTORS = 1 << 17
MAX_RANGES = 8
HEADS, TRACK_SECTORS, MOST_CYLINDERS = 16, 63, 0xFFFF
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

Job = Callable[[], None]


class Refused(Exception):
    """A request that ends with a status other than OK."""

    def __init__(self, status: int) -> None:
        self.status = status


class VirtioBlock(Function):
    """One disk with a queue for each of `queues` processors, at most 8.

    `serial` is the up to 20 bytes the guest sees under /dev/disk/by-id.
    """

    writeback: int

    device_id: ClassVar[int] = 2
    registers = (
        Register("capacity", 0, 8, "sectors of 512 bytes", stored=False),
        Register("size_max", 8, reset=SEGMENT_BYTES, doc="largest buffer of a request in bytes"),
        Register("seg_max", 12, reset=SEGMENTS, doc="most buffers of data in a request"),
        Register("cylinders", 16, 2, "of a disk of 16 heads; 65535 where it is larger", stored=False),
        Register("heads", 18, 1, "heads", reset=HEADS),
        Register("track_sectors", 19, 1, "sectors of a track", reset=TRACK_SECTORS),
        Register("blk_size", 20, reset=SECTOR, doc="logical block in bytes"),
        Register("physical_block_exp", 24, 1, "log2 of logical blocks in a physical one", reset=3),
        Register("alignment_offset", 25, 1, "first aligned logical block"),
        Register("min_io_size", 26, 2, "smallest good transfer in blocks", reset=8),
        Register("opt_io_size", 28, doc="best transfer in blocks", reset=128),
        Register("writeback", 32, 1, "1: a write may wait for a flush", reset=1, writable=1),
        Register("num_queues", 34, 2, "queues", stored=False),
        Register("max_discard_sectors", 36, reset=MAX_RANGE_SECTORS, doc="sectors of one range to discard"),
        Register("max_discard_seg", 40, reset=MAX_RANGES, doc="ranges of one request"),
        Register("discard_sector_alignment", 44, reset=8, doc="sectors"),
        Register("max_write_zeroes_sectors", 48, reset=MAX_RANGE_SECTORS, doc="sectors of one range to zero"),
        Register("max_write_zeroes_seg", 52, reset=MAX_RANGES, doc="ranges of one request"),
        Register("write_zeroes_may_unmap", 56, 1, "1: zeroing may give space back", reset=1),
    )  # fmt: skip

    def __init__(self, backend: BlockBackend, work: Work, queues: int = 1, serial: bytes = b"guesthouse") -> None:
        self.backend = backend
        self.serial = serial[:20].ljust(20, b"\0")
        self.queue_sizes = (QUEUE_SIZE,) * min(queues, MOST_QUEUES)
        bits = [SIZE_MAX, SEG_MAX, GEOMETRY, BLK_SIZE, FLUSH, TOPOLOGY, MQ]
        bits += [READ_ONLY] if backend.readonly else [CONFIG_WCE, DISCARD, WRITE_ZEROES]
        self.features = sum(1 << bit for bit in bits)
        self._work = work
        self._reads, self._writes, self._flushes = work.lane(), work.lane(), work.lane()
        self._life = 0
        """Counts resets: what was begun in an earlier life is over."""
        self._beginning = False
        self.start()

    def on_read_capacity(self) -> int:
        """Answer the backend's size."""
        return self.backend.size // SECTOR

    def on_read_cylinders(self) -> int:
        """Answer what the geometry makes of the size."""
        return min(self.backend.size // SECTOR // (HEADS * TRACK_SECTORS), MOST_CYLINDERS)

    def on_read_num_queues(self) -> int:
        """Answer the number of queues."""
        return len(self.queue_sizes)

    def on_write_writeback(self, value: int) -> None:
        """Change the cache mode; what was written before is flushed, so that write-through holds for it too."""
        if self.transport.accepted(CONFIG_WCE):
            if self.writeback and not value:
                self._flushes.do(self.backend.flush, lambda error: None)
            self.writeback = value

    def resized(self) -> None:
        """Tell the driver that the backend has another size."""
        self.transport.config_changed()

    def quiesce(self) -> None:
        """Wait for what is under way: the driver takes its buffers back."""
        self._life += 1
        self._work.wait()

    def reset(self) -> None:
        """Do what the driver's reset asks for, once no request reaches memory any more."""
        self.quiesce()
        super().reset()

    def notify(self, queue: int) -> None:
        """Begin the waiting requests."""
        self._beginning = True
        try:
            self.transport.accept(queue, lambda chain: self._begin(queue, chain))
        finally:
            self._beginning = False

    # One request: a header, data in or out, and a status byte at the end (section 5.2.6).

    def _begin(self, queue: int, chain: Chain) -> None:
        memory = self.transport.memory
        room = chain.to_write - 1
        if chain.to_read < HEADER.size or room < 0:
            raise RingError("a block request without header or status")
        kind, _, sector = HEADER.unpack(chain.read(memory, 0, HEADER.size))
        chain.room_views(memory, room, 1)  # there must be a place for the status before anything is done
        lane = self._reads if kind == TYPE_IN else self._flushes if kind == TYPE_FLUSH else self._writes
        try:
            written, job = self._job(chain, kind, sector, room)
        except Refused as refused:
            self._finish(queue, chain, 0, refused.status)
            return
        life = self._life
        lane.do(job, lambda error: self._done(queue, chain, written, job, life, error))

    def _done(self, queue: int, chain: Chain, written: int, job: Job, life: int, error: OSError | None) -> None:
        if life != self._life:
            return
        if error is not None and error.errno in NO_ROOM:
            why = f"The host has no room for what the guest writes to its disk ({error.strerror}): it waits. Make room."
            self._work.hold(why, lambda: self._again(queue, chain, written, job, life))
            return
        if written:
            chain.wrote(self.transport.memory, 0, written)
        self._finish(queue, chain, written, OK if error is None else IO_ERROR)

    def _again(self, queue: int, chain: Chain, written: int, job: Job, life: int) -> bool:
        """Try a request for which there was no room; false where there still is none."""
        if life != self._life:
            return True
        error = None
        try:
            job()
        except OSError as problem:
            error = problem
            if error.errno in NO_ROOM:
                return False
        self._done(queue, chain, written, job, life, error)
        return True

    def _finish(self, queue: int, chain: Chain, written: int, status: int) -> None:
        room = chain.to_write - 1
        chain.write(self.transport.memory, room, bytes((status,)))
        # The length counts from the start of the room, so it may include the status only behind full data.
        self.transport.give(queue, chain, room + 1 if written == room else written)
        if not self._beginning:
            self.transport.settle(queue)

    def _job(self, chain: Chain, kind: int, sector: int, room: int) -> tuple[int, Job]:
        """What a request asks for, and how many bytes that writes; raises `Refused`."""
        memory, backend = self.transport.memory, self.backend
        if kind == TYPE_IN:
            self._check(sector, room, MAX_DATA)
            buffers = chain.room_views(memory, 0, room)
            return room, lambda: backend.readv(sector * SECTOR, buffers)
        if kind == TYPE_OUT:
            length = chain.to_read - HEADER.size
            self._check_writable()
            self._check(sector, length, MAX_DATA)
            data = chain.views(memory, HEADER.size, length)
            return 0, self._settled(lambda: backend.writev(sector * SECTOR, data))
        if kind == TYPE_FLUSH:
            return 0, backend.flush
        if kind == TYPE_GET_ID:
            identity = self.serial[:room]
            chain.write(memory, 0, identity)
            return len(identity), nothing
        if kind in (TYPE_DISCARD, TYPE_WRITE_ZEROES):
            return 0, self._settled(self._zero(chain, discard=kind == TYPE_DISCARD))
        raise Refused(UNSUPPORTED)

    def _check(self, sector: int, length: int, limit: int) -> None:
        if length % SECTOR or length > limit or sector + length // SECTOR > self.backend.size // SECTOR:
            raise Refused(IO_ERROR)

    def _check_writable(self) -> None:
        if self.backend.readonly:
            raise Refused(IO_ERROR)

    def _zero(self, chain: Chain, discard: bool) -> Job:
        """Discard ranges or write zeros over them (section 5.2.6.2)."""
        length = chain.to_read - HEADER.size
        if not self.transport.accepted(DISCARD if discard else WRITE_ZEROES):
            raise Refused(UNSUPPORTED)
        self._check_writable()
        if length % RANGE.size or not 0 < length <= MAX_RANGES * RANGE.size:
            raise Refused(IO_ERROR)
        ranges = list(RANGE.iter_unpack(chain.read(self.transport.memory, HEADER.size, length)))
        for sector, count, flags in ranges:
            if flags & ~UNMAP or (discard and flags & UNMAP):
                raise Refused(UNSUPPORTED)
            self._check(sector, count * SECTOR, MAX_RANGE_SECTORS * SECTOR)
        return lambda: _zero_ranges(self.backend, ranges, discard)

    def _settled(self, job: Job) -> Job:
        """The job, flushed where a write may not wait for that."""
        late = self.transport.accepted(FLUSH) or self.transport.accepted(CONFIG_WCE)
        if late and self.writeback:
            return job

        def flushed() -> None:
            job()
            self.backend.flush()

        return flushed


def nothing() -> None:
    """A job that is done."""


def _zero_ranges(backend: BlockBackend, ranges: list[tuple[int, int, int]], discard: bool) -> None:
    for sector, count, flags in ranges:
        if discard:
            backend.discard(sector * SECTOR, count * SECTOR)
        else:
            backend.write_zeroes(sector * SECTOR, count * SECTOR, bool(flags & UNMAP))
