"""Unix sockets through which programs of the host meet a guest: one that listens, and the ends of connections.

Sources: unix(7), socket(2), connect(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guesthouse.errors import UserError

LONGEST_NAME = 80
"""Bytes of the socket's name: the names beside it are up to 11 longer, and an address holds 107."""
BACKLOG = 64
OWNER_ONLY = 0o600
STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


@contextmanager
def opened_listener(path: str) -> Iterator[tuple[int, int, bytes]]:
    """A socket that listens at `path` for this user's programs: its descriptor, its folder's, its name there.

    What a program that is gone has left there is replaced. Raises UserError where it can't be.
    """
    folder_path, name = os.path.split(os.fsencode(path))
    if not 0 < len(name) <= LONGEST_NAME or name in (b".", b"..") or "\0" in path:
        raise UserError(f"A socket's name has 1 to {LONGEST_NAME} bytes, unlike that of {path!r}; choose another.")
    try:
        folder = os.open(folder_path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"Can't open the folder of the socket {path}: {error.strerror}.") from error
    try:
        with _listening(folder, name, path) as listener:
            yield listener.fileno(), folder, name
    finally:
        os.close(folder)


def _listening(folder: int, name: bytes, path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, STREAM)
    try:
        _make_free(folder, name, path)
        listener.bind(_address(folder, name))
        os.chmod(name, OWNER_ONLY, dir_fd=folder)  # before it listens: nobody can have connected
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(f"Can't listen at the socket {path}: {error.strerror or error}.") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _address(folder: int, name: bytes) -> bytes:
    """Through the descriptor, as the folder's whole path may be longer than an address holds."""
    return b"/proc/self/fd/%d/%s" % (folder, name)


def _make_free(folder: int, name: bytes, path: str) -> None:
    """Remove a socket that nobody listens at."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise UserError(f"{path} is there already, and is no socket; choose another name.")
    if _answers(folder, name):
        raise UserError(f"Another program listens at the socket {path}; choose another name.")
    os.unlink(name, dir_fd=folder)


def _answers(folder: int, name: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, STREAM) as trial:
        return trial.connect_ex(_address(folder, name)) != errno.ECONNREFUSED


class Presence:
    """The file of a socket that listens, to be removed with what it led to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = self._found()

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def remove(self) -> None:
        """Remove it, unless another has taken its place or this process may not."""
        with suppress(OSError):
            if self._identity is not None and self._found() == self._identity:
                os.unlink(self._path)


class End:
    """The host's end of one connection; nothing here blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.descriptor = end.fileno()

    def read(self, most: int) -> bytes | None:
        """Up to so many bytes; none at the end, None where there are none now."""
        try:
            return os.read(self.descriptor, most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write(self, data: bytes) -> int | None:
        """How many bytes were taken; None where nobody will take any more."""
        try:
            return os.write(self.descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            return None

    @property
    def hung_up(self) -> bool:
        """Whether the other side has closed both directions."""
        state = select.poll()
        state.register(self.descriptor, 0)
        return any(events & select.POLLHUP for _, events in state.poll(0))

    def shut(self, reading: bool, writing: bool) -> None:
        """Read, or write, no more: the other side sees that."""
        with suppress(OSError):
            if reading:
                self._socket.shutdown(socket.SHUT_RD)
            if writing:
                self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


def accept_end(listener: socket.socket) -> End | None:
    """The next client's connection."""
    try:
        end, _ = listener.accept()
    except OSError:
        return None
    flags = fcntl.fcntl(end.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(end.fileno(), fcntl.F_SETFL, flags | os.O_NONBLOCK)  # a confined process may do it so only
    return End(end)


def dial_end(name: bytes) -> End | None:
    """A connection to the socket of this name in the current folder; None where nobody takes it now."""
    try:
        end = socket.socket(socket.AF_UNIX, STREAM)
    except OSError:
        return None
    try:
        end.connect(name)
    except OSError:
        end.close()
        return None
    return End(end)
