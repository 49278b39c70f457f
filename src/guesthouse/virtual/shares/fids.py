"""What a guest has opened or found: fids, each a number of the guest's for a place, perhaps with an open file."""

import errno
import os
from typing import Generic

from guesthouse.virtual.shares.folder import Folder, OpenFile, PlaceType

MOST_FIDS = 1 << 18
MOST_FILES = 1 << 13
"""Files open at once."""
MOST_ATTRIBUTE_BYTES = 16 << 20
"""Bytes of extended attributes that are being read or written, of all fids."""


def failure(number: int) -> OSError:
    """An error of the host's kind."""
    return OSError(number, os.strerror(number))


class Attribute:
    """An extended attribute, or their list, on its way to the guest (`new` is None), or from it: `expected` bytes."""

    __slots__ = ("content", "expected", "flags", "name", "new")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.name = b""
        self.new: bytearray | None = None
        self.flags = 0
        self.expected = len(content)

    @classmethod
    def to_write(cls, name: bytes, size: int, flags: int) -> "Attribute":
        """One that the guest is to write."""
        attribute = cls(b"")
        attribute.name, attribute.expected, attribute.flags, attribute.new = name, size, flags, bytearray()
        return attribute


class Fid(Generic[PlaceType]):
    """One fid: the place it stands for, on whose behalf, and what is open."""

    __slots__ = ("attribute", "file", "locked", "place", "user", "writable")

    def __init__(self, place: PlaceType, user: int) -> None:
        self.place = place
        self.user = user
        self.file: OpenFile | None = None
        self.writable = False
        self.attribute: Attribute | None = None
        self.locked: tuple[int, int] | None = None
        """The file, by device and inode, that may be locked through it."""

    @property
    def busy(self) -> bool:
        """Whether it has been opened, and can't be walked from (walk(5))."""
        return self.file is not None or self.attribute is not None


class Fids(Generic[PlaceType]):
    """All fids of a session, bounded in number and in what they hold."""

    def __init__(self, folder: Folder[PlaceType], most_files: int = MOST_FILES) -> None:
        self._folder = folder
        self._most_files = most_files
        self._fids: dict[int, Fid[PlaceType]] = {}
        self.files = 0
        self.attribute_bytes = 0

    def __getitem__(self, number: int) -> Fid[PlaceType]:
        fid = self._fids.get(number)
        if fid is None:
            raise failure(errno.EBADF)
        return fid

    def __len__(self) -> int:
        return len(self._fids)

    def check_new(self, number: int) -> None:
        """Raise where this number can't become a fid."""
        if number in self._fids:
            raise failure(errno.EBADF)
        if len(self._fids) >= MOST_FIDS:
            raise failure(errno.ENFILE)

    def add(self, number: int, place: PlaceType, user: int) -> Fid[PlaceType]:
        """A new fid, which now holds the place."""
        fid = self._fids[number] = Fid(place, user)
        return fid

    def check_files(self) -> None:
        """Raise where no more files may be open."""
        if self.files >= self._most_files:
            raise failure(errno.EMFILE)

    def opened(self, fid: Fid[PlaceType], file: OpenFile, writable: bool) -> None:
        """Remember an open file; `check_files` comes before."""
        fid.file = file
        fid.writable = writable
        self.files += 1

    def attach(self, fid: Fid[PlaceType], attribute: Attribute) -> None:
        """Have a fid stand for an attribute; raises where they hold too much."""
        if self.attribute_bytes + attribute.expected > MOST_ATTRIBUTE_BYTES:
            raise failure(errno.ENOSPC)
        self.attribute_bytes += attribute.expected
        fid.attribute = attribute

    def remove(self, number: int) -> Fid[PlaceType]:
        """Forget a fid and close what is open; its place is still to be dropped."""
        fid = self[number]
        del self._fids[number]
        if fid.file is not None:
            self.files -= 1
            fid.file.close()
        if fid.attribute is not None:
            self.attribute_bytes -= fid.attribute.expected
        return fid

    def clear(self) -> None:
        """Forget all."""
        for number in list(self._fids):
            self._folder.drop(self.remove(number).place)
