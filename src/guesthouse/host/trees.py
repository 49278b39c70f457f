"""Files and folders of the host, by name inside an open folder: no symbolic link is ever followed on the way.

What is written may come from a hostile guest: names are single names, links are made and never followed, permissions
have no set-user-ID.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from guesthouse.errors import UserError

CHUNK = 1 << 18


class Entry(msgspec.Struct, frozen=True):
    """What a file of the host is: type and permissions, size, time of change in nanoseconds."""

    mode: int
    size: int
    mtime: int

    @property
    def kind(self) -> int:
        """The type, as `stat.S_IFMT` gives it."""
        return stat.S_IFMT(self.mode)


class Folder:
    """An open folder."""

    def __init__(self, descriptor: int, shown: str) -> None:
        self._descriptor = descriptor
        self.shown = shown

    def names(self) -> list[str]:
        """The names in it, sorted."""
        return sorted(os.listdir(self._descriptor))

    def look(self, name: str, *, follow: bool = False) -> Entry | None:
        """What is called so, None where there is nothing."""
        try:
            found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=follow)
        except FileNotFoundError:
            return None
        return Entry(found.st_mode, found.st_size, found.st_mtime_ns)

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file in pieces."""
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            while data := os.read(file, CHUNK):
                yield data
        finally:
            os.close(file)

    def read_link(self, name: str) -> str:
        """Where a symbolic link points."""
        return os.readlink(name, dir_fd=self._descriptor)

    @contextmanager
    def folder(self, name: str) -> Iterator[Folder]:
        """A folder inside it, open meanwhile."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._descriptor)
        try:
            yield Folder(descriptor, f"{self.shown}/{name}")
        finally:
            os.close(descriptor)

    def make_folder(self, name: str) -> None:
        """Make a folder for us alone, unless there is one."""
        try:
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
        except FileExistsError:
            entry = self.look(name)
            if entry is None or entry.kind != stat.S_IFDIR:
                raise

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file anew, for us alone; a link or file of that name is replaced."""
        self._make_way(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        try:
            for data in pieces:
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
        finally:
            os.close(file)

    def make_link(self, name: str, target: str) -> None:
        """Make a symbolic link; a link or file of that name is replaced."""
        self._make_way(name)
        os.symlink(target, name, dir_fd=self._descriptor)

    def _make_way(self, name: str) -> None:
        entry = self.look(name)
        if entry is not None and entry.kind != stat.S_IFDIR:
            os.unlink(name, dir_fd=self._descriptor)

    def finish(self, name: str, mode: int, mtime: int) -> None:
        """Set permissions (of files and folders) and time of what was made."""
        entry = self.look(name)
        if entry is not None and entry.kind != stat.S_IFLNK:
            os.chmod(name, mode & 0o777, dir_fd=self._descriptor)
        os.utime(name, ns=(mtime, mtime), dir_fd=self._descriptor, follow_symlinks=False)


@contextmanager
def opened_folder(path: str) -> Iterator[Folder]:
    """A folder by its path, open meanwhile; raises UserError where it can't be opened."""
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"Can't open the folder {path}: {error.strerror}.") from None
    try:
        yield Folder(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def told_of_files() -> Iterator[None]:
    """Turns an error of the host's files into a sentence."""
    try:
        yield
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        raise UserError(f"Copying stopped at the host's file{name}: {error.strerror}.") from None


def split_path(path: str) -> tuple[str, str]:
    """The folder that something lies in, and its name there; for a folder "." or ".." its real name."""
    whole = Path(path)
    if whole.name in ("", "..", "."):
        whole = whole.resolve()
    return str(whole.parent), whole.name


def is_folder(path: str) -> bool:
    """Whether there is a folder (or a link to one) at a path."""
    return Path(path).is_dir()
