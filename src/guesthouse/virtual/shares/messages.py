"""9P2000.L messages: what each consists of, and how they are read and written.

A message is size[4] type[1] tag[2] and fields, little-endian; a string is a length[2] and so many bytes; a qid names a
file: type[1] version[4] path[8]. Sources: the manual pages of 9P2000 (intro(5) and the others), diod's protocol.md and
the Linux kernel's include/net/9p/9p.h for what 9P2000.L adds.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

HEAD = struct.Struct("<IBH")
QID = struct.Struct("<BIQ")
READ_HEAD = struct.Struct("<IBHI")
"""What stands before the data of an answer to `read`."""
NO_TAG, NO_FID, NO_USER = 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF
VERSION = b"9P2000.L"
LEAST_SIZE, MOST_SIZE = 4096, 512 << 10
"""Bytes that a message may have at most, as the two sides agree (`msize`)."""
IO_HEAD = 24
"""Bytes that clients leave for the head of a message with data."""
MOST_NAMES = 16
"""Names of one walk (`MAXWELEM`)."""
ERROR = 7
RESET, RESET_DONE = 0, 1
"""Not of the protocol: the device's own, between it and its server, where the guest has reset it."""

OPTIONS = struct.Struct("<?II")
"""What the server is told first: whether the share is read-only, the guest's user and group that the host's are."""

DIRECTORY_QID, LINK_QID = 0x80, 0x02

_FIELDS = {
    "statfs": (8, "fid:4"),
    "lopen": (12, "fid:4 flags:4"),
    "lcreate": (14, "fid:4 name:s flags:4 mode:4 gid:4"),
    "symlink": (16, "fid:4 name:s target:s gid:4"),
    "mknod": (18, "fid:4 name:s mode:4 major:4 minor:4 gid:4"),
    "rename": (20, "fid:4 directory:4 name:s"),
    "readlink": (22, "fid:4"),
    "getattr": (24, "fid:4 mask:8"),
    "setattr": (26, "fid:4 valid:4 mode:4 uid:4 gid:4 size:8 atime:8 atime_ns:8 mtime:8 mtime_ns:8"),
    "xattrwalk": (30, "fid:4 new:4 name:s"),
    "xattrcreate": (32, "fid:4 name:s size:8 flags:4"),
    "readdir": (40, "fid:4 offset:8 count:4"),
    "fsync": (50, "fid:4 data_only:4"),
    "lock": (52, "fid:4 kind:1 flags:4 start:8 length:8 process:4 client:s"),
    "getlock": (54, "fid:4 kind:1 start:8 length:8 process:4 client:s"),
    "link": (70, "directory:4 fid:4 name:s"),
    "mkdir": (72, "fid:4 name:s mode:4 gid:4"),
    "renameat": (74, "old:4 old_name:s new:4 new_name:s"),
    "unlinkat": (76, "fid:4 name:s flags:4"),
    "version": (100, "size:4 version:s"),
    "auth": (102, "fid:4 user:s tree:s uid:4"),
    "attach": (104, "fid:4 auth:4 user:s tree:s uid:4"),
    "flush": (108, "tag:2"),
    "walk": (110, "fid:4 new:4 names:n"),
    "read": (116, "fid:4 offset:8 count:4"),
    "write": (118, "fid:4 offset:8 data:d"),
    "clunk": (120, "fid:4"),
    "remove": (122, "fid:4"),
}
_LETTERS = {"1": "B", "2": "H", "4": "I", "8": "Q"}
_LENGTH = struct.Struct("<H")
_COUNT = struct.Struct("<I")

NUMBERS = {name: number for name, (number, _) in _FIELDS.items()}
"""The type of each request by its name; its answer's is one more."""


class Malformed(Exception):
    """A message that is not what its type says."""


class _Special(IntEnum):
    STRING, NAMES, DATA = range(3)


class Layout(NamedTuple):
    """How a type of request is read: its name, the names of its fields, and what they are, run by run."""

    name: str
    fields: tuple[str, ...]
    runs: tuple[struct.Struct | _Special, ...]


def _layout(name: str, text: str) -> Layout:
    fields = [field.split(":") for field in text.split()]
    runs: list[struct.Struct | _Special] = []
    letters = ""
    for _, kind in [*fields, ("", "")]:
        if kind in _LETTERS:
            letters += _LETTERS[kind]
            continue
        if letters:
            runs.append(struct.Struct("<" + letters))
            letters = ""
        if kind:
            runs.append(_Special("snd".index(kind)))
    return Layout(name, tuple(field for field, _ in fields), tuple(runs))


LAYOUTS = {number: _layout(name, text) for name, (number, text) in _FIELDS.items()}
"""How requests are read, by type."""


def decode(layout: Layout, message: memoryview) -> list[Any]:
    """The fields of a request, in order: integers, strings as bytes, names as a list, data as a view of the message.

    Raises `Malformed` where the message does not hold exactly these.
    """
    values: list[Any] = []
    at = HEAD.size
    try:
        for run in layout.runs:
            if isinstance(run, struct.Struct):
                values += run.unpack_from(message, at)
                at += run.size
            elif run is _Special.STRING:
                text, at = _string(message, at)
                values.append(text)
            elif run is _Special.NAMES:
                names, at = _names(message, at)
                values.append(names)
            else:
                (count,) = _COUNT.unpack_from(message, at)
                at += _COUNT.size
                values.append(message[at : at + count])
                at += count
    except struct.error as error:
        raise Malformed(f"{layout.name} is cut short") from error
    if at != len(message):
        raise Malformed(f"{layout.name} has {len(message)} bytes, not {at}")
    return values


def _string(message: memoryview, at: int) -> tuple[bytes, int]:
    (length,) = _LENGTH.unpack_from(message, at)
    start = at + _LENGTH.size
    end = start + length
    if end > len(message):
        raise Malformed("a string is cut short")
    return bytes(message[start:end]), end


def _names(message: memoryview, at: int) -> tuple[list[bytes], int]:
    (count,) = _LENGTH.unpack_from(message, at)
    at += _LENGTH.size
    if count > MOST_NAMES:
        raise Malformed("a walk of too many names")
    names = []
    for _ in range(count):
        name, at = _string(message, at)
        names.append(name)
    return names, at


def encode(request: str, tag: int, /, **fields: Any) -> bytes:
    """A request, as a client writes it; for tests and tools."""
    number, text = _FIELDS[request]
    body = b""
    for field, kind in (item.split(":") for item in text.split()):
        value = fields[field]
        if kind in _LETTERS:
            body += struct.pack("<" + _LETTERS[kind], value)
        elif kind == "s":
            body += string(value)
        elif kind == "n":
            body += _LENGTH.pack(len(value)) + b"".join(map(string, value))
        else:
            body += _COUNT.pack(len(value)) + bytes(value)
    return HEAD.pack(HEAD.size + len(body), number, tag) + body


def string(value: bytes) -> bytes:
    """A string as messages hold it."""
    return _LENGTH.pack(len(value)) + value


def answer(kind: int, tag: int, body: bytes | bytearray | Sequence[bytes]) -> bytes:
    """A whole answer of type `kind`."""
    if not isinstance(body, bytes | bytearray):
        body = b"".join(body)
    return HEAD.pack(HEAD.size + len(body), kind, tag) + body


def error_answer(tag: int, number: int) -> bytes:
    """The answer that tells an error, by Linux's number."""
    return HEAD.pack(HEAD.size + 4, ERROR, tag) + _COUNT.pack(number)
