"""Operations on attributes: getattr, setattr, and the extended ones."""

import errno
import os
import stat
import struct
from typing import Generic

import msgspec

from guesthouse.virtual.shares.fids import Attribute, Fid, failure
from guesthouse.virtual.shares.folder import KEEP, NOW, PlaceType
from guesthouse.virtual.shares.ownership import ALL_BITS, HIDDEN
from guesthouse.virtual.shares.session import LARGEST, Session

BASIC = 0x7FF
"""What of the attributes is answered: all but the time of making, generation and version of the data."""
GETATTR_HEAD = struct.Struct("<Q")
GETATTR_REST = struct.Struct("<IIIQQQQQ14q")
SECOND = 10**9
MODE, UID, GID, SIZE, ATIME, MTIME, CTIME, ATIME_SET, MTIME_SET = (1 << bit for bit in range(9))
LONGEST_ATTRIBUTE, LONGEST_NAME = 1 << 16, 255
VISIBLE = b"user."
PAGE = 4096


def device_number(number: int) -> int:
    """A device's number as Linux puts it into 32 bits."""
    major, minor = os.major(number), os.minor(number)
    return minor & 0xFF | (major & 0xFFF) << 8 | (minor & 0xFFF00) << 12


class AttributeOperations(Generic[PlaceType]):
    """Each method is a request, and returns the body of its answer."""

    def __init__(self, session: Session[PlaceType]) -> None:
        self._session = session

    def getattr(self, fid: int, mask: int) -> bytes:
        """Answer the basic attributes, whatever was asked for."""
        session = self._session
        looked_at = session.fids[fid]
        found = session.stat(looked_at)
        owner = session.ownership.seen(found, session.kept(looked_at, found))
        kind = stat.S_IFMT(found.st_mode)
        rest = GETATTR_REST.pack(
            kind | owner.mode, owner.uid, owner.gid, found.st_nlink,
            device_number(found.st_rdev) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            found.st_size, max(found.st_blksize, session.room // PAGE * PAGE), found.st_blocks,
            *divmod(found.st_atime_ns, SECOND),
            *divmod(found.st_mtime_ns, SECOND),
            *divmod(found.st_ctime_ns, SECOND),
            0, 0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip
        return GETATTR_HEAD.pack(BASIC) + session.qid(found) + rest

    def setattr(
        self, fid: int, valid: int, mode: int, uid: int, gid: int, size: int,
        atime: int, atime_ns: int, mtime: int, mtime_ns: int,
    ) -> bytes:  # fmt: skip
        """Set what `valid` names: size, mode and owner, times."""
        session = self._session
        session.check_change()
        changing = session.fids[fid]
        if valid & SIZE:
            self._set_size(changing, size)
        if valid & (MODE | UID | GID):
            self._set_owner(changing, valid, mode, uid, gid)
        if valid & (ATIME | MTIME):
            accessed = _time(valid & ATIME, valid & ATIME_SET, atime, atime_ns)
            modified = _time(valid & MTIME, valid & MTIME_SET, mtime, mtime_ns)
            session.folder.set_times(changing.place, accessed, modified)
        return b""

    def _set_size(self, fid: Fid[PlaceType], size: int) -> None:
        if size > LARGEST:
            raise failure(errno.EFBIG)
        if fid.file is not None and fid.writable:
            fid.file.truncate(size)
        else:
            self._session.folder.truncate(fid.place, size)

    def _set_owner(self, fid: Fid[PlaceType], valid: int, mode: int, uid: int, gid: int) -> None:
        session, folder = self._session, self._session.folder
        found = folder.stat(fid.place)
        kept = session.kept(fid, found)
        wanted = session.ownership.seen(found, kept)
        if valid & UID:
            wanted = msgspec.structs.replace(wanted, uid=uid)
        if valid & GID:
            wanted = msgspec.structs.replace(wanted, gid=gid)
        if valid & MODE:
            wanted = msgspec.structs.replace(wanted, mode=mode & ALL_BITS)
            host_mode = session.ownership.host_mode(mode, stat.S_ISDIR(found.st_mode))
            if host_mode != found.st_mode & ALL_BITS:
                folder.set_mode(fid.place, host_mode)
                found = folder.stat(fid.place)
        session.own(fid.place, found, wanted, kept)

    # --- extended attributes ------------------------------------------------------------------------------------------

    def xattrwalk(self, fid: int, new: int, name: bytes) -> bytes:
        """Have a new fid stand for an extended attribute, or for the list of their names, and answer its size."""
        session, folder = self._session, self._session.folder
        start = session.fids[fid]
        if start.attribute is not None:
            raise failure(errno.EBADF)
        session.fids.check_new(new)
        if name:
            content = folder.get_attribute(start.place, _checked(name))
        else:
            names = folder.list_attributes(start.place)
            content = b"".join(each + b"\0" for each in names if each.startswith(VISIBLE) and not _hidden(each))
        fid_of_it = session.fids.add(new, folder.hold(start.place), start.user)
        try:
            session.fids.attach(fid_of_it, Attribute(content))
        except OSError:
            folder.drop(session.fids.remove(new).place)
            raise
        return struct.pack("<Q", len(content))

    def xattrcreate(self, fid: int, name: bytes, size: int, flags: int) -> bytes:
        """Have a fid stand for an extended attribute that is to be written, and set with its end."""
        session = self._session
        session.check_change()
        writing = session.directory(fid)
        if size > LONGEST_ATTRIBUTE:
            raise failure(errno.E2BIG)
        if flags & ~(os.XATTR_CREATE | os.XATTR_REPLACE):
            raise failure(errno.EINVAL)
        session.fids.attach(writing, Attribute.to_write(_checked(name), size, flags))
        return b""


def _hidden(name: bytes) -> bool:
    return name.startswith(HIDDEN)


def _checked(name: bytes) -> bytes:
    """The name, where it is one that a guest may know: of the user's, and none of our own."""
    if not name.startswith(VISIBLE) or name == VISIBLE or b"\0" in name:
        raise failure(errno.EOPNOTSUPP)
    if len(name) > LONGEST_NAME:
        raise failure(errno.ERANGE)
    if _hidden(name):
        raise failure(errno.EPERM)
    return name


def _time(wanted: int, given: int, seconds: int, nanoseconds: int) -> tuple[int, int]:
    """A time for utimensat(2)."""
    if not wanted:
        return 0, KEEP
    if not given:
        return 0, NOW
    if nanoseconds >= SECOND:
        raise failure(errno.EINVAL)
    return (seconds & LARGEST) - (seconds & 1 << 63), nanoseconds
