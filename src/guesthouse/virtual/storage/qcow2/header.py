"""The header of a QCOW2 image: its fixed fields, its extensions and the name of the image it is based on."""

import struct

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.storage.raw import File, read_at

MAGIC = b"QFI\xfb"
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
LAZY_REFCOUNTS = 1
BITMAPS_VALID = 1
END, BACKING_FORMAT, FEATURE_NAMES, BITMAPS = 0, 0xE2792ACA, 0x6803F857, 0x23852875
OLD = struct.Struct(">4sIQIIQIIQQIIQ")
NEW = struct.Struct(">QQQII")
MOST_L1 = 32 << 20
"""The most bytes an L1 table or a refcount table may have; QEMU's bounds are the same or lower."""
LONGEST_NAME = 1023


class Header(msgspec.Struct):
    """What the first cluster says; offsets are bytes in the file."""

    version: int
    cluster_bits: int
    size: int
    l1_size: int = 0
    l1_offset: int = 0
    table_offset: int = 0
    table_clusters: int = 0
    snapshots: int = 0
    snapshots_offset: int = 0
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    compression: int = 0
    backing: str | None = None
    extensions: list[tuple[int, bytes]] = []
    length: int = 112
    unknown: bytes = b""
    """Fields of the header behind those known, kept as they are."""

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def l2_bits(self) -> int:
        """Logarithm of the entries of an L2 table."""
        return self.cluster_bits - 3

    def l1_needed(self, size: int) -> int:
        """Entries of an L1 table for a disk of `size` bytes."""
        return -(-size >> (self.cluster_bits + self.l2_bits)) if size else 0

    def extension(self, kind: int) -> bytes | None:
        """The data of one extension, None where there is none."""
        return next((data for number, data in self.extensions if number == kind), None)

    def set_extension(self, kind: int, data: bytes | None) -> None:
        """Put an extension in the place of the one of its kind, or take it away."""
        self.extensions = [(number, old) for number, old in self.extensions if number != kind]
        if data is not None:
            self.extensions.append((kind, data))

    def pack(self) -> bytes:
        """The bytes of the first cluster; raises `UserError` where they do not fit."""
        length = 72 if self.version == 2 else self.length
        extensions = b"".join(
            struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in self.extensions
        ) + bytes(8)
        name = (self.backing or "").encode("utf-8", "surrogateescape")
        old = OLD.pack(
            *(MAGIC, self.version, length + len(extensions) if name else 0, len(name), self.cluster_bits, self.size, 0),
            *(self.l1_size, self.l1_offset, self.table_offset, self.table_clusters),
            *(self.snapshots, self.snapshots_offset),
        )
        features = (self.incompatible, self.compatible, self.autoclear, self.refcount_order, length)
        new = b"" if self.version == 2 else NEW.pack(*features)
        if length > 104:
            new += bytes((self.compression,)) + bytes(7) + self.unknown
        data = old + new[: length - 72] + extensions + name
        if len(data) > self.cluster:
            raise UserError("The image's header has no room for that; use larger clusters or a shorter backing name.")
        return data.ljust(min(self.cluster, -(-len(data) // 512) * 512), b"\0")


def parse_header(file: File, described: str = "The QCOW2 image") -> Header:
    """Read and check the header; raises `UserError` for what is wrong or not known."""
    data = read_at(file, 0, 72 + 32)
    _, version, name_at, name_length, bits, size, crypt, l1, l1_at, table_at, table, snapshots, snapshots_at = (
        OLD.unpack_from(data)
    )
    if data[:4] != MAGIC or version not in (2, 3):
        raise UserError(f"{described} has version {version}; only 2 and 3 are known, convert it with a newer tool.")
    if not 9 <= bits <= 21:
        raise UserError(f"{described} is broken: clusters of 2^{bits} bytes; restore it from a copy.")
    header = Header(version, bits, size, l1, l1_at, table_at, table, snapshots, snapshots_at, length=72)
    if version == 3:
        features = NEW.unpack_from(data, 72)
        header.incompatible, header.compatible, header.autoclear, header.refcount_order, header.length = features
        if not 104 <= header.length <= header.cluster or header.length % 8 or header.refcount_order > 6:
            raise UserError(f"{described} is broken: its header makes no sense; restore it from a copy.")
        rest = read_at(file, 104, header.length - 104)
        header.compression, header.unknown = (rest[0] if rest else 0), rest[8:]
    _check_features(header, crypt, described)
    _check_places(header, file.size, described)
    first = read_at(file, 0, header.cluster)
    header.extensions = _extensions(first, header.length, name_at or header.cluster, described)
    if name_at:
        if name_length > LONGEST_NAME or name_at + name_length > header.cluster or name_at < header.length:
            raise UserError(f"{described} is broken: the name of its backing file; restore it from a copy.")
        header.backing = first[name_at : name_at + name_length].decode("utf-8", "surrogateescape")
    return header


def _check_features(header: Header, crypt: int, described: str) -> None:
    if crypt:
        raise UserError(f"{described} is encrypted, which is not known; decrypt it with `qemu-img convert` first.")
    if header.incompatible & EXTERNAL_DATA:
        raise UserError(f"{described} keeps its data in another file, which is not known; convert it first.")
    if header.incompatible & EXTENDED_L2:
        raise UserError(f"{described} has extended L2 entries, which are not known; convert it without extended_l2.")
    unknown = header.incompatible & ~(DIRTY | CORRUPT | COMPRESSION)
    if unknown or header.compression > 1:
        raise UserError(f"{described} needs features that are not known ({unknown:#x}); convert it with a newer tool.")


def _check_places(header: Header, behind: int, described: str) -> None:
    """Refuse tables that can't be where, or as large as, the header says."""
    aligned = (header.l1_offset | header.table_offset | header.snapshots_offset) % header.cluster == 0
    bounded = header.l1_size * 8 <= MOST_L1 and header.table_clusters << header.cluster_bits <= MOST_L1
    ends = (header.l1_offset + header.l1_size * 8, header.table_offset + 8, header.snapshots_offset)
    inside = max(ends) <= behind + header.cluster
    here = (not header.l1_size or header.l1_offset) and header.table_offset and header.table_clusters
    if header.size > 1 << 62 or header.l1_needed(header.size) * 8 > MOST_L1:
        raise UserError(f"{described} is too large for its clusters; no disk of {header.size} bytes can be used.")
    if not (aligned and bounded and inside and here) or header.snapshots > 65536:
        raise UserError(f"{described} is broken: its tables are in no possible place; restore it from a copy.")
    if header.l1_needed(header.size) > header.l1_size:
        raise UserError(f"{described} is broken: its L1 table is too short; restore it from a copy.")


def _extensions(first: bytes, at: int, end: int, described: str) -> list[tuple[int, bytes]]:
    found = []
    while at + 8 <= min(end, len(first)):
        kind, length = struct.unpack_from(">II", first, at)
        if kind == END:
            break
        if at + 8 + length > len(first):
            raise UserError(f"{described} is broken: an extension of its header is too long; restore it from a copy.")
        found.append((kind, first[at + 8 : at + 8 + length]))
        at += 8 + (length + 7 & ~7)
    return found
