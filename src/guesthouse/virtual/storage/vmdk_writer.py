"""Writing VMDK: one sparse extent with its descriptor in it, or a stream of compressed grains."""

import struct
import zlib
from array import array
from collections.abc import Iterable

from guesthouse.errors import UserError
from guesthouse.virtual.storage.raw import File
from guesthouse.virtual.storage.vmdk_sparse import (
    AT_THE_END,
    COMPRESSED,
    DEFLATE,
    GRAIN_MARKER,
    HAS_NEWLINES,
    HEADER,
    MAGIC,
    MARKERS,
    NEWLINES,
    REDUNDANT,
)

GRAIN = 128
ENTRIES = 512
DESCRIPTOR, DESCRIPTOR_SIZE = 1, 20
MARKER = struct.Struct("<QII496x")
END_OF_STREAM, TABLE_MARKER, DIRECTORY_MARKER, FOOTER_MARKER = range(4)
LARGEST = 1 << 41
"""Sectors count in 32 bits."""

TEXT = """# Disk DescriptorFile
version=1
CID={identity:08x}
parentCID=ffffffff
createType="{kind}"

# Extent description
RW {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
"""


def descriptor(kind: str, size: int, name: str) -> bytes:
    """The text that says what the image is, filled up to whole sectors."""
    sectors = size // 512
    cylinders = min(sectors // (16 * 63), 16383)
    identity = zlib.crc32(f"{name} {size}".encode("utf-8", "replace")) & 0x7FFFFFFF
    name = "".join(letter if letter.isprintable() and letter != '"' else "_" for letter in name)[:255]
    text = TEXT.format(identity=identity, kind=kind, sectors=sectors, name=name, cylinders=cylinders)
    return text.encode("utf-8", "replace").ljust(DESCRIPTOR_SIZE * 512, b"\0")


def _header(size: int, flags: int, version: int, redundant: int, directory: int, overhead: int) -> bytes:
    compression = DEFLATE if flags & COMPRESSED else 0
    return HEADER.pack(
        MAGIC, version, flags | HAS_NEWLINES, size // 512, GRAIN, DESCRIPTOR, DESCRIPTOR_SIZE, ENTRIES, redundant,
        directory, overhead, 0, NEWLINES, compression,
    )  # fmt: skip


def _whole(data: bytes) -> bytes:
    """Filled up to whole sectors."""
    return data.ljust(-(-len(data) // 512) * 512, b"\0")


class VmdkWriter:
    """Writes a monolithic sparse image: directory, tables and copies of both first, then the grains."""

    block = GRAIN * 512

    def __init__(self, file: File, size: int, name: str) -> None:
        _check_size(size)
        self._file = file
        self._size = size
        self._name = name
        count = -(-size // self.block)
        tables = -(-count // ENTRIES)
        self._entries = array("I", bytes(4 * tables * ENTRIES))
        directory = -(-4 * tables // 512)
        self._copy = DESCRIPTOR + DESCRIPTOR_SIZE
        self._main = self._copy + directory + 4 * tables
        self._tables, self._directory = tables, directory
        self._overhead = -(-(self._main + directory + 4 * tables) // GRAIN) * GRAIN
        self._next = self._overhead

    def put(self, number: int, data: bytes) -> None:
        """Write a grain; numbers rise."""
        self._entries[number] = self._next
        self._file.pwritev([data.ljust(self.block, b"\0")], self._next * 512)
        self._next += GRAIN

    def finish(self) -> None:
        """Write all that leads to the grains."""
        header = _header(self._size, REDUNDANT, 1, self._copy, self._main, self._overhead)
        parts = [header, descriptor("monolithicSparse", self._size, self._name)]
        for start in (self._copy, self._main):
            first = start + self._directory
            parts.append(_whole(array("I", range(first, first + 4 * self._tables, 4)).tobytes()))
            parts.append(self._entries.tobytes())
        self._file.pwritev(parts, 0)
        if self._file.size < self._overhead * 512:
            self._file.truncate(self._overhead * 512)


class StreamWriter:
    """Writes a stream-optimized image strictly from front to end: markers, compressed grains, tables, footer."""

    block = GRAIN * 512

    def __init__(self, file: File, size: int, name: str) -> None:
        _check_size(size)
        self._file = file
        self._size = size
        self._tables = array("I", bytes(4 * -(-size // (self.block * ENTRIES))))
        self._table = array("I", bytes(4 * ENTRIES))
        self._current = 0
        self._end = 0
        self._flags = COMPRESSED | MARKERS
        head = _header(size, self._flags, 3, 0, AT_THE_END, GRAIN)
        self._append([head, descriptor("streamOptimized", size, name)])
        self._end = GRAIN * 512

    def encode(self, data: bytes) -> bytes:
        """Compress a grain; threads may do so for others while one writes."""
        return zlib.compress(data.ljust(self.block, b"\0"))

    def put(self, number: int, data: bytes) -> None:
        """Write a grain that `encode` made; numbers rise."""
        table, index = divmod(number, ENTRIES)
        if table != self._current:
            self._end_table()
            self._current = table
        self._table[index] = self._end // 512
        self._append([_whole(GRAIN_MARKER.pack(number * GRAIN, len(data)) + data)])

    def _end_table(self) -> None:
        if any(self._table):
            self._append([MARKER.pack(ENTRIES * 4 // 512, 0, TABLE_MARKER)])
            self._tables[self._current] = self._end // 512
            self._append([self._table.tobytes()])
            self._table = array("I", bytes(4 * ENTRIES))

    def finish(self) -> None:
        """Write the last table, the directory, the footer and the end."""
        self._end_table()
        directory = _whole(self._tables.tobytes())
        self._append([MARKER.pack(len(directory) // 512, 0, DIRECTORY_MARKER)])
        place = self._end // 512
        self._append([directory, MARKER.pack(1, 0, FOOTER_MARKER)])
        self._append([_header(self._size, self._flags, 3, 0, place, GRAIN), MARKER.pack(0, 0, END_OF_STREAM)])

    def _append(self, parts: Iterable[bytes]) -> None:
        data = b"".join(parts)
        self._file.pwritev([data], self._end)
        self._end += len(data)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise UserError("A VMDK image can't be larger than 2 TiB; choose another format.")
