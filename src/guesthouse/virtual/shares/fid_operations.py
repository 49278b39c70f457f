"""Operations that begin and end fids: version, auth, attach, walk, clunk, remove, flush."""

import errno
import os
import stat
import struct
from typing import Generic

from guesthouse.virtual.shares.fids import Attribute, Fid, failure
from guesthouse.virtual.shares.folder import PlaceType
from guesthouse.virtual.shares.messages import LEAST_SIZE, MOST_SIZE, NO_FID, VERSION, string
from guesthouse.virtual.shares.session import Session

REMOVE = 2
"""XATTR_REPLACE: together with no content at all this is how Linux asks to remove an extended attribute."""


class FidOperations(Generic[PlaceType]):
    """Each method is a request, and returns the body of its answer."""

    def __init__(self, session: Session[PlaceType]) -> None:
        self._session = session

    def version(self, size: int, version: bytes) -> bytes:
        """Begin a session: all fids are gone; the two sides agree on how large messages get (version(5))."""
        session = self._session
        session.end()
        if size < LEAST_SIZE:
            raise failure(errno.EMSGSIZE)
        session.size = min(size, MOST_SIZE)
        return struct.pack("<I", session.size) + string(VERSION if version == VERSION else b"unknown")

    def auth(self, fid: int, user: bytes, tree: bytes, uid: int) -> bytes:
        """Refuse: no authentication is needed, which is what this error says (attach(5))."""
        raise failure(errno.ENOENT)

    def attach(self, fid: int, auth: int, user: bytes, tree: bytes, uid: int) -> bytes:
        """Have a fid stand for the folder; only the tree "" or "/" is there."""
        session = self._session
        if auth != NO_FID:
            raise failure(errno.EINVAL)
        if tree.strip(b"/"):
            raise failure(errno.ENOENT)
        session.fids.check_new(fid)
        root = session.folder.root
        found = session.folder.stat(root)
        session.fids.add(fid, session.folder.hold(root), uid)
        return session.qid(found)

    def walk(self, fid: int, new: int, names: list[bytes]) -> bytes:
        """Go from a place by names, as far as they lead; the new fid exists only where all of them do (walk(5))."""
        session, folder = self._session, self._session.folder
        start = session.fids[fid]
        if new != fid:
            session.fids.check_new(new)
        if start.busy and (names or new == fid):
            raise failure(errno.EBADF)
        place, qids = folder.hold(start.place), []
        try:
            for name in names:
                following, found = self._step(place, name)
                folder.drop(place)
                place = following
                qids.append(session.qid(found))
        except OSError:
            folder.drop(place)
            if not qids:
                raise
            return struct.pack("<H", len(qids)) + b"".join(qids)
        if new == fid:
            folder.drop(start.place)
            start.place = place
        else:
            session.fids.add(new, place, start.user)
        return struct.pack("<H", len(qids)) + b"".join(qids)

    def _step(self, place: PlaceType, name: bytes) -> tuple[PlaceType, os.stat_result]:
        folder = self._session.folder
        if name != b"..":
            return folder.walk(place, name)
        above = folder.parent(place)
        found = folder.stat(above)
        return folder.hold(above), found

    def clunk(self, fid: int) -> bytes:
        """End a fid; an extended attribute that has been written through it is set now."""
        session = self._session
        gone = session.fids.remove(fid)
        try:
            if gone.locked is not None:
                session.locks.release(gone.locked, fid)
            if gone.attribute is not None and gone.attribute.new is not None:
                self._write_attribute(gone, gone.attribute)
        finally:
            session.folder.drop(gone.place)
        return b""

    def _write_attribute(self, fid: Fid[PlaceType], attribute: Attribute) -> None:
        folder, value = self._session.folder, bytes(attribute.new or b"")
        if len(value) != attribute.expected:
            raise failure(errno.EINVAL)
        if not value and attribute.flags == REMOVE:
            folder.remove_attribute(fid.place, attribute.name)
        else:
            folder.set_attribute(fid.place, attribute.name, value, attribute.flags)

    def remove(self, fid: int) -> bytes:
        """Remove the file that a fid stands for, and end the fid in any case (remove(5))."""
        session, folder = self._session, self._session.folder
        place = folder.hold(session.fids[fid].place)
        try:
            self.clunk(fid)
            session.check_change()
            parent, name = folder.parent(place), folder.name(place)
            if not name:
                raise failure(errno.EBUSY)
            found = folder.stat(place)
            again, now = folder.walk(parent, name)
            folder.drop(again)
            if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino):
                raise failure(errno.ESTALE)
            folder.unlink(parent, name, stat.S_ISDIR(found.st_mode))
        finally:
            folder.drop(place)
        return b""

    def flush(self, tag: int) -> bytes:
        """Requests are done one after the other: whatever was asked before has been answered."""
        return b""
