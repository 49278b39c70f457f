"""Copies of files with holes: sharing the original's blocks where the file system can, else copying what is no hole."""

import errno
import fcntl
import os
from pathlib import Path

from guesthouse.host.user_folders import told_plainly

FICLONE = 0x40049409
"""The ioctl that makes a file share another's blocks (ioctl_ficlonerange(2))."""

PIECE = 64 << 20


def copy_sparse(source: Path, target: Path) -> None:
    """Make `target`, a new file, a copy of `source`; raises UserError, and leaves nothing, where that fails."""
    with told_plainly(f"write {target}"), open(source, "rb") as original:
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.ioctl(descriptor, FICLONE, original.fileno())
            except OSError:
                _copy_data(original.fileno(), descriptor)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def _copy_data(source: int, target: int) -> None:
    """Copy what is no hole."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            at += _copy_piece(source, target, at, min(PIECE, end - at)) or end - at


def _copy_piece(source: int, target: int, at: int, length: int) -> int:
    """Copy some of a range, inside the kernel where it can; the bytes copied."""
    try:
        return os.copy_file_range(source, target, length, at, at)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    data = os.pread(source, min(length, 1 << 20), at)
    return os.pwrite(target, data, at) if data else 0
