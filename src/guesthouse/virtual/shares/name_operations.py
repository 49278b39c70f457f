"""Operations on names in directories: make, link, rename, remove, read."""

import errno
import os
import stat
import struct
from typing import Generic

from guesthouse.virtual.shares.fids import failure
from guesthouse.virtual.shares.folder import PlaceType
from guesthouse.virtual.shares.messages import DIRECTORY_QID, LINK_QID, string
from guesthouse.virtual.shares.session import LARGEST, Session

REMOVE_DIRECTORY = 0x200
"""AT_REMOVEDIR."""
ENTRY = struct.Struct("<BIQQBH")
"""An entry of a directory: qid, position of the next, d_type and the name's length; the name follows."""
DT_DIR, DT_LNK = 4, 10
QID_LETTERS = {DT_DIR: DIRECTORY_QID, DT_LNK: LINK_QID}
LONGEST_TARGET = 4095
BATCH = 6, 7
"""Of the bytes that may be answered, how much is asked of the host: its records are shorter than ours."""


class NameOperations(Generic[PlaceType]):
    """Each method is a request, and returns the body of its answer."""

    def __init__(self, session: Session[PlaceType]) -> None:
        self._session = session

    def mkdir(self, fid: int, name: bytes, mode: int, gid: int) -> bytes:
        """Make a directory."""
        session = self._session
        session.check_change()
        directory = session.directory(fid)
        session.folder.make_directory(directory.place, name, session.ownership.host_mode(mode, directory=True))
        return session.own_new(directory.place, name, directory, gid, mode)

    def mknod(self, fid: int, name: bytes, mode: int, major: int, minor: int, gid: int) -> bytes:
        """Make a named pipe or an empty file; devices and sockets are refused."""
        session = self._session
        session.check_change()
        directory = session.directory(fid)
        host_mode = session.ownership.host_mode(mode, directory=False)
        kind = stat.S_IFMT(mode)
        if kind == stat.S_IFIFO:
            session.folder.make_pipe(directory.place, name, host_mode)
        elif kind in (stat.S_IFREG, 0):
            place, file, _ = session.folder.create(directory.place, name, os.O_WRONLY | os.O_EXCL, host_mode)
            file.close()
            session.folder.drop(place)
        else:
            raise failure(errno.EPERM)
        return session.own_new(directory.place, name, directory, gid, mode)

    def symlink(self, fid: int, name: bytes, target: bytes, gid: int) -> bytes:
        """Make a symbolic link, which the server itself never follows."""
        session = self._session
        session.check_change()
        directory = session.directory(fid)
        if not 0 < len(target) <= LONGEST_TARGET or b"\0" in target:
            raise failure(errno.ENAMETOOLONG if target else errno.ENOENT)
        session.folder.make_link(directory.place, name, target)
        return session.own_new(directory.place, name, directory, gid, 0o777)

    def readlink(self, fid: int) -> bytes:
        """Answer where a symbolic link points to."""
        return string(self._session.folder.read_link(self._session.fids[fid].place))

    def link(self, directory: int, fid: int, name: bytes) -> bytes:
        """Give a file another name."""
        session = self._session
        session.check_change()
        session.folder.link(session.directory(directory).place, name, session.fids[fid].place)
        return b""

    def rename(self, fid: int, directory: int, name: bytes) -> bytes:
        """Move what a fid stands for."""
        session, folder = self._session, self._session.folder
        session.check_change()
        place = session.fids[fid].place
        old_name = folder.name(place)
        if not old_name:
            raise failure(errno.EBUSY)
        folder.rename(folder.parent(place), old_name, session.directory(directory).place, name)
        return b""

    def renameat(self, old: int, old_name: bytes, new: int, new_name: bytes) -> bytes:
        """Move what has a name."""
        session = self._session
        session.check_change()
        session.folder.rename(session.directory(old).place, old_name, session.directory(new).place, new_name)
        return b""

    def unlinkat(self, fid: int, name: bytes, flags: int) -> bytes:
        """Remove a name, or an empty directory."""
        session = self._session
        session.check_change()
        if flags & ~REMOVE_DIRECTORY:
            raise failure(errno.EINVAL)
        session.folder.unlink(session.directory(fid).place, name, bool(flags & REMOVE_DIRECTORY))
        return b""

    def readdir(self, fid: int, offset: int, count: int) -> bytes:
        """Answer entries from a position on, as many as fit; none at the end."""
        session = self._session
        opened = session.file(fid)
        assert opened.file is not None
        count = min(count, session.room)
        if offset > LARGEST:
            raise failure(errno.EINVAL)
        found = opened.file.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise failure(errno.ENOTDIR)
        entries = opened.file.entries(offset, count * BATCH[0] // BATCH[1])
        data = self._entries(entries, found, count, opened.place is session.folder.root)
        return struct.pack("<I", len(data)) + data

    def _entries(
        self, entries: list[tuple[int, int, int, bytes]], found: os.stat_result, count: int, top: bool
    ) -> bytes:
        session, parts, size = self._session, [], 0
        salt = session.path(found.st_dev, 0)
        for inode, position, kind, name in entries:
            size += ENTRY.size + len(name)
            if size > count:
                break
            # What lies above the folder stays unknown.
            path = (found.st_ino if top and name == b".." else inode) ^ salt
            parts.append(ENTRY.pack(QID_LETTERS.get(kind, 0), 0, path, position, kind, len(name)) + name)
        if entries and not parts:
            raise failure(errno.EINVAL)
        return b"".join(parts)
