"""The entries of a directory in batches, each with the position behind it: getdents64(2)."""

from __future__ import annotations

import ctypes
import os
import struct

from guesthouse.host.memory import LIBC

RECORD = struct.Struct("<QqHB")
"""linux_dirent64: inode, position of the next, length of the record, type; the name follows, ended by a zero byte."""
LEAST, MOST = 512, 1 << 16
"""Bytes of a batch; a record may take up 280."""


def read_entries(descriptor: int, size: int) -> list[tuple[int, int, int, bytes]]:
    """(inode, position behind it, d_type, name) of the next entries, [] at the end; from about `size` bytes."""
    buffer = ctypes.create_string_buffer(max(LEAST, min(size, MOST)))
    count = LIBC.getdents64(descriptor, buffer, len(buffer))
    if count < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    data = buffer.raw[:count]
    entries = []
    at = 0
    while at < count:
        inode, position, length, kind = RECORD.unpack_from(data, at)
        start = at + RECORD.size
        entries.append((inode, position, kind, data[start : data.index(0, start)]))
        at += length
    return entries
