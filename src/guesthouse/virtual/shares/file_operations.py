"""Operations on files: open, create, read, write, fsync, lock, getlock, statfs."""

import errno
import os
import stat
import struct
from collections.abc import Callable
from typing import Generic

from guesthouse.virtual.shares.fids import Attribute, Fid, failure
from guesthouse.virtual.shares.folder import OpenFile, PlaceType
from guesthouse.virtual.shares.locks import LAST, UNLOCK, bounds
from guesthouse.virtual.shares.messages import IO_HEAD, MOST_SIZE, READ_HEAD, string
from guesthouse.virtual.shares.session import LARGEST, Session

ACCESS, TRUNCATE, APPEND, EXCLUSIVE, DATA_SYNC, SYNC = 0o3, 0o1000, 0o2000, 0o200, 0o1_0000, 0o401_0000
"""Flags of open as the protocol has them (Linux's on most processors)."""
PAGE = 4096
MAGIC = 0x0102_1997
STATFS = struct.Struct("<IIQQQQQQI")
GETLOCK = struct.Struct("<BQQI")
LONGEST_CLIENT = 256
CHANGES_MODE = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_RDWR}


class FileOperations(Generic[PlaceType]):
    """Each method is a request, and returns the body of its answer; `read` the whole answer, but for its head."""

    def __init__(self, session: Session[PlaceType]) -> None:
        self._session = session
        self._answer = memoryview(bytearray(READ_HEAD.size + MOST_SIZE - IO_HEAD))

    def _flags(self, flags: int) -> int:
        """What the host is to open a file with; raises where that is not allowed."""
        access = CHANGES_MODE.get(flags & ACCESS)
        if access is None:
            raise failure(errno.EINVAL)
        if access != os.O_RDONLY or flags & TRUNCATE:
            self._session.check_change()
        for theirs, ours in ((TRUNCATE, os.O_TRUNC), (APPEND, os.O_APPEND), (DATA_SYNC, os.O_DSYNC), (SYNC, os.O_SYNC)):
            if flags & theirs == theirs:
                access |= ours
        return access

    def _unit(self) -> int:
        """The most bytes that a client should read or write at once: whole pages."""
        return self._session.room // PAGE * PAGE

    def lopen(self, fid: int, flags: int) -> bytes:
        """Open a regular file or a directory."""
        session = self._session
        opening = session.directory(fid)
        host_flags = self._flags(flags)
        session.fids.check_files()
        found = session.folder.stat(opening.place)
        session.fids.opened(opening, session.folder.open(opening.place, host_flags), bool(flags & ACCESS))
        return session.qid(found) + struct.pack("<I", self._unit())

    def lcreate(self, fid: int, name: bytes, flags: int, mode: int, gid: int) -> bytes:
        """Make a file where it is not there, and open it: the directory's fid stands for it then."""
        session, folder = self._session, self._session.folder
        session.check_change()
        directory = session.directory(fid)
        session.fids.check_files()
        host_flags = self._flags(flags) | (os.O_EXCL if flags & EXCLUSIVE else 0)
        host_mode = session.ownership.host_mode(mode, directory=False)
        place, file, made = folder.create(directory.place, name, host_flags, host_mode)
        try:
            found = file.stat()
            if made:
                session.own(place, found, session.owner_of_new(directory, gid, mode))
        except OSError:
            file.close()
            folder.drop(place)
            raise
        folder.drop(directory.place)
        directory.place = place
        session.fids.opened(directory, file, bool(flags & ACCESS))
        return session.qid(found) + struct.pack("<I", self._unit())

    # --- bytes --------------------------------------------------------------------------------------------------------

    def read(self, fid: int, offset: int, count: int) -> memoryview:
        """Answer bytes of a file or of an extended attribute; fewer or none at the end."""
        session = self._session
        reading = session.fids[fid]
        count = min(count, session.room)
        start = READ_HEAD.size
        if reading.attribute is not None:
            part = reading.attribute.content[offset : offset + count]
            self._answer[start : start + len(part)] = part
            done = len(part)
        elif reading.file is None:
            raise failure(errno.EBADF)
        elif offset + count > LARGEST:
            raise failure(errno.EINVAL)
        else:
            done = reading.file.read_into(self._answer[start : start + count], offset)
        READ_HEAD.pack_into(self._answer, 0, 0, 0, 0, done)
        return self._answer[: start + done]

    def write(self, fid: int, offset: int, data: memoryview) -> bytes:
        """Write bytes of a file, or of an extended attribute that has been begun."""
        session = self._session
        writing = session.fids[fid]
        if writing.attribute is not None:
            done = self._write_attribute(writing.attribute, offset, data)
        elif writing.file is None or not writing.writable:
            raise failure(errno.EBADF)
        elif offset + len(data) > LARGEST:
            raise failure(errno.EFBIG)
        else:
            done = writing.file.write(data, offset)
        return struct.pack("<I", done)

    def _write_attribute(self, attribute: Attribute, offset: int, data: memoryview) -> int:
        if attribute.new is None:
            raise failure(errno.EBADF)
        if offset != len(attribute.new) or offset + len(data) > attribute.expected:
            raise failure(errno.ENOSPC)
        attribute.new += data
        return len(data)

    def fsync(self, fid: int, data_only: int) -> bytes:
        """Return once what was written would survive a loss of power."""
        file = self._session.file(fid).file
        assert file is not None
        file.sync(bool(data_only))
        return b""

    def statfs(self, fid: int) -> bytes:
        """Answer the figures of the file system below; its type is 9P's, as nothing else about it can be relied on."""
        session = self._session
        found = session.folder.statvfs(session.fids[fid].place)
        return STATFS.pack(
            MAGIC, found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree,
            found.f_fsid & 0xFFFF_FFFF_FFFF_FFFF, found.f_namemax,
        )  # fmt: skip

    # --- locks --------------------------------------------------------------------------------------------------------

    def _to_lock(self, fid: Fid[PlaceType]) -> Callable[[], OpenFile]:
        """What opens the file by which a guest's locks are the host's: to write, where that is allowed."""
        folder = self._session.folder

        def opened() -> OpenFile:
            if not self._session.readonly:
                try:
                    return folder.open(fid.place, os.O_RDWR)
                except OSError as error:
                    if error.errno not in (errno.EACCES, errno.EROFS, errno.ETXTBSY):
                        raise
            return folder.open(fid.place, os.O_RDONLY)

        return opened

    def _locking(self, fid: int, client: bytes) -> tuple[Fid[PlaceType], tuple[int, int]]:
        locking = self._session.file(fid)
        found = self._session.stat(locking)
        if not stat.S_ISREG(found.st_mode) or len(client) > LONGEST_CLIENT:
            raise failure(errno.EINVAL)
        return locking, (found.st_dev, found.st_ino)

    def lock(self, fid: int, kind: int, flags: int, start: int, length: int, process: int, client: bytes) -> bytes:
        """Take a record lock or give it back; where somebody holds it the guest hears so at once, and asks again."""
        locking, key = self._locking(fid, client)
        if kind > UNLOCK:
            raise failure(errno.EINVAL)
        first, last = bounds(start, length)
        locking.locked = key
        status = self._session.locks.set(key, self._to_lock(locking), (client, process), fid, kind, first, last)
        return bytes((status,))

    def getlock(self, fid: int, kind: int, start: int, length: int, process: int, client: bytes) -> bytes:
        """Answer a lock that is in the way of this one, or this one as unlocked."""
        locking, key = self._locking(fid, client)
        if kind > UNLOCK:
            raise failure(errno.EINVAL)
        first, last = bounds(start, length)
        found = self._session.locks.test(key, self._to_lock(locking), (client, process), kind, first, last)
        if found is None:
            return GETLOCK.pack(UNLOCK, start, length, process) + string(client)
        owner, holder = found.owner
        count = 0 if found.last == LAST else found.last - found.first + 1
        return GETLOCK.pack(found.kind, found.first, count, holder) + string(owner)
