"""Writes initramfs archives in the `newc` form of cpio, the same bytes for the same content.

Source: the kernel's documentation, "initramfs buffer format" (early-userspace/buffer-format).
"""

import stat
from collections.abc import Iterable

import msgspec

from guesthouse.errors import UserError

TRAILER = "TRAILER!!!"


class Entry(msgspec.Struct, frozen=True):
    """One file of an archive; make it with `directory`, `file`, `symlink` or `device`.

    `path` has no leading slash; `mode` holds the type and the permissions as in stat(2).
    """

    path: str
    mode: int
    data: bytes = b""
    major: int = 0
    minor: int = 0


def directory(path: str, permissions: int = 0o755) -> Entry:
    """A directory, which must come before what is in it."""
    return Entry(path, stat.S_IFDIR | permissions)


def file(path: str, data: bytes, permissions: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | permissions, data)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link at `path` that holds `target`."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def device(path: str, kind: str, major: int, minor: int, permissions: int = 0o600) -> Entry:
    """A device node; `kind` is "c" (character) or "b" (block)."""
    return Entry(path, {"c": stat.S_IFCHR, "b": stat.S_IFBLK}[kind] | permissions, b"", major, minor)


def pack(entries: Iterable[Entry]) -> bytes:
    """The archive of these entries in this order: owner root, time 0, inode numbers counted from 1.

    Raises UserError where two entries have one path or an entry comes before its directory.
    """
    result = bytearray()
    seen = {"", "."}
    for number, entry in enumerate(entries, 1):
        parent = entry.path.rpartition("/")[0]
        if entry.path in seen or parent not in seen:
            raise UserError(f"The archive's entry {entry.path!r} is there twice or has no directory before it.")
        seen.add(entry.path)
        result += _member(entry, number)
    result += _member(Entry(TRAILER, 0), 0)
    return bytes(result) + bytes(-len(result) % 512)


def _member(entry: Entry, inode: int) -> bytes:
    """Header, name and data, each padded to four bytes."""
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, entry.major, entry.minor, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
    return head + bytes(-len(head) % 4) + entry.data + bytes(-len(entry.data) % 4)
