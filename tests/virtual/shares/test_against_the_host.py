"""Generated sequences of operations by 9P, and the same with the host's own calls on a plain folder beside it."""

import errno
import os
import random
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.virtual.shares.client import APPEND, EXCLUSIVE, READ_WRITE, REMOVE_DIRECTORY, TRUNCATE, Client

NAMES = ["a", "b", "c", "d"]
OPERATIONS = (
    *("mkdir", "mkdir", "rmdir", "write", "write", "write", "read", "unlink", "rename", "rename", "link", "symlink"),
    *("readlink", "chmod", "truncate", "names", "stat"),
)
STEPS = 400
FLAGS = {0: 0, EXCLUSIVE: os.O_EXCL, TRUNCATE: os.O_TRUNC, APPEND: os.O_APPEND}
ON_LINKS = {errno.ELOOP: errno.ENOENT, errno.ENOTDIR: errno.ENOENT}
"""Which of several errors is told first is of no importance."""


class Guest:
    """The operations by 9P."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @contextmanager
    def at(self, path: str) -> Iterator[int]:
        fid = self.client.walk(path)
        try:
            yield fid
        finally:
            self.client.clunk(fid)

    @contextmanager
    def above(self, path: str) -> Iterator[tuple[int, bytes]]:
        folder, _, name = path.rpartition("/")
        with self.at(folder) as fid:
            yield fid, name.encode()

    def mkdir(self, path: str) -> None:
        with self.above(path) as (fid, name):
            self.client.ask("mkdir", fid=fid, name=name, mode=0o755, gid=0)

    def rmdir(self, path: str) -> None:
        with self.above(path) as (fid, name):
            self.client.ask("unlinkat", fid=fid, name=name, flags=REMOVE_DIRECTORY)

    def unlink(self, path: str) -> None:
        with self.above(path) as (fid, name):
            self.client.ask("unlinkat", fid=fid, name=name, flags=0)

    def rename(self, path: str, other: str) -> None:
        with self.above(path) as (old, old_name), self.above(other) as (new, new_name):
            self.client.ask("renameat", old=old, old_name=old_name, new=new, new_name=new_name)

    def link(self, path: str, other: str) -> None:
        with self.at(path) as fid, self.above(other) as (directory, name):
            self.client.ask("link", directory=directory, fid=fid, name=name)

    def symlink(self, path: str, target: str) -> None:
        with self.above(path) as (fid, name):
            self.client.ask("symlink", fid=fid, name=name, target=target.encode(), gid=0)

    def readlink(self, path: str) -> bytes:
        with self.at(path) as fid:
            return self.client.ask("readlink", fid=fid)[2:]

    def write(self, path: str, flags: int, offset: int, data: bytes) -> int:
        folder, _, name = path.rpartition("/")
        fid = self.client.create(folder, name.encode(), READ_WRITE | flags)
        try:
            return self.client.write(fid, offset, data)
        finally:
            self.client.clunk(fid)

    def read(self, path: str, offset: int) -> bytes:
        with self.at(path) as fid:
            self.client.ask("lopen", fid=fid, flags=0)
            return self.client.read(fid, offset, 5000)

    def chmod(self, path: str, mode: int) -> None:
        with self.at(path) as fid:
            self.client.setattr(fid, 1, mode=mode)

    def truncate(self, path: str, size: int) -> None:
        with self.at(path) as fid:
            self.client.setattr(fid, 8, size=size)

    def names(self, path: str) -> list[bytes]:
        return self.client.names(path)

    def stat(self, path: str) -> tuple[int, ...]:
        found = self.client.stat(path)
        return found.mode, found.links, 0 if stat.S_ISDIR(found.mode) else found.size


class Host:
    """The same by the host's calls; no component of a path may be a link, nor what is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at(self, path: str) -> str:
        *folders, name = path.split("/")
        place = str(self.folder)
        for folder in folders:
            place += "/" + folder
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                raise OSError(errno.ENOTDIR, "not a directory")
        return f"{place}/{name}"

    def solid(self, path: str) -> str:
        if stat.S_ISLNK(os.lstat(self.at(path)).st_mode):
            raise OSError(errno.ELOOP, "a link")
        return self.at(path)

    def mkdir(self, path: str) -> None:
        os.mkdir(self.at(path), 0o755)

    def rmdir(self, path: str) -> None:
        os.rmdir(self.at(path))

    def unlink(self, path: str) -> None:
        os.unlink(self.at(path))

    def rename(self, path: str, other: str) -> None:
        os.rename(self.at(path), self.at(other))

    def link(self, path: str, other: str) -> None:
        os.link(self.at(path), self.at(other), follow_symlinks=False)

    def symlink(self, path: str, target: str) -> None:
        os.symlink(target, self.at(path))

    def readlink(self, path: str) -> bytes:
        return os.readlink(self.at(path)).encode()

    def write(self, path: str, flags: int, offset: int, data: bytes) -> int:
        descriptor = os.open(self.at(path), FLAGS[flags] | os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o644)
        try:
            return os.pwrite(descriptor, data, offset)
        finally:
            os.close(descriptor)

    def read(self, path: str, offset: int) -> bytes:
        descriptor = os.open(self.solid(path), os.O_RDONLY)
        try:
            return os.pread(descriptor, 5000, offset)
        finally:
            os.close(descriptor)

    def chmod(self, path: str, mode: int) -> None:
        if stat.S_ISLNK(os.lstat(self.at(path)).st_mode):
            raise OSError(errno.EOPNOTSUPP, "a link")
        os.chmod(self.at(path), mode)

    def truncate(self, path: str, size: int) -> None:
        os.truncate(self.solid(path), size)

    def names(self, path: str) -> list[bytes]:
        return sorted(os.fsencode(name) for name in os.listdir(self.solid(path)))

    def stat(self, path: str) -> tuple[int, ...]:
        found = os.lstat(self.at(path))
        return found.st_mode, found.st_nlink, 0 if stat.S_ISDIR(found.st_mode) else found.st_size


def random_path(dice: random.Random) -> str:
    return "/".join(dice.choice(NAMES) for _ in range(dice.choice((1, 1, 2, 2, 3))))


def operation(dice: random.Random) -> tuple[str, list[Any]]:
    """The name of an operation, and what it is about."""
    name = dice.choice(OPERATIONS)
    arguments: list[Any] = [random_path(dice)]
    if name in ("rename", "link", "symlink"):
        arguments.append(random_path(dice))
    elif name == "write":
        arguments += [dice.choice(list(FLAGS)), dice.randrange(9000), dice.randbytes(dice.randrange(5000))]
    elif name in ("read", "truncate"):
        arguments.append(dice.randrange(9000))
    elif name == "chmod":
        arguments.append(0o700 | dice.randrange(0o77))
    return name, arguments


def outcome(side: Guest | Host, name: str, arguments: list[Any]) -> tuple[str, Any]:
    try:
        return "done", getattr(side, name)(*arguments)
    except OSError as error:
        return "error", ON_LINKS.get(error.errno or 0, error.errno)


def tree(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything in a folder: type, mode, content or target."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status, content = path.lstat(), None
        if path.is_symlink():
            content = os.readlink(path).encode()
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = status.st_mode, status.st_nlink, content
    return found


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("limit", [400, 40])
@pytest.mark.parametrize("seed", range(8))
def test_the_same_comes_of_the_same_operations(tmp_path: Path, seed: int, limit: int) -> None:
    shared, beside = tmp_path / "shared", tmp_path / "plain"
    shared.mkdir()
    beside.mkdir()
    dice = random.Random(seed)
    client = Client(shared, limit=limit)
    guest, host = Guest(client), Host(beside)
    held: list[int] = []
    done = 0
    for step in range(STEPS):
        name, arguments = operation(dice)
        by_guest, by_host = outcome(guest, name, arguments), outcome(host, name, arguments)
        assert by_guest == by_host, f"step {step}: {name} {arguments[:2]}"
        done += by_guest[0] == "done"
        # Fids that stay make the server remember places, which later operations move and remove.
        try:
            held.append(client.walk(random_path(dice)))
        except OSError:
            continue
        if len(held) > 30:
            client.clunk(held.pop(dice.randrange(len(held))))
    assert tree(shared) == tree(beside)
    assert done > STEPS // 8
