"""Record locks of a guest's processes, which are also locks on the host, against its processes and other guests.

On the host a file is locked by one open file of ours for all of a guest, so that neither two processes of the guest nor
two fids of one process are strangers there. Sources: fcntl(2) (open file description locks), POSIX's record locks.
"""

import errno
from collections.abc import Callable, Iterator

import msgspec

from guesthouse.virtual.shares.fids import failure
from guesthouse.virtual.shares.folder import OpenFile

READ, WRITE, UNLOCK = 0, 1, 2
DONE, BLOCKED = 0, 1
LAST = (1 << 63) - 1
"""The last byte a lock can be about."""
MOST_LOCKS = 1 << 15
HOST = b"host"

Owner = tuple[bytes, int]
Key = tuple[int, int]
"""Of a file: device and inode."""


class Lock(msgspec.Struct, frozen=True):
    """Bytes `first` to `last` held by a process of a guest's."""

    owner: Owner
    fid: int
    kind: int
    first: int
    last: int


class FileLocks:
    """All locks of one file."""

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.held: list[Lock] = []

    def conflict(self, owner: Owner, kind: int, first: int, last: int) -> Lock | None:
        """A lock of somebody else that is in the way of a new one."""
        for lock in self.held:
            apart = lock.last < first or last < lock.first
            if not apart and lock.owner != owner and WRITE in (kind, lock.kind):
                return lock
        return None

    def replace(self, owner: Owner, fid: int, kind: int, first: int, last: int) -> None:
        """Have the owner hold the range so, and no longer as before."""
        held: list[Lock] = []
        for lock in self.held:
            if lock.owner != owner or lock.last < first or last < lock.first:
                held.append(lock)
                continue
            if lock.first < first:
                held.append(msgspec.structs.replace(lock, last=first - 1))
            if last < lock.last:
                held.append(msgspec.structs.replace(lock, first=last + 1))
        if kind != UNLOCK:
            held.append(Lock(owner, fid, kind, first, last))
        self.held = held

    def free(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of a range that nobody holds."""
        for lock in sorted(self.held, key=lambda lock: lock.first):
            if lock.last < first or last < lock.first:
                continue
            if first < lock.first:
                yield first, lock.first - 1
            first = lock.last + 1
        if first <= last:
            yield first, last


def _length(first: int, last: int) -> int:
    """As fcntl wants it: 0 is to the end."""
    return 0 if last == LAST else last - first + 1


def bounds(start: int, length: int) -> tuple[int, int]:
    """First and last byte; raises EINVAL for what is none."""
    last = LAST if not length else start + length - 1
    if last > LAST or start > LAST:
        raise failure(errno.EINVAL)
    return start, last


class Locks:
    """The locks of a session by file."""

    def __init__(self) -> None:
        self._files: dict[Key, FileLocks] = {}
        self._count = 0

    def set(
        self, key: Key, open_file: Callable[[], OpenFile], owner: Owner, fid: int, kind: int, first: int, last: int
    ) -> int:
        """Take or give back a lock: DONE, or BLOCKED where somebody holds it, here or on the host."""
        file = self._files.get(key)
        if file is None:
            if kind == UNLOCK:
                return DONE
            file = self._files[key] = FileLocks(open_file())
        try:
            return self._set(file, owner, fid, kind, first, last)
        finally:
            self._settle(key, file)

    def _set(self, file: FileLocks, owner: Owner, fid: int, kind: int, first: int, last: int) -> int:
        if kind != UNLOCK:
            if file.conflict(owner, kind, first, last):
                return BLOCKED
            if self._count >= MOST_LOCKS:
                raise failure(errno.ENOLCK)
            try:
                file.file.lock(kind, first, _length(first, last))
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    return BLOCKED
                raise
        before = len(file.held)
        file.replace(owner, fid, kind, first, last)
        self._count += len(file.held) - before
        if kind == UNLOCK:
            self._give_back(file, first, last)
        return DONE

    def _give_back(self, file: FileLocks, first: int, last: int) -> None:
        for low, high in list(file.free(first, last)):
            file.file.lock(UNLOCK, low, _length(low, high))

    def _settle(self, key: Key, file: FileLocks) -> None:
        if not file.held:
            del self._files[key]
            file.file.close()

    def test(
        self, key: Key, open_file: Callable[[], OpenFile], owner: Owner, kind: int, first: int, last: int
    ) -> Lock | None:
        """A lock that is in the way of a new one; its owner is `HOST` where it is one of the host's."""
        file = self._files.get(key)
        found = file.conflict(owner, kind, first, last) if file else None
        if found or kind == UNLOCK:
            return found
        opened = file.file if file else open_file()
        try:
            taken = opened.find_lock(kind, first, _length(first, last))
        finally:
            if file is None:
                opened.close()
        if taken is None:
            return None
        host_kind, start, length = taken
        return Lock((HOST, 0), 0, host_kind, *bounds(start, length))

    def release(self, key: Key, fid: int) -> None:
        """Give back what was taken by a fid that is closed."""
        file = self._files.get(key)
        if file is None:
            return
        gone = [lock for lock in file.held if lock.fid == fid]
        file.held = [lock for lock in file.held if lock.fid != fid]
        self._count -= len(gone)
        for lock in gone:
            self._give_back(file, lock.first, lock.last)
        self._settle(key, file)

    def clear(self) -> None:
        """Give back all."""
        for file in self._files.values():
            file.file.close()
        self._files.clear()
        self._count = 0
