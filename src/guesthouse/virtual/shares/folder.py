"""What the server needs of a folder: places in it, and files open there. `host.shared_folder` has it for the host's.

Every method may raise `OSError`, whose number the guest gets. Names are single components: who implements this refuses
any other, and never follows a symbolic link.
"""

import os
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar


class OpenFile(Protocol):
    """A regular file or directory that is open."""

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read as much as the buffer holds, less at the end of the file; returns how many bytes."""

    def write(self, data: memoryview, offset: int) -> int:
        """Write from byte `offset` on; returns how many bytes."""

    def entries(self, position: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Entries of a directory behind a position: inode, position behind it, d_type, name; [] at the end.

        About `size` bytes of names and what belongs to them.
        """

    def truncate(self, size: int) -> None:
        """Set the size in bytes."""

    def sync(self, data_only: bool) -> None:
        """Return once what was written would survive a loss of power."""

    def stat(self) -> os.stat_result:
        """The attributes that the host has."""

    def get_attribute(self, name: bytes) -> bytes:
        """An extended attribute."""

    def lock(self, kind: int, start: int, length: int) -> None:
        """Take (F_RDLCK, F_WRLCK) or give back (F_UNLCK) a lock against others on the host, or raise EAGAIN."""

    def find_lock(self, kind: int, start: int, length: int) -> tuple[int, int, int] | None:
        """Kind, start and length (0: to the end) of a lock of others on the host that is in the way of this."""

    def close(self) -> None:
        """Close it."""


PlaceType = TypeVar("PlaceType")


class Folder(Protocol, Generic[PlaceType]):
    """A folder and all below; a place is one file of any kind in it, wherever it is moved.

    Places that `walk` and the like return are held, and given back by `drop`.
    """

    root: PlaceType

    def hold(self, place: PlaceType) -> PlaceType:
        """Hold a place once more."""

    def drop(self, place: PlaceType) -> None:
        """Give a place back."""

    def parent(self, place: PlaceType) -> PlaceType:
        """The directory a place was found in; of the root: itself."""

    def name(self, place: PlaceType) -> bytes:
        """The name that a place has there; b"" for the root."""

    def trim(self) -> None:
        """Close what is open beyond a bound; called between requests."""

    def walk(self, place: PlaceType, name: bytes) -> tuple[PlaceType, os.stat_result]:
        """Find a name in a directory."""

    def stat(self, place: PlaceType) -> os.stat_result:
        """The attributes that the host has."""

    def statvfs(self, place: PlaceType) -> os.statvfs_result:
        """The file system's figures."""

    def open(self, place: PlaceType, flags: int) -> OpenFile:
        """Open a regular file or a directory."""

    def create(self, place: PlaceType, name: bytes, flags: int, mode: int) -> tuple[PlaceType, OpenFile, bool]:
        """Open a file, made where it is not there; tells whether it was made."""

    def make_directory(self, place: PlaceType, name: bytes, mode: int) -> None:
        """Make a directory."""

    def make_pipe(self, place: PlaceType, name: bytes, mode: int) -> None:
        """Make a named pipe."""

    def make_link(self, place: PlaceType, name: bytes, target: bytes) -> None:
        """Make a symbolic link."""

    def link(self, place: PlaceType, name: bytes, existing: PlaceType) -> None:
        """Give a file another name."""

    def unlink(self, place: PlaceType, name: bytes, directory: bool) -> None:
        """Remove a name, or an empty directory."""

    def rename(self, old: PlaceType, old_name: bytes, new: PlaceType, new_name: bytes) -> None:
        """Move what has a name, over what has the new one."""

    def read_link(self, place: PlaceType) -> bytes:
        """Where a symbolic link points to."""

    def truncate(self, place: PlaceType, size: int) -> None:
        """Set a regular file's size in bytes."""

    def set_mode(self, place: PlaceType, mode: int) -> None:
        """Set the permissions."""

    def set_times(self, place: PlaceType, accessed: tuple[int, int], modified: tuple[int, int]) -> None:
        """Set both times as (seconds, nanoseconds); the latter may be `NOW` or `KEEP`."""

    def list_attributes(self, place: PlaceType) -> Sequence[bytes]:
        """The names of the extended attributes."""

    def get_attribute(self, place: PlaceType, name: bytes) -> bytes:
        """An extended attribute; ENODATA where it is not there, ENOTSUP where none can be."""

    def set_attribute(self, place: PlaceType, name: bytes, value: bytes, flags: int) -> None:
        """Set one; flags as of setxattr(2)."""

    def remove_attribute(self, place: PlaceType, name: bytes) -> None:
        """Remove one."""


NOW, KEEP = (1 << 30) - 1, (1 << 30) - 2
"""Nanoseconds that stand for the present time, and for the time there is (utimensat(2))."""
