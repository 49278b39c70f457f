"""Files that hold disk images: read and written at offsets, locked against a second writer."""

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from guesthouse.errors import UserError

MOST_BUFFERS = 1024
"""Linux's IOV_MAX."""

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10


class HostFile:
    """An open regular file or block device; methods raise `OSError` as the host gives it."""

    def __init__(self, path: Path | str, readonly: bool = False) -> None:
        """Open and lock `path`; raises `UserError` where that can't be."""
        self.path = Path(path)
        flags = os.O_RDONLY if readonly else os.O_RDWR
        try:
            self._fd = os.open(self.path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UserError(f"Can't open the disk image {self.path}: {reason}.") from error
        try:
            self._check_kind()
            fcntl.flock(self._fd, (fcntl.LOCK_SH if readonly else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise UserError(f"The disk image {self.path} is in use by another machine; stop that one first.") from error
        except BaseException:
            self.close()
            raise

    def _check_kind(self) -> None:
        mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise UserError(f"{self.path} is neither a file nor a block device; give a disk image.")

    def fileno(self) -> int:
        """Return the file's descriptor, for a sandbox that is to leave it usable."""
        return self._fd

    @property
    def identity(self) -> tuple[int, int]:
        """The file's device and inode, the same for all its names."""
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    @property
    def size(self) -> int:
        """The length in bytes."""
        return os.lseek(self._fd, 0, os.SEEK_END)

    def preadv(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Fill the buffers, one behind the other; returns the bytes read, fewer only at the end of the file."""
        done = 0
        for rest in _bundles(buffers):
            while rest:
                count = os.preadv(self._fd, rest, offset + done)
                if not count:
                    return done
                done += count
                rest = _behind(rest, count)
        return done

    def pwritev(self, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write all of the buffers, one behind the other."""
        for rest in _bundles(buffers):
            while rest:
                count = os.pwritev(self._fd, rest, offset)
                offset += count
                rest = _behind(rest, count)

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(first byte, the one behind) of what is no hole; all of it where the file system can't tell."""
        end = offset + length
        while offset < end:
            try:
                offset = os.lseek(self._fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole from here on
                    return
                raise
            if offset >= end:
                return
            hole = min(os.lseek(self._fd, offset, os.SEEK_HOLE), end)
            yield offset, hole
            offset = hole

    def zero(self, offset: int, length: int, discard: bool) -> bool:
        """Zero a range without writing it; false where the file system can't."""
        mode = KEEP_SIZE | (PUNCH_HOLE if discard else ZERO_RANGE)
        fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
        if fallocate is None:
            return False
        fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        return bool(fallocate(self._fd, mode, offset, length) == 0)

    def truncate(self, size: int) -> None:
        """Set the length in bytes."""
        os.ftruncate(self._fd, size)

    def flush(self) -> None:
        """Return once the data would survive a loss of power."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bundles(buffers: Sequence[bytes | memoryview]) -> Iterator[list[memoryview]]:
    """As many buffers as one system call takes, none of them empty."""
    full = [memoryview(buffer) for buffer in buffers if len(buffer)]
    for start in range(0, len(full), MOST_BUFFERS):
        yield full[start : start + MOST_BUFFERS]


def _behind(buffers: list[memoryview], count: int) -> list[memoryview]:
    """What is left of the buffers behind the first `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []
