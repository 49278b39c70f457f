"""Where the user's files are (XDG base directory specification) and writing them so that nobody sees half a file."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from guesthouse.errors import UserError

PROGRAM = "guesthouse"


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what must stay, such as images."""
    return _folder(environment, "XDG_DATA_HOME", ".local/share")


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what the user chose."""
    return _folder(environment, "XDG_CONFIG_HOME", ".config")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for what can be made again."""
    return _folder(environment, "XDG_CACHE_HOME", ".cache")


def runtime_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for sockets: a session's own where the host has one, else in the cache."""
    named = environment.get("XDG_RUNTIME_DIR", "")
    return Path(named) / PROGRAM if named.startswith("/") else cache_folder(environment) / "run"


def _folder(environment: Mapping[str, str], variable: str, default: str) -> Path:
    """The specification ignores relative paths."""
    named = environment.get(variable, "")
    if named.startswith("/"):
        return Path(named) / PROGRAM
    try:
        home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError as error:
        raise UserError(f"This user has no home folder; set HOME or {variable}.") from error
    return home / default / PROGRAM


@contextmanager
def told_plainly(action: str) -> Iterator[None]:
    """Turn the host's errors into one sentence: "Can't `action`: reason"."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"Can't {action}: the disk is full; free some space and try again.") from error
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(f"Can't {action}: {error.strerror or error}{where}.") from error


def make_folder(path: Path) -> None:
    """Create a folder and those above it, for this user only."""
    with told_plainly(f"create the folder {path}"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def read_file(path: Path) -> bytes | None:
    """The whole file, None where there is none."""
    with told_plainly(f"read {path}"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def write_file(path: Path, data: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, also after a crash."""
    make_folder(path.parent)
    with told_plainly(f"write {path}"):
        temporary = path.parent / f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def remove_file(path: Path) -> None:
    """Remove a file; it may be gone already."""
    with told_plainly(f"remove {path}"):
        path.unlink(missing_ok=True)


def disk_is_full(path: Path) -> bool:
    """Whether nothing more can be written where a folder is or would be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return os.statvfs(path).f_bavail == 0
    except OSError:
        return False


def list_folder(path: Path) -> list[str]:
    """Names in a folder, sorted; empty where there is none."""
    with told_plainly(f"read the folder {path}"):
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; where another process holds it, call `waiting` once and wait."""
    make_folder(path.parent)
    with told_plainly(f"open the lock {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
