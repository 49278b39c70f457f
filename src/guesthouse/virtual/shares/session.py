"""What the operations of a session share: the folder, the fids, who owns what, what a file looks like to the guest."""

import errno
import os
import stat
from typing import Generic

from guesthouse.virtual.shares.fids import MOST_FILES, Fid, Fids, failure
from guesthouse.virtual.shares.folder import Folder, PlaceType
from guesthouse.virtual.shares.locks import Locks
from guesthouse.virtual.shares.messages import DIRECTORY_QID, IO_HEAD, LINK_QID, MOST_SIZE, NO_USER, QID
from guesthouse.virtual.shares.ownership import ATTRIBUTE, NOTHING, Kept, Owner, Ownership, parse

LARGEST = (1 << 63) - 1
"""Of offsets and sizes."""
DEVICE_SHIFT = 48
HOLDS_ATTRIBUTES = (stat.S_IFREG, stat.S_IFDIR)


class Session(Generic[PlaceType]):
    """One guest's use of one folder; `size` is the most bytes of a message."""

    def __init__(
        self, folder: Folder[PlaceType], ownership: Ownership, readonly: bool = False, most_files: int = MOST_FILES
    ) -> None:
        self.folder = folder
        self.ownership = ownership
        self.readonly = readonly
        self.fids = Fids(folder, most_files)
        self.locks = Locks()
        self.size = MOST_SIZE
        self._devices: dict[int, int] = {}

    def end(self) -> None:
        """Forget everything the guest has opened."""
        self.locks.clear()
        self.fids.clear()
        self.size = MOST_SIZE

    @property
    def room(self) -> int:
        """Bytes of data that an answer may hold."""
        return self.size - IO_HEAD

    # --- what a file looks like ---------------------------------------------------------------------------------------

    def path(self, device: int, inode: int) -> int:
        """The number that tells a file from all others; those of the folder's own file system are the inodes."""
        index = self._devices.setdefault(device, len(self._devices))
        return (inode ^ index << DEVICE_SHIFT) & 0xFFFF_FFFF_FFFF_FFFF

    def qid(self, found: os.stat_result) -> bytes:
        """The name of a file to clients; its version changes with the content."""
        kind = stat.S_IFMT(found.st_mode)
        letter = DIRECTORY_QID if kind == stat.S_IFDIR else LINK_QID if kind == stat.S_IFLNK else 0
        version = (found.st_mtime_ns ^ found.st_size << 8) & 0xFFFF_FFFF
        return QID.pack(letter, version, self.path(found.st_dev, found.st_ino))

    def stat(self, fid: Fid[PlaceType]) -> os.stat_result:
        """The host's attributes of a fid's file."""
        return fid.file.stat() if fid.file is not None else self.folder.stat(fid.place)

    def kept(self, fid: Fid[PlaceType], found: os.stat_result) -> Kept:
        """What the host could not carry of a file's owner and mode."""
        if stat.S_IFMT(found.st_mode) not in HOLDS_ATTRIBUTES:
            return NOTHING
        try:
            if fid.file is not None:
                return parse(fid.file.get_attribute(ATTRIBUTE))
            return parse(self.folder.get_attribute(fid.place, ATTRIBUTE))
        except OSError:
            return NOTHING

    def own(self, place: PlaceType, found: os.stat_result, wanted: Owner, kept: Kept = NOTHING) -> None:
        """Have the guest see a file with this owner and mode, as far as the host's file system can remember it."""
        value = self.ownership.to_keep(wanted, found)
        if stat.S_IFMT(found.st_mode) not in HOLDS_ATTRIBUTES or not (value or kept != NOTHING):
            return
        try:
            if value:
                self.folder.set_attribute(place, ATTRIBUTE, value, 0)
            else:
                self.folder.remove_attribute(place, ATTRIBUTE)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOSPC, errno.ERANGE):
                raise

    def own_new(self, place: PlaceType, name: bytes, fid: Fid[PlaceType], gid: int, mode: int) -> bytes:
        """Give a file just made to the fid's user; returns its qid."""
        made, found = self.folder.walk(place, name)
        try:
            self.own(made, found, self.owner_of_new(fid, gid, mode))
        finally:
            self.folder.drop(made)
        return self.qid(found)

    def owner_of_new(self, fid: Fid[PlaceType], gid: int, mode: int) -> Owner:
        """Whom a file belongs to that is made through this fid."""
        own = self.ownership
        return Owner(own.uid if fid.user == NO_USER else fid.user, own.gid if gid == NO_USER else gid, mode & 0o7777)

    # --- what may be done ---------------------------------------------------------------------------------------------

    def check_change(self) -> None:
        """Raise where the share is read-only."""
        if self.readonly:
            raise failure(errno.EROFS)

    def directory(self, number: int) -> Fid[PlaceType]:
        """A fid whose place something is to be done in by name."""
        fid = self.fids[number]
        if fid.busy:
            raise failure(errno.EBADF)
        return fid

    def file(self, number: int) -> Fid[PlaceType]:
        """A fid that is open as a file or directory."""
        fid = self.fids[number]
        if fid.file is None:
            raise failure(errno.EBADF)
        return fid
