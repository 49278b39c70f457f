"""Files that appear whole or not at all: written under another name, renamed when they are finished."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.host.user_folders import told_plainly


@contextmanager
def new_file(path: Path) -> Iterator[HostFile]:
    """An empty file that takes the name `path`, and the place of what has it, unless an exception passes.

    Raises `UserError` where the host refuses, its disk is full, or a file of that name is in use or no file.
    """
    with told_plainly(f"write {path}"):
        path = path.resolve()  # what a link names is replaced, not the link
        check_replaceable(path)
        temporary = path.parent / f".{path.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        os.close(descriptor)
        try:
            with HostFile(temporary) as file:
                yield file
                file.flush()
                os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def check_replaceable(path: Path) -> None:
    """Raise `UserError` where a file's name belongs to something else, or to a disk in use."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is no file; give a file's name, and copy to other things with another program.")
    HostFile(path).close()


def allocated_bytes(path: Path) -> int:
    """What a file takes on the host's disk."""
    with told_plainly(f"look at {path}"):
        return path.stat().st_blocks * 512
