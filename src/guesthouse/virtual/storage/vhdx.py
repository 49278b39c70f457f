"""VHDX, Hyper-V's format: two headers, two region tables, metadata, one table of blocks; everything has checksums.

Source: [MS-VHDX], Virtual Hard Disk v2 File Format. Read only; a file whose log is to be replayed is refused.
"""

import struct
import uuid
from array import array
from collections.abc import Iterator
from typing import Any, ClassVar

from guesthouse.errors import UserError
from guesthouse.virtual.storage.crc32c import crc32c
from guesthouse.virtual.storage.mapped import MappedImage, Piece, exactly
from guesthouse.virtual.storage.raw import File

SIGNATURE = b"vhdxfile"
KIB, MIB = 1 << 10, 1 << 20
HEADERS, REGIONS = (64 * KIB, 128 * KIB), (192 * KIB, 256 * KIB)
HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
REGION_TABLE, REGION = struct.Struct("<4sIII"), struct.Struct("<16sQII")
METADATA_TABLE, ITEM = struct.Struct("<8sHH20x"), struct.Struct("<16sIII4x")
MOST_REGIONS = MOST_ITEMS = 2047


def _identity(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


BLOCK_TABLE = _identity("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = _identity("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS = _identity("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
DISK_SIZE = _identity("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
LOGICAL_SECTOR = _identity("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
KNOWN_REGIONS = {BLOCK_TABLE, METADATA}
OTHER_ITEMS = {
    _identity("BECA12AB-B2E6-4523-93EF-C309E000C746"),  # page 83 data
    _identity("CDA348C7-445D-4471-9CC9-E9885251C556"),  # physical sector size
    _identity("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"),  # parent locator
}
REQUIRED_ITEM, HAS_PARENT, LEAVE_ALLOCATED = 4, 2, 1

PRESENT = 6
PARTLY = 7


class VhdxImage(MappedImage):
    """A dynamic or fixed VHDX image."""

    format: ClassVar[str] = "vhdx"

    def __init__(self, file: File) -> None:
        if exactly(file, 0, 8, "the header") != SIGNATURE:
            raise UserError("This is no VHDX image; its header has another signature.")
        _check_header(file)
        regions = _regions(file)
        items = _items(file, *regions[METADATA])
        self._block, flags = struct.unpack("<II", _item(items, FILE_PARAMETERS, 8))
        (size,) = struct.unpack("<Q", _item(items, DISK_SIZE, 8))
        (self._sector,) = struct.unpack("<I", _item(items, LOGICAL_SECTOR, 4))
        if flags & HAS_PARENT:
            raise UserError("This VHDX image is a difference to another; merge them with Hyper-V first.")
        super().__init__(file, size)
        if not MIB <= self._block <= 256 * MIB or self._block & self._block - 1 or self._sector not in (512, 4096):
            raise UserError(f"The VHDX image is damaged: blocks of {self._block} bytes can't be.")
        self._fixed = bool(flags & LEAVE_ALLOCATED)
        self._ratio = (1 << 23) * self._sector // self._block
        count = -(-size // self._block)
        entries = count + (count - 1) // self._ratio
        at, length = regions[BLOCK_TABLE]
        if 8 * entries > length:
            raise UserError("The VHDX image is damaged: its blocks are fewer than its size needs.")
        self._count = count
        self._table = array("Q", exactly(file, at, 8 * entries, "the table of blocks"))

    def _entry(self, number: int) -> int:
        """A block's; behind as many as one bitmap is for, there is one for the bitmap."""
        entry: int = self._table[number + number // self._ratio]
        return entry

    def locate(self, offset: int, length: int) -> Piece:
        """Look into the table."""
        number, inside = divmod(offset, self._block)
        length = min(length, self._block - inside)
        entry = self._entry(number)
        if entry & 7 == PARTLY:
            raise OSError("a block is said to be in the parent, and there is none")
        if entry & 7 != PRESENT:
            return Piece(length)
        return Piece(length, self.file, (entry >> 20) * MIB + inside)

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Those of the table that are stored."""
        for number in range(self._count):
            if self._entry(number) & 7 == PRESENT:
                yield number, (self._entry(number) >> 20) * MIB, self._block

    def info(self) -> dict[str, Any]:
        """The kind and the sizes of blocks and sectors."""
        kind = "fixed" if self._fixed else "dynamic"
        return {"cluster-size": self._block, "create-type": kind, "sector-size": self._sector}


def _check_header(file: File) -> None:
    """Of the two, the sound one with the higher number counts."""
    found = []
    for at in HEADERS:
        raw = exactly(file, at, 4096, "a header")
        header = HEADER.unpack_from(raw)
        if header[0] == b"head" and header[1] == crc32c(raw[:4] + bytes(4) + raw[8:]):
            found.append(header)
    if not found:
        raise UserError("The VHDX image is damaged: the checksums of both its headers are wrong.")
    header = max(found, key=lambda header: int(header[2]))
    if header[7] != 1:
        raise UserError(f"VHDX of version {header[7]} is not known; version 1 is.")
    if any(header[5]):
        raise UserError(
            "The VHDX image was not closed properly, its log is still to be replayed; open it once with the program "
            "that made it (or `qemu-img check -r all FILE`), then try again."
        )


def _regions(file: File) -> dict[bytes, tuple[int, int]]:
    """Where the table of blocks and the metadata are: offset and length in bytes."""
    for at in REGIONS:
        raw = exactly(file, at, 64 * KIB, "the region table")
        signature, checksum, count, _ = REGION_TABLE.unpack_from(raw)
        if signature != b"regi" or count > MOST_REGIONS or checksum != crc32c(raw[:4] + bytes(4) + raw[8:]):
            continue
        regions = {}
        for index in range(count):
            identity, offset, length, required = REGION.unpack_from(raw, 16 + 32 * index)
            if identity not in KNOWN_REGIONS and required & 1:
                raise UserError(f"The VHDX image needs a region that is not known: {uuid.UUID(bytes_le=identity)}.")
            regions[identity] = offset, length
        if regions.keys() >= KNOWN_REGIONS:
            return regions
    raise UserError("The VHDX image is damaged: neither of its region tables is sound.")


def _items(file: File, at: int, length: int) -> dict[bytes, bytes]:
    """The metadata items by identity."""
    raw = exactly(file, at, 64 * KIB, "the metadata")
    signature, _, count = METADATA_TABLE.unpack_from(raw)
    if signature != b"metadata" or count > MOST_ITEMS:
        raise UserError("The VHDX image is damaged: it has no metadata.")
    items = {}
    for index in range(count):
        identity, offset, size, flags = ITEM.unpack_from(raw, 32 + 32 * index)
        if identity in (FILE_PARAMETERS, DISK_SIZE, LOGICAL_SECTOR):
            if offset + size > length or size > 64 * KIB:
                raise UserError("The VHDX image is damaged: a metadata item lies outside the metadata.")
            items[identity] = exactly(file, at + offset, size, "a metadata item")
        elif flags & REQUIRED_ITEM and identity not in OTHER_ITEMS:
            raise UserError(f"The VHDX image needs metadata that is not known: {uuid.UUID(bytes_le=identity)}.")
    return items


def _item(items: dict[bytes, bytes], identity: bytes, length: int) -> bytes:
    item = items.get(identity, b"")
    if len(item) < length:
        raise UserError("The VHDX image is damaged: an item of its metadata is missing.")
    return item[:length]
