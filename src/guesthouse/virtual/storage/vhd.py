"""VHD, Virtual PC's and Azure's format ("vpc" to qemu-img): big-endian, with a footer; fixed or dynamic.

Source: Virtual Hard Disk Image Format Specification, version 1.0.
"""

import struct
import time
import uuid
from array import array
from collections.abc import Iterator
from typing import Any, ClassVar

from guesthouse.errors import UserError
from guesthouse.virtual.storage.mapped import Kept, MappedImage, Piece, exactly
from guesthouse.virtual.storage.raw import File

FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
DYNAMIC_HEADER = struct.Struct(">8sQQIIII16sII512s192s256x")
COOKIE, DYNAMIC_COOKIE = b"conectix", b"cxsparse"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
NOWHERE = 0xFFFFFFFF
EPOCH = 946684800
"""Times count from the beginning of 2000."""

BLOCK = 2 << 20
LARGEST = 2040 << 30
BITMAPS = 256
"""Bitmaps kept, each of 512 bytes where blocks have the usual size."""


def checksum(data: bytes | bytearray, at: int) -> int:
    """The complement of the bytes' sum, those of the field itself left out."""
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


class VhdImage(MappedImage):
    """A fixed or dynamic VHD image."""

    format: ClassVar[str] = "vpc"

    def __init__(self, file: File) -> None:
        at = max(file.size - 512, 0)
        raw = exactly(file, at, 512, "the footer")
        if raw[:8] != COOKIE or checksum(raw, 64) != FOOTER.unpack(raw)[14]:
            raw = exactly(file, 0, 512, "the copy of the footer")
        footer = FOOTER.unpack(raw)
        if footer[0] != COOKIE:
            raise UserError("This is no VHD image; it has no footer.")
        if footer[14] != checksum(raw, 64):
            raise UserError("The VHD image is damaged: the checksums of its footers are wrong.")
        self._kind = footer[13]
        if self._kind == DIFFERENCING:
            raise UserError("This VHD image is a difference to another; merge them with their own program first.")
        if self._kind not in (FIXED, DYNAMIC):
            raise UserError(f"VHD images of type {self._kind} are not known; fixed and dynamic ones are.")
        super().__init__(file, footer[9])
        self._block = 0
        self._table = array("I")
        if self._kind == DYNAMIC:
            self._read_table(footer[3])
        elif self.size > at:
            raise UserError("The VHD image is damaged: it is shorter than the disk in it.")

    def _read_table(self, at: int) -> None:
        raw = exactly(self.file, at, 1024, "the header")
        header = DYNAMIC_HEADER.unpack(raw)
        if header[0] != DYNAMIC_COOKIE or header[6] != checksum(raw, 36):
            raise UserError("The VHD image is damaged: its header has no or a wrong checksum.")
        self._block = header[5]
        if not 4096 <= self._block <= 64 << 20 or self._block & self._block - 1:
            raise UserError(f"The VHD image is damaged: blocks of {self._block} bytes can't be.")
        count = -(-self.size // self._block)
        if header[4] < count:
            raise UserError("The VHD image is damaged: its blocks are fewer than its size needs.")
        self._table = array("I", exactly(self.file, header[2], 4 * count, "the table of blocks"))
        self._table.byteswap()
        self._bitmap = -(-self._block // (512 * 8) // 512) * 512
        self._bitmaps = Kept(self._read_bitmap, BITMAPS)

    def _read_bitmap(self, number: int) -> bytes:
        bitmap = bytearray(self._bitmap)
        self.file.preadv([memoryview(bitmap)], self._table[number] * 512)
        return bytes(bitmap)

    def locate(self, offset: int, length: int) -> Piece:
        """Look into the table and the block's bitmap, which tells what of it was written."""
        if self._kind == FIXED:
            return Piece(length, self.file, offset)
        number, inside = divmod(offset, self._block)
        length = min(length, self._block - inside)
        if self._table[number] == NOWHERE:
            return Piece(length)
        bitmap = self._bitmaps.get(number)
        sector, end = inside // 512, (inside + length) // 512
        stored = _bit(bitmap, sector)
        run = sector + 1
        while run < end and _bit(bitmap, run) == stored:
            run += 8 if run % 8 == 0 and run + 8 <= end and bitmap[run // 8] == 255 * stored else 1
        length = (run - sector) * 512
        if not stored:
            return Piece(length)
        return Piece(length, self.file, self._table[number] * 512 + self._bitmap + inside)

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Those of the table, each with its bitmap."""
        for number, sector in enumerate(self._table):
            if sector != NOWHERE:
                length = min(self._block, self.size - number * self._block)
                yield number, sector * 512, self._bitmap + length

    def info(self) -> dict[str, Any]:
        """The kind and the size of the blocks."""
        if self._kind == FIXED:
            return {"create-type": "fixed"}
        return {"cluster-size": self._block, "create-type": "dynamic"}


def _bit(bitmap: bytes, sector: int) -> int:
    return bitmap[sector // 8] >> (7 - sector % 8) & 1


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors a track, as the specification's appendix computes them."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    per_track, tracks = 17, sectors // 17
    heads = max((tracks + 1023) // 1024, 4)
    for per_track in (17, 31, 63):
        tracks = sectors // per_track
        heads = max((tracks + 1023) // 1024, 4) if per_track == 17 else 16
        if heads <= 16 and tracks < heads * 1024:
            break
    return tracks // heads, heads, per_track


class VhdWriter:
    """Writes a VHD image from its first block to its last."""

    block = BLOCK

    def __init__(self, file: File, size: int, fixed: bool = False) -> None:
        if size > LARGEST:
            raise UserError("A VHD image can't be larger than 2040 GiB; choose another format.")
        self._file = file
        self._size = size
        self._fixed = fixed
        self._table = array("I", [NOWHERE] * -(-size // BLOCK))
        self._end = 0 if fixed else 1536 + -(-4 * len(self._table) // 512) * 512

    def put(self, number: int, data: bytes) -> None:
        """Write a block; numbers rise."""
        if self._fixed:
            self._file.pwritev([data], number * BLOCK)
            return
        self._table[number] = self._end // 512
        self._file.pwritev([b"\xff" * 512, data.ljust(BLOCK, b"\0")], self._end)
        self._end += 512 + BLOCK

    def finish(self) -> None:
        """Write the footer and what leads to the blocks."""
        footer = self._footer()
        if self._fixed:
            self._file.pwritev([footer], self._size)
            return
        header = bytearray(
            DYNAMIC_HEADER.pack(
                DYNAMIC_COOKIE, (1 << 64) - 1, 1536, 0x10000, len(self._table), BLOCK, 0, bytes(16), 0, 0, b"", b""
            )
        )
        header[36:40] = checksum(header, 36).to_bytes(4, "big")
        self._table.byteswap()
        table = self._table.tobytes()
        self._file.pwritev([footer, bytes(header), table.ljust(-(-len(table) // 512) * 512, b"\xff")], 0)
        self._file.pwritev([footer], self._end)

    def _footer(self) -> bytes:
        # Readers take the size from the geometry unless they know the creator as one that means the size it writes.
        cylinders, heads, sectors = geometry(self._size // 512)
        footer = bytearray(
            FOOTER.pack(
                COOKIE, 2, 0x10000, (1 << 64) - 1 if self._fixed else 512, int(time.time()) - EPOCH, b"win ", 0xA0000,
                b"Wi2k", self._size, self._size, cylinders, heads, sectors, FIXED if self._fixed else DYNAMIC, 0,
                uuid.uuid4().bytes, 0,
            )
        )  # fmt: skip
        footer[64:68] = checksum(footer, 64).to_bytes(4, "big")
        return bytes(footer)
