"""The virtio block device (section 5.2) on a block backend.

Requests are done when the driver notifies, one after the other; a host error becomes VIRTIO_BLK_S_IOERR. Where the
driver does not accept VIRTIO_BLK_F_FLUSH, every write is flushed (5.2.6.2).

Not modelled: several queues, geometry, secure erase, lifetime, zones, changing the cache mode or the capacity.
"""

import struct
from typing import ClassVar

from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import CHUNK, Chain, RingError
from guesthouse.virtual.devices.wires import BlockBackend

SECTOR = 512
HEADER = struct.Struct("<IIQ")
RANGE = struct.Struct("<QII")

SIZE_MAX, SEG_MAX, READ_ONLY, BLK_SIZE, FLUSH, TOPOLOGY, DISCARD, WRITE_ZEROES = 1, 2, 5, 6, 9, 10, 13, 14
TYPE_IN, TYPE_OUT, TYPE_FLUSH, TYPE_GET_ID, TYPE_DISCARD, TYPE_WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = 0, 1, 2
UNMAP = 1

QUEUE_SIZE = 256
SEGMENTS = QUEUE_SIZE - 2
SEGMENT_BYTES = 1 << 18
MAX_DATA = SEGMENTS * SEGMENT_BYTES
MAX_RANGE_SECTORS = 1 << 17
MAX_RANGES = 8


class Refused(Exception):
    """A request that ends with a status other than OK."""

    def __init__(self, status: int) -> None:
        self.status = status


class VirtioBlock(Function):
    """One disk; `serial` is the up to 20 bytes the guest sees under /dev/disk/by-id."""

    device_id: ClassVar[int] = 2
    queue_sizes = (QUEUE_SIZE,)
    registers = (
        Register("capacity", 0, 8, "sectors of 512 bytes", stored=False),
        Register("size_max", 8, reset=SEGMENT_BYTES, doc="largest buffer of a request in bytes"),
        Register("seg_max", 12, reset=SEGMENTS, doc="most buffers of data in a request"),
        Register("blk_size", 20, reset=SECTOR, doc="logical block in bytes"),
        Register("physical_block_exp", 24, 1, "log2 of logical blocks in a physical one", reset=3),
        Register("alignment_offset", 25, 1, "first aligned logical block"),
        Register("min_io_size", 26, 2, "smallest good transfer in blocks", reset=8),
        Register("opt_io_size", 28, doc="best transfer in blocks", reset=128),
        Register("writeback", 32, 1, "1: a write may wait for a flush", reset=1),
        Register("num_queues", 34, 2, "1", reset=1),
        Register("max_discard_sectors", 36, reset=MAX_RANGE_SECTORS, doc="sectors of one range to discard"),
        Register("max_discard_seg", 40, reset=MAX_RANGES, doc="ranges of one request"),
        Register("discard_sector_alignment", 44, reset=8, doc="sectors"),
        Register("max_write_zeroes_sectors", 48, reset=MAX_RANGE_SECTORS, doc="sectors of one range to zero"),
        Register("max_write_zeroes_seg", 52, reset=MAX_RANGES, doc="ranges of one request"),
        Register("write_zeroes_may_unmap", 56, 1, "1: zeroing may give space back", reset=1),
    )  # fmt: skip

    def __init__(self, backend: BlockBackend, serial: bytes = b"guesthouse") -> None:
        self.backend = backend
        self.serial = serial[:20].ljust(20, b"\0")
        bits = [SIZE_MAX, SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY]
        bits += [READ_ONLY] if backend.readonly else [DISCARD, WRITE_ZEROES]
        self.features = sum(1 << bit for bit in bits)
        self.start()

    def on_read_capacity(self) -> int:
        """Answer the backend's size."""
        return self.backend.size // SECTOR

    def notify(self, queue: int) -> None:
        """Do the waiting requests."""
        self.transport.serve(queue, self._request)

    def _request(self, chain: Chain) -> int:
        """Do one request: a header, data in or out, and a status byte at the end (section 5.2.6)."""
        memory = self.transport.memory
        room = chain.to_write - 1
        if chain.to_read < HEADER.size or room < 0:
            raise RingError("a block request without header or status")
        kind, _, sector = HEADER.unpack(chain.read(memory, 0, HEADER.size))
        written = 0
        try:
            written = self._do(chain, kind, sector, room)
            status = OK
        except Refused as refused:
            status = refused.status
        except OSError:
            status = IO_ERROR
        chain.write(memory, room, bytes((status,)))
        # The length counts from the start of the room, so it may include the status only behind full data.
        return room + 1 if written == room else written

    def _do(self, chain: Chain, kind: int, sector: int, room: int) -> int:
        if kind == TYPE_IN:
            return self._read(chain, sector, room)
        if kind == TYPE_GET_ID:
            data = self.serial[:room]
            chain.write(self.transport.memory, 0, data)
            return len(data)
        if kind == TYPE_FLUSH:
            self.backend.flush()
        elif kind == TYPE_OUT:
            self._write(chain, sector)
        elif kind in (TYPE_DISCARD, TYPE_WRITE_ZEROES):
            self._zero(chain, discard=kind == TYPE_DISCARD)
        else:
            raise Refused(UNSUPPORTED)
        return 0

    def _check(self, sector: int, length: int, limit: int) -> None:
        if length % SECTOR or length > limit or sector + length // SECTOR > self.backend.size // SECTOR:
            raise Refused(IO_ERROR)

    def _read(self, chain: Chain, sector: int, length: int) -> int:
        self._check(sector, length, MAX_DATA)
        for start in range(0, length, CHUNK):
            data = bytearray(min(CHUNK, length - start))
            self.backend.readv(sector * SECTOR + start, [memoryview(data)])
            chain.write(self.transport.memory, start, bytes(data))
        return length

    def _write(self, chain: Chain, sector: int) -> None:
        length = chain.to_read - HEADER.size
        if self.backend.readonly:
            raise Refused(IO_ERROR)
        self._check(sector, length, MAX_DATA)
        for start in range(0, length, CHUNK):
            data = chain.read(self.transport.memory, HEADER.size + start, min(CHUNK, length - start))
            self.backend.writev(sector * SECTOR + start, [data])
        self._settle()

    def _zero(self, chain: Chain, discard: bool) -> None:
        """Discard ranges or write zeros over them (section 5.2.6.2)."""
        length = chain.to_read - HEADER.size
        if not self.transport.accepted(DISCARD if discard else WRITE_ZEROES):
            raise Refused(UNSUPPORTED)
        if length % RANGE.size or not 0 < length <= MAX_RANGES * RANGE.size:
            raise Refused(IO_ERROR)
        ranges = list(RANGE.iter_unpack(chain.read(self.transport.memory, HEADER.size, length)))
        for sector, count, flags in ranges:
            if flags & ~UNMAP or (discard and flags & UNMAP):
                raise Refused(UNSUPPORTED)
            self._check(sector, count * SECTOR, MAX_RANGE_SECTORS * SECTOR)
        for sector, count, flags in ranges:
            offset, length = sector * SECTOR, count * SECTOR
            if discard:
                self.backend.discard(offset, length)
            else:
                self.backend.write_zeroes(offset, length, bool(flags & UNMAP))
        self._settle()

    def _settle(self) -> None:
        if not self.transport.accepted(FLUSH):
            self.backend.flush()
