"""VDI, VirtualBox's format: a header, one table of blocks, the blocks in the order they were first written."""

import struct
import uuid
from array import array
from collections.abc import Iterator
from typing import Any, ClassVar

from guesthouse.errors import UserError
from guesthouse.virtual.storage.mapped import MappedImage, Piece, exactly
from guesthouse.virtual.storage.raw import File

SIGNATURE = 0xBEDA107F
HEADER = struct.Struct("<64sIIIII256sIIIIIIIQIIII16s16s16s16s")
HEADER_SIZE, VERSION = 0x180, 0x00010001
DYNAMIC, FIXED, DIFFERENCING = 1, 2, 4
FREE, ZERO = 0xFFFFFFFF, 0xFFFFFFFE
BLOCK = 1 << 20
BLOCKS = range(512, (64 << 20) + 1)
TEXT = b"<<< Oracle VM VirtualBox Disk Image >>>\n"  # what VirtualBox itself looks for is the signature


class VdiImage(MappedImage):
    """A dynamic or fixed VDI image."""

    format: ClassVar[str] = "vdi"

    def __init__(self, file: File) -> None:
        header = HEADER.unpack(exactly(file, 0, HEADER.size, "the header"))
        signature, version, self._kind = header[1], header[2], header[4]
        table, self._data = header[7], header[8]
        self._block, extra, count = header[15], header[16], header[17]
        if signature != SIGNATURE:
            raise UserError("This is no VDI image; its header has another signature.")
        if version >> 16 != 1:
            raise UserError(f"VDI of version {version >> 16}.{version & 0xFFFF} is not known; version 1.1 is.")
        if self._kind == DIFFERENCING or any(header[22]):
            raise UserError("This VDI image is a difference to another; merge them with VirtualBox first.")
        if self._kind not in (DYNAMIC, FIXED):
            raise UserError(f"VDI images of type {self._kind} are not known; dynamic and fixed ones are.")
        size = -(-header[14] // 512) * 512
        super().__init__(file, size)
        if self._block not in BLOCKS or self._block & self._block - 1 or extra:
            raise UserError(f"The VDI image is damaged: blocks of {self._block} and {extra} bytes can't be.")
        if count < -(-size // self._block):
            raise UserError("The VDI image is damaged: its blocks are fewer than its size needs.")
        count = -(-size // self._block)
        self._table = array("I", exactly(file, table, 4 * count, "the table of blocks"))

    def locate(self, offset: int, length: int) -> Piece:
        """Look into the table."""
        number, inside = divmod(offset, self._block)
        length = min(length, self._block - inside)
        place = self._table[number]
        if place >= ZERO:
            return Piece(length)
        return Piece(length, self.file, self._data + place * self._block + inside)

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Those of the table; the last may be cut short with the disk."""
        for number, place in enumerate(self._table):
            if place < ZERO:
                length = min(self._block, self.size - number * self._block)
                yield number, self._data + place * self._block, length

    def info(self) -> dict[str, Any]:
        """The kind and the size of the blocks."""
        return {"cluster-size": self._block, "create-type": "fixed" if self._kind == FIXED else "dynamic"}


class VdiWriter:
    """Writes a VDI image from its first block to its last."""

    block = BLOCK

    def __init__(self, file: File, size: int, fixed: bool = False) -> None:
        self._file = file
        self._size = size
        self._fixed = fixed
        count = -(-size // BLOCK)
        if 4 * count > 64 << 20:
            raise UserError("A VDI image can't be larger than 16 TiB; choose another format.")
        self._table = array("I", range(count) if fixed else [FREE] * count)
        self._data = -(-(512 + 4 * count) // BLOCK) * BLOCK
        self._used = count if fixed else 0
        if fixed:
            file.truncate(self._data + count * BLOCK)

    def put(self, number: int, data: bytes) -> None:
        """Write a block; numbers rise."""
        if not self._fixed:
            self._table[number] = self._used
            self._used += 1
        self._file.pwritev([data.ljust(BLOCK, b"\0")], self._data + self._table[number] * BLOCK)

    def finish(self) -> None:
        """Write the table and the header."""
        count = len(self._table)
        kind = FIXED if self._fixed else DYNAMIC
        header = HEADER.pack(
            TEXT, SIGNATURE, VERSION, HEADER_SIZE, kind, 0, b"", 512, self._data, 0, 0, 0, 512, 0, self._size,
            BLOCK, 0, count, self._used, uuid.uuid4().bytes_le, uuid.uuid4().bytes_le, bytes(16), bytes(16),
        )  # fmt: skip
        self._file.pwritev([header.ljust(512, b"\0"), self._table.tobytes()], 0)
        if self._file.size < self._data:
            self._file.truncate(self._data)
