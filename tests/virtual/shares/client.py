"""A small 9P client that speaks to a server directly, and what tests of servers share."""

import os
import struct
from pathlib import Path
from typing import Any

from guesthouse.virtual.shares.companion import open_server
from guesthouse.virtual.shares.messages import ERROR, HEAD, NO_FID, NO_TAG, NO_USER, NUMBERS, QID, encode

MSIZE = 64 << 10
WRITE, READ_WRITE, EXCLUSIVE, TRUNCATE, APPEND = 1, 2, 0o200, 0o1000, 0o2000
REMOVE_DIRECTORY = 0x200


class Attributes:
    """What `getattr` answers."""

    def __init__(self, body: bytes) -> None:
        (self.valid,) = struct.unpack_from("<Q", body)
        self.qid = QID.unpack_from(body, 8)
        fields = struct.unpack_from("<IIIQQQQQ14q", body, 21)
        self.mode, self.uid, self.gid, self.links, self.device, self.size, self.block, self.blocks = fields[:8]
        self.accessed, self.modified = fields[8] * 10**9 + fields[9], fields[10] * 10**9 + fields[11]


class Client:
    """Requests by name to the server of a folder; errors are raised as `OSError`. Fid 0 is the folder."""

    def __init__(
        self, folder: Path, readonly: bool = False, uid: int = 0, gid: int = 0, limit: int = 400, user: int = NO_USER
    ) -> None:
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.server = open_server(self.descriptor, readonly, uid, gid, limit)
        self.next = 1
        self.ask("version", size=MSIZE, version=b"9P2000.L")
        self.ask("attach", fid=0, auth=NO_FID, user=b"", tree=b"", uid=user)

    def ask(self, request: str, /, **fields: Any) -> bytes:
        """The body of the answer."""
        tag = NO_TAG if request == "version" else 7
        answer = bytes(self.server.answer(memoryview(bytearray(encode(request, tag, **fields)))))
        size, kind, answered = HEAD.unpack_from(answer)
        assert (size, answered) == (len(answer), tag)
        if kind == ERROR:
            (number,) = struct.unpack_from("<I", answer, HEAD.size)
            raise OSError(number, os.strerror(number))
        assert kind == NUMBERS[request] + 1
        return answer[HEAD.size :]

    def fid(self) -> int:
        """A number that is no fid yet."""
        self.next += 1
        return self.next

    def walk(self, path: str | bytes = b"", fid: int = 0) -> int:
        """A new fid for a path."""
        names = [name for name in (path.encode() if isinstance(path, str) else path).split(b"/") if name]
        new = self.fid()
        body = self.ask("walk", fid=fid, new=new, names=names)
        if struct.unpack_from("<H", body)[0] < len(names):
            raise FileNotFoundError(2, "walked only a part")
        return new

    def clunk(self, fid: int) -> None:
        self.ask("clunk", fid=fid)

    def open(self, path: str | bytes, flags: int = 0) -> int:
        fid = self.walk(path)
        try:
            self.ask("lopen", fid=fid, flags=flags)
        except OSError:
            self.clunk(fid)
            raise
        return fid

    def create(self, folder: str | bytes, name: bytes, flags: int = READ_WRITE, mode: int = 0o644, gid: int = 0) -> int:
        fid = self.walk(folder)
        try:
            self.ask("lcreate", fid=fid, name=name, flags=flags, mode=mode, gid=gid)
        except OSError:
            self.clunk(fid)
            raise
        return fid

    def read(self, fid: int, offset: int, count: int) -> bytes:
        body = self.ask("read", fid=fid, offset=offset, count=count)
        assert struct.unpack_from("<I", body)[0] == len(body) - 4
        return body[4:]

    def write(self, fid: int, offset: int, data: bytes) -> int:
        return int(struct.unpack("<I", self.ask("write", fid=fid, offset=offset, data=data))[0])

    def getattr(self, fid: int) -> Attributes:
        return Attributes(self.ask("getattr", fid=fid, mask=0x7FF))

    def stat(self, path: str | bytes) -> Attributes:
        fid = self.walk(path)
        try:
            return self.getattr(fid)
        finally:
            self.clunk(fid)

    def setattr(self, fid: int, valid: int, **given: int) -> None:
        names = ("mode", "uid", "gid", "size", "atime", "atime_ns", "mtime", "mtime_ns")
        self.ask("setattr", fid=fid, valid=valid, **{name: given.get(name, 0) for name in names})

    def names(self, path: str | bytes, count: int = 4096) -> list[bytes]:
        """The names in a directory, sorted, without the dots."""
        return sorted(name for name, _, _ in self.entries(path, count) if name not in (b".", b".."))

    def entries(self, path: str | bytes, count: int = 4096) -> list[tuple[bytes, int, int]]:
        """(name, d_type, inode) of all entries."""
        fid = self.open(path)
        found, offset = [], 0
        while body := self.ask("readdir", fid=fid, offset=offset, count=count)[4:]:
            assert len(body) <= count
            at = 0
            while at < len(body):
                _, _, inode, offset, kind, length = struct.unpack_from("<BIQQBH", body, at)
                at += 24
                found.append((body[at : at + length], kind, inode))
                at += length
        self.clunk(fid)
        return found

    def attribute(self, path: str | bytes, name: bytes) -> bytes:
        """An extended attribute; the list of their names for b""."""
        fid, new = self.walk(path), self.fid()
        try:
            (size,) = struct.unpack("<Q", self.ask("xattrwalk", fid=fid, new=new, name=name))
            content = self.read(new, 0, 65536)
            assert len(content) == size
            self.clunk(new)
        finally:
            self.clunk(fid)
        return content

    def set_attribute(self, path: str | bytes, name: bytes, value: bytes, flags: int = 0) -> None:
        fid = self.walk(path)
        try:
            self.ask("xattrcreate", fid=fid, name=name, size=len(value), flags=flags)
        except OSError:
            self.clunk(fid)
            raise
        for start in range(0, len(value), 1000):
            self.write(fid, start, value[start : start + 1000])
        self.clunk(fid)
