"""Writes ISO 9660 images of one folder: files that a guest reads straight from a read-only disk.

Source: ECMA-119 (ISO 9660), interchange level 1. Linux shows the names in small letters and without the version.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from guesthouse.errors import UserError

SECTOR = 2048
SYSTEM_AREA = 16
_NAME = re.compile(r"[a-z0-9_]{1,8}(\.[a-z0-9_]{1,3})?\Z")
_LONGEST = (1 << 32) - 1


class Place(msgspec.Struct, frozen=True):
    """A file on the image: its name, and the offset and length of its content in bytes."""

    name: str
    offset: int
    size: int


class IsoWriter:
    """Writes an image into a file as its files come: nothing is kept but where they are."""

    def __init__(self, target: IO[bytes], names: Sequence[str], label: str) -> None:
        """`names` are those of all files that will be added, such as `p0001.deb`.

        Raises UserError for a name that the format hasn't, and for two of one name.
        """
        if len(set(names)) != len(names) or not all(_NAME.match(name) for name in names):
            raise UserError("A file of the disk has a name that ISO 9660 has not, or that of another; use 8.3 letters.")
        self._target = target
        self._label = label
        self._missing = set(names)
        self._tables = SYSTEM_AREA + 2
        self._root = self._tables + 2
        self._root_sectors = _directory_sectors(names)
        self._sector = self._root + self._root_sectors
        self._places: list[Place] = []

    def add(self, name: str, data: bytes) -> None:
        """The next file; raises UserError where it was not announced or is as long as 4 GiB."""
        if name not in self._missing or len(data) > _LONGEST:
            raise UserError(f"The disk's file {name} was not announced, or is larger than 4 GiB.")
        self._missing.discard(name)
        self._places.append(Place(name, self._sector * SECTOR, len(data)))
        self._target.seek(self._sector * SECTOR)
        self._target.write(data + bytes(-len(data) % SECTOR))
        self._sector += -(-len(data) // SECTOR)

    def finish(self) -> tuple[Place, ...]:
        """Write what stands before the files, whose places it returns; raises UserError where one has not come."""
        if self._missing:
            raise UserError(f"The disk's file {min(self._missing)} has not come.")
        own = _record(b"\0", self._root, self._root_sectors * SECTOR, 2)
        descriptor = _primary_descriptor(self._label, self._sector, self._tables, own)
        terminator = b"\xffCD001\x01".ljust(SECTOR, b"\0")
        paths = [struct.pack(order + "BBIH", 1, 0, self._root, 1) + b"\0\0" for order in "<>"]
        places = sorted(self._places, key=lambda place: place.name)
        self._target.seek(SYSTEM_AREA * SECTOR)
        self._target.write(descriptor + terminator + b"".join(path.ljust(SECTOR, b"\0") for path in paths))
        self._target.write(_directory(own, self._root, self._root_sectors, places))
        self._target.truncate(self._sector * SECTOR)
        return tuple(places)


def _identifier(name: str) -> bytes:
    return (name.upper() if "." in name else name.upper() + ".").encode() + b";1"


def _record(identifier: bytes, sector: int, size: int, flags: int) -> bytes:
    """A directory record (9.1); numbers stand in both byte orders. The time is 1980-01-01."""
    length = 33 + len(identifier) + (len(identifier) + 1) % 2
    record = struct.pack("<BB", length, 0) + _both32(sector) + _both32(size) + bytes((80, 1, 1, 0, 0, 0, 0))
    record += bytes((flags, 0, 0)) + _both16(1) + bytes((len(identifier),)) + identifier
    return record.ljust(length, b"\0")


def _both32(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both16(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _primary_descriptor(label: str, sectors: int, tables: int, root: bytes) -> bytes:
    """The volume (8.4); dates are "not specified"."""
    text = b"\x01CD001\x01\0" + b" " * 32 + label.upper()[:32].encode("ascii", "replace").ljust(32)
    text += bytes(8) + _both32(sectors) + bytes(32) + _both16(1) + _both16(1) + _both16(SECTOR) + _both32(10)
    text += struct.pack("<II", tables, 0) + struct.pack(">II", tables + 1, 0) + root
    text += b" " * (128 * 4 + 37 * 3) + (b"0" * 16 + b"\0") * 4 + b"\x01"
    return text.ljust(SECTOR, b"\0")


def _records(places: Sequence[Place]) -> Iterator[bytes]:
    for place in places:
        yield _record(_identifier(place.name), place.offset // SECTOR, place.size, 0)


def _directory_sectors(names: Sequence[str]) -> int:
    """Sectors that the folder takes: a record never crosses from one into the next."""
    lengths = [34, 34, *(len(_record(_identifier(name), 0, 0, 0)) for name in sorted(names))]
    sectors, room = 1, SECTOR
    for length in lengths:
        if length > room:
            sectors, room = sectors + 1, SECTOR
        room -= length
    return sectors


def _directory(own: bytes, root: int, sectors: int, places: Sequence[Place]) -> bytes:
    parent = _record(b"\x01", root, sectors * SECTOR, 2)
    result = own + parent
    for record in _records(places):
        if len(record) > -len(result) % SECTOR and len(result) % SECTOR:
            result += bytes(-len(result) % SECTOR)
        result += record
    return result.ljust(sectors * SECTOR, b"\0")
