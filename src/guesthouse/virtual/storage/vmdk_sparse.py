"""A sparse extent of a VMDK image: grains found by a grain directory and grain tables, perhaps compressed."""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

from guesthouse.errors import UserError
from guesthouse.virtual.storage.mapped import Kept, Piece, exactly
from guesthouse.virtual.storage.raw import File
from guesthouse.virtual.storage.reports import Report

MAGIC = b"KDMV"
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH433x")
GRAIN_MARKER = struct.Struct("<QI")
NEWLINES = b"\n \r\n"
HAS_NEWLINES, REDUNDANT, ZERO_GRAINS, COMPRESSED, MARKERS = 1, 2, 4, 1 << 16, 1 << 17
AT_THE_END = (1 << 64) - 1
DEFLATE = 1
TABLES = 256
MOST_DESCRIPTOR = 2048
"""Sectors: a mebibyte."""


class Header(NamedTuple):
    """The sparse extent header; offsets and sizes count sectors."""

    magic: bytes
    version: int
    flags: int
    capacity: int
    grain: int
    descriptor: int
    descriptor_size: int
    entries: int
    redundant: int
    directory: int
    overhead: int
    unclean: int
    newlines: bytes
    compression: int


class SparseExtent:
    """Tells where the bytes of a sparse extent are."""

    def __init__(self, file: File) -> None:
        self.file = file
        header = Header(*HEADER.unpack(exactly(file, 0, 512, "the header")))
        if header.directory == AT_THE_END:  # a stream: what its writer knew only at the end is there
            header = Header(*HEADER.unpack(exactly(file, file.size - 1024, 512, "the footer")))
        _check(header)
        self._header = header
        self.size = header.capacity * 512
        self.grain = header.grain * 512
        self.compressed = bool(header.flags & COMPRESSED)
        self._end = file.size
        count = -(-header.capacity // header.grain)
        self._grains = count
        self._tables = -(-count // header.entries)
        self._directory = self._read_directory(header.directory)
        self._kept = Kept(self._read_table, TABLES)
        self.descriptor = ""
        if header.descriptor and header.descriptor_size:
            raw = exactly(file, header.descriptor * 512, header.descriptor_size * 512, "the descriptor")
            self.descriptor = raw.rstrip(b"\0").decode("utf-8", "replace")

    def _read_directory(self, sector: int) -> array[int]:
        return array("I", exactly(self.file, sector * 512, 4 * self._tables, "the grain directory"))

    def _read_table(self, number: int) -> array[int]:
        return self._table_at(self._directory[number])

    def _table_at(self, sector: int) -> array[int]:
        entries = self._header.entries
        if not sector:
            return array("I", bytes(4 * entries))
        table = bytearray(4 * entries)
        if self.file.preadv([memoryview(table)], sector * 512) < len(table):
            raise OSError("a grain table lies behind the end of the image")
        return array("I", bytes(table))

    def locate(self, offset: int, length: int) -> Piece:
        """Look into the table."""
        number, inside = divmod(offset, self.grain)
        length = min(length, self.grain - inside)
        directory, index = divmod(number, self._header.entries)
        sector = self._kept.get(directory)[index]
        if sector == 0 or (sector == 1 and self._header.flags & ZERO_GRAINS):
            return Piece(length)
        if not self.compressed:
            return Piece(length, self.file, sector * 512 + inside)
        packed = self._packed(sector)
        return Piece(length, self.file, sector * 512 + GRAIN_MARKER.size, packed, inside, self.grain)

    def _packed(self, sector: int) -> int:
        """The bytes of a compressed grain, which its marker tells."""
        marker = bytearray(GRAIN_MARKER.size)
        if self.file.preadv([memoryview(marker)], sector * 512) < len(marker):
            raise OSError("a grain lies behind the end of the image")
        packed = int(GRAIN_MARKER.unpack(marker)[1])
        if not 0 < packed <= 2 * self.grain + 512:
            raise OSError(f"a compressed grain of {packed} bytes can't be")
        return packed

    def check(self, report: Report) -> None:
        """Count grains that lie outside the file or over one another, and tables that differ from their copies."""
        report.total += self._grains
        taken: set[int] = set()
        step = 1 if self.compressed else self._header.grain
        for number, sector in enumerate(self._directory):
            try:
                table = self._table_at(sector)
            except OSError:
                report.corrupt(f"Grain table {number} lies behind the end of the file.")
                continue
            for index, place in enumerate(table):
                grain = number * self._header.entries + index
                if place > 1 and grain < self._grains:
                    report.allocated += 1
                    self._check_grain(report, grain, place, taken, step)
        if self._header.flags & REDUNDANT and self._header.redundant:
            self._check_copies(report)

    def _check_grain(self, report: Report, grain: int, place: int, taken: set[int], step: int) -> None:
        try:
            length = self._packed(place) + GRAIN_MARKER.size if self.compressed else self.grain
        except OSError as error:
            report.corrupt(f"Grain {grain}: {error}.")
            return
        last = grain == self._grains - 1
        if place * 512 + (1 if last and not self.compressed else length) > self._end:
            report.corrupt(f"Grain {grain} lies behind the end of the file.")
        elif place in taken or (step > 1 and not taken.isdisjoint(range(max(place - step + 1, 0), place))):
            report.corrupt(f"Grain {grain} lies over another.")
        taken.add(place)

    def _check_copies(self, report: Report) -> None:
        try:
            copies = self._read_directory(self._header.redundant)
        except UserError:
            report.corrupt("The copy of the grain directory lies behind the end of the file.")
            return
        for number, (sector, copy) in enumerate(zip(self._directory, copies, strict=True)):
            try:
                same = self._table_at(sector) == self._table_at(copy)
            except OSError:
                same = False
            if not same:
                report.corrupt(f"Grain table {number} and its copy are not the same.")


def _check(header: Header) -> None:
    """Raise `UserError` for a header that can't be right."""
    if header.magic != MAGIC:
        raise UserError("The VMDK image is damaged: its header or footer is missing.")
    if not 1 <= header.version <= 3:
        raise UserError(f"VMDK of version {header.version} is not known; versions 1 to 3 are.")
    if header.flags & HAS_NEWLINES and header.newlines != NEWLINES:
        raise UserError("The VMDK image was copied as text, which changed its newlines; copy it again as it is.")
    if header.flags & COMPRESSED and header.compression != DEFLATE:
        raise UserError(f"VMDK compression {header.compression} is not known; deflate (1) is.")
    if not 1 <= header.grain <= 1 << 14 or header.grain & header.grain - 1 or not 1 <= header.entries <= 512:
        raise UserError("The VMDK image is damaged: the sizes of grains or grain tables can't be.")
    if not 0 < header.capacity < 1 << 47 or header.descriptor_size > MOST_DESCRIPTOR:
        raise UserError("The VMDK image is damaged: its size can't be.")
