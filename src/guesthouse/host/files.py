"""Files that hold disk images: read and written at offsets, locked against a second writer."""

import ctypes
import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from guesthouse.errors import UserError

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
    def size(self) -> int:
        """The length in bytes."""
        return os.lseek(self._fd, 0, os.SEEK_END)

    def pread(self, length: int, offset: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""
        parts = []
        while length:
            part = os.pread(self._fd, length, offset)
            if not part:
                break
            parts.append(part)
            length -= len(part)
            offset += len(part)
        return b"".join(parts)

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, offset)
            view = view[count:]
            offset += count

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
