"""A folder of the host whose files a guest uses: nothing the guest says leads out of it.

A place is a descriptor of the very file (O_PATH), found by one name in the descriptor of its directory, without
following a symbolic link; `..` never reaches the kernel. What such a descriptor names can't be swapped for something
else. A file is opened through it (by /proc/self/fd), once its type is known to be a regular file or a directory: so no
pipe, device or socket is ever opened. Sources: open(2), path_resolution(7), proc(5), symlink(7).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from guesthouse.host.directory_entries import read_entries
from guesthouse.host.memory import LIBC
from guesthouse.host.user_folders import told_plainly

FIND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
SAFELY = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""With every opening: the last for files that are leased, whose holder is not waited for."""
TIMES = struct.Struct("<4q")
LOCK = struct.Struct("<hh4xqqi4x")
"""struct flock."""
MOST_OPEN = 16384
"""Descriptors of places that are kept between requests, where the host lets us have so many."""
MOST_PLACES = 1 << 19


@contextmanager
def opened_folder(path: str) -> Iterator[int]:
    """The descriptor of a folder that is to be shared; raises UserError where there is none."""
    with told_plainly(f"share the folder {path}"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _checked(name: bytes) -> bytes:
    """The name, where it is one of a file in a directory."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise _failure(errno.EINVAL)
    return name


class Place:
    """One file of any kind, by the descriptor that names it, or by name where that had to be closed."""

    __slots__ = ("children", "descriptor", "holders", "key", "kind", "name", "parent")

    def __init__(self, parent: Place | None, name: bytes, descriptor: int, found: os.stat_result) -> None:
        self.parent = parent
        self.name = name
        self.descriptor = descriptor
        self.key = (found.st_dev, found.st_ino)
        self.kind = stat.S_IFMT(found.st_mode)
        self.holders = 1
        self.children: dict[bytes, Place] = {}


class SharedFile:
    """A regular file or directory that is open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read into the buffer; returns how many bytes."""
        return os.preadv(self._descriptor, [buffer], offset)

    def write(self, data: memoryview, offset: int) -> int:
        """Write; returns how many bytes."""
        return os.pwrite(self._descriptor, data, offset)

    def entries(self, position: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Entries of a directory behind a position: inode, position behind it, d_type, name."""
        if position != self._position:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            self._position = position
        entries = read_entries(self._descriptor, size)
        if entries:
            self._position = entries[-1][1]
        return entries

    def truncate(self, size: int) -> None:
        """Set the size in bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self, data_only: bool) -> None:
        """Have it on the disk."""
        (os.fdatasync if data_only else os.fsync)(self._descriptor)

    def stat(self) -> os.stat_result:
        """The host's attributes."""
        return os.fstat(self._descriptor)

    def get_attribute(self, name: bytes) -> bytes:
        """An extended attribute."""
        return os.getxattr(self._descriptor, name)

    def lock(self, kind: int, start: int, length: int) -> None:
        """Take or give back a lock of this open file (F_OFD_SETLK), never waiting; length 0: to the end.

        A file that is open to be read only can be locked against those who write, and no further.
        """
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, LOCK.pack(kind, os.SEEK_SET, start, length, 0))
        except OSError as error:
            if error.errno != errno.EBADF or kind != fcntl.F_WRLCK:
                raise
            self.lock(fcntl.F_RDLCK, start, length)

    def find_lock(self, kind: int, start: int, length: int) -> tuple[int, int, int] | None:
        """Kind, start and length of a lock of others that is in the way of this, None where there is none."""
        asked = LOCK.pack(kind, os.SEEK_SET, start, length, 0)
        found, _, start, length, _ = LOCK.unpack(fcntl.fcntl(self._descriptor, fcntl.F_OFD_GETLK, asked))
        return None if found == fcntl.F_UNLCK else (found, start, length)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class SharedFolder:
    """A folder of the host and all below, by the descriptor of an open directory, which it owns."""

    def __init__(self, descriptor: int, most_open: int = MOST_OPEN) -> None:
        self._processes = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.root = Place(None, b"", descriptor, os.fstat(descriptor))
        self._open: dict[Place, None] = {}
        self._most_open = most_open
        self._places = 1

    def close(self) -> None:
        """Close everything."""
        for place in (*self._open, self.root):
            os.close(place.descriptor)
        self._open.clear()
        os.close(self._processes)

    # --- places -------------------------------------------------------------------------------------------------------

    def hold(self, place: Place) -> Place:
        """Hold a place once more."""
        place.holders += 1
        return place

    def drop(self, place: Place) -> None:
        """Give a place back; with the last holder its descriptor goes, and it lets go of its directory."""
        current: Place | None = place
        while current is not None and current.parent is not None:
            current.holders -= 1
            if current.holders:
                return
            self._close(current)
            self._places -= 1
            if current.parent.children.get(current.name) is current:
                del current.parent.children[current.name]
            current = current.parent

    def parent(self, place: Place) -> Place:
        """The directory a place was found in."""
        return place.parent or place

    def name(self, place: Place) -> bytes:
        """The name it has there."""
        return place.name

    def trim(self) -> None:
        """Close the descriptors opened first, where there are too many; they are opened again when they are needed."""
        while len(self._open) > self._most_open:
            self._close(next(iter(self._open)))

    def _close(self, place: Place) -> None:
        if place.descriptor >= 0:
            os.close(place.descriptor)
            place.descriptor = -1
            self._open.pop(place, None)

    def _descriptor(self, place: Place) -> int:
        """The place's descriptor, opened again where it was closed: ESTALE where its name leads elsewhere now."""
        if place.descriptor >= 0:
            return place.descriptor
        missing = [place]
        while (parent := missing[-1].parent) is not None and parent.descriptor < 0:
            missing.append(parent)
        for each in reversed(missing):
            assert each.parent is not None
            descriptor = os.open(each.name, FIND, dir_fd=each.parent.descriptor)
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != each.key:
                os.close(descriptor)
                raise _failure(errno.ESTALE)
            each.descriptor = descriptor
            self._open[each] = None
        return place.descriptor

    def _new(self, place: Place, name: bytes, descriptor: int, found: os.stat_result) -> Place:
        """A place that has just been found, held by whoever asked."""
        if self._places >= MOST_PLACES:
            if descriptor >= 0:
                os.close(descriptor)
            raise _failure(errno.ENFILE)
        child = Place(self.hold(place), name, descriptor, found)
        self._places += 1
        place.children[name] = child
        if descriptor >= 0:
            self._open[child] = None
        return child

    def walk(self, place: Place, name: bytes) -> tuple[Place, os.stat_result]:
        """Find a name in a directory; the place is known already where the name still leads to the same file."""
        directory = self._descriptor(place)
        known = place.children.get(_checked(name))
        if known is not None and known.descriptor >= 0:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (found.st_dev, found.st_ino) == known.key:
                return self.hold(known), found
        descriptor = os.open(name, FIND, dir_fd=directory)
        found = os.fstat(descriptor)
        if known is not None and (found.st_dev, found.st_ino) == known.key and known.descriptor < 0:
            known.descriptor = descriptor
            self._open[known] = None
            return self.hold(known), found
        return self._new(place, name, descriptor, found), found

    def stat(self, place: Place) -> os.stat_result:
        """The host's attributes."""
        return os.fstat(self._descriptor(place))

    def statvfs(self, place: Place) -> os.statvfs_result:
        """The file system's figures."""
        return os.fstatvfs(self._descriptor(place))

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open_place(self, place: Place, flags: int) -> int:
        if place.kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise _failure(errno.ELOOP if place.kind == stat.S_IFLNK else errno.ENXIO)
        return os.open(str(self._descriptor(place)), flags | SAFELY, dir_fd=self._processes)

    def open(self, place: Place, flags: int) -> SharedFile:
        """Open a regular file or a directory."""
        return SharedFile(self._open_place(place, flags))

    def create(self, place: Place, name: bytes, flags: int, mode: int) -> tuple[Place, SharedFile, bool]:
        """Open a file, made where it is not there; tells whether it was made."""
        making = flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | SAFELY
        try:
            descriptor = os.open(_checked(name), making, mode, dir_fd=self._descriptor(place))
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            known, _ = self.walk(place, name)
            try:
                return known, self.open(known, flags), False
            except OSError:
                self.drop(known)
                raise
        try:
            return self._new(place, name, -1, os.fstat(descriptor)), SharedFile(descriptor), True
        except OSError:
            os.close(descriptor)
            raise

    # --- names --------------------------------------------------------------------------------------------------------

    def make_directory(self, place: Place, name: bytes, mode: int) -> None:
        """Make a directory."""
        os.mkdir(_checked(name), mode, dir_fd=self._descriptor(place))

    def make_pipe(self, place: Place, name: bytes, mode: int) -> None:
        """Make a named pipe."""
        os.mkfifo(_checked(name), mode, dir_fd=self._descriptor(place))

    def make_link(self, place: Place, name: bytes, target: bytes) -> None:
        """Make a symbolic link."""
        os.symlink(target, _checked(name), dir_fd=self._descriptor(place))

    def link(self, place: Place, name: bytes, existing: Place) -> None:
        """Give a file another name."""
        os.link(
            str(self._descriptor(existing)), _checked(name),
            src_dir_fd=self._processes, dst_dir_fd=self._descriptor(place), follow_symlinks=True,
        )  # fmt: skip

    def unlink(self, place: Place, name: bytes, directory: bool) -> None:
        """Remove a name, or an empty directory; whoever holds the place keeps the file."""
        (os.rmdir if directory else os.unlink)(_checked(name), dir_fd=self._descriptor(place))
        place.children.pop(name, None)

    def rename(self, old: Place, old_name: bytes, new: Place, new_name: bytes) -> None:
        """Move what has a name, over what has the new one; who holds the place has it under the new name."""
        os.rename(
            _checked(old_name), _checked(new_name),
            src_dir_fd=self._descriptor(old), dst_dir_fd=self._descriptor(new),
        )  # fmt: skip
        moved = old.children.pop(old_name, None)
        new.children.pop(new_name, None)
        if moved is not None:
            moved.name, moved.parent = new_name, self.hold(new)
            new.children[new_name] = moved
            self.drop(old)

    def read_link(self, place: Place) -> bytes:
        """Where a symbolic link points to."""
        if place.kind != stat.S_IFLNK:
            raise _failure(errno.EINVAL)
        return os.readlink(b"", dir_fd=self._descriptor(place))

    # --- attributes ---------------------------------------------------------------------------------------------------

    def truncate(self, place: Place, size: int) -> None:
        """Set a regular file's size in bytes."""
        if place.kind == stat.S_IFDIR:
            raise _failure(errno.EISDIR)
        descriptor = self._open_place(place, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)

    def set_mode(self, place: Place, mode: int) -> None:
        """Set the permissions."""
        if place.kind == stat.S_IFLNK:
            raise _failure(errno.EOPNOTSUPP)
        os.chmod(str(self._descriptor(place)), mode, dir_fd=self._processes)

    def set_times(self, place: Place, accessed: tuple[int, int], modified: tuple[int, int]) -> None:
        """Set both times as (seconds, nanoseconds), the latter as utimensat(2) takes them."""
        times = TIMES.pack(*accessed, *modified)
        if LIBC.utimensat(self._processes, str(self._descriptor(place)).encode(), times, 0):
            raise _failure(ctypes.get_errno())

    def _attributed(self, place: Place) -> int:
        """A descriptor to reach extended attributes by; only files and directories have any that users may set."""
        if place.kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise _failure(errno.EOPNOTSUPP)
        return self._open_place(place, os.O_RDONLY)

    def list_attributes(self, place: Place) -> Sequence[bytes]:
        """The names of the extended attributes."""
        descriptor = self._attributed(place)
        try:
            return [os.fsencode(name) for name in os.listxattr(descriptor)]
        finally:
            os.close(descriptor)

    def get_attribute(self, place: Place, name: bytes) -> bytes:
        """An extended attribute."""
        if place.kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise _failure(errno.EOPNOTSUPP)
        return os.getxattr(f"/proc/self/fd/{self._descriptor(place)}", name)

    def set_attribute(self, place: Place, name: bytes, value: bytes, flags: int) -> None:
        """Set one; flags as of setxattr(2)."""
        descriptor = self._attributed(place)
        try:
            os.setxattr(descriptor, name, value, flags)
        finally:
            os.close(descriptor)

    def remove_attribute(self, place: Place, name: bytes) -> None:
        """Remove one."""
        descriptor = self._attributed(place)
        try:
            os.removexattr(descriptor, name)
        finally:
            os.close(descriptor)
