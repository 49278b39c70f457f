"""The snapshots inside an image: their table."""

import struct

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.storage.qcow2.header import Header
from guesthouse.virtual.storage.raw import File, read_at

FIXED = struct.Struct(">QIHHIIQII")


class Snapshot(msgspec.Struct, frozen=True):
    """One snapshot: where its L1 table is, and what it is called; `size` is that of the disk then, in bytes."""

    l1_offset: int
    l1_size: int
    identity: str
    name: str
    seconds: int
    size: int


def snapshots(file: File, header: Header) -> tuple[list[Snapshot], int]:
    """All snapshots, and the length of their table in bytes; raises `UserError` for a table that is broken."""
    found: list[Snapshot] = []
    at = start = header.snapshots_offset
    for _ in range(header.snapshots):
        l1, l1_size, identity, name, seconds, _, _, _, extra = FIXED.unpack(read_at(file, at, FIXED.size))
        if extra > 1024 or at - start > 64 << 20 or l1_size * 8 > 32 << 20 or at > file.size:
            raise UserError("The image's table of snapshots is broken; restore the image from a copy.")
        rest = read_at(file, at + FIXED.size, extra + identity + name)
        size = int.from_bytes(rest[8:16], "big") if extra >= 16 else header.size
        texts = rest[extra : extra + identity].decode("utf-8", "replace")
        label = rest[extra + identity :].decode("utf-8", "replace")
        found.append(Snapshot(l1, l1_size, texts, label, seconds, size))
        at += FIXED.size + len(rest) + 7 & ~7
    return found, at - start
