"""Files and folders that appear and disappear as a whole."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from guesthouse.host.user_folders import make_folder, told_plainly


def link_or_copy(source: Path, target: Path) -> Path:
    """Have a file, that is never changed, under one more name; where the host can't link, as a copy. The target."""
    with told_plainly(f"write {target}"):
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            shutil.copyfile(source, target)
    return target


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` that is removed at the end, unless it has been renamed by then."""
    make_folder(parent)
    with told_plainly(f"create a folder in {parent}"):
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to be written, which is there under its name once the block has ended well."""
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with told_plainly(f"read {path}"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move_file(source: Path, target: Path) -> None:
    """Give a file, once its content is safe, another name on the same file system."""
    with told_plainly(f"write {target}"):
        descriptor = os.open(source, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(source, target)


def rename_folder(source: Path, target: Path) -> None:
    """Give a folder the name of one that is not there; raises UserError where there is one."""
    with told_plainly(f"create the folder {target}"):
        os.rename(source, target)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; it is renamed first, so that nobody sees half of it."""
    with told_plainly(f"remove {path}"):
        doomed = path.parent / f".old-{path.name}-{os.urandom(4).hex()}"
        os.rename(path, doomed)
        shutil.rmtree(doomed)
