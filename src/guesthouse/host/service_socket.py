"""Where the processes of one user find a service: a socket in a folder that is this user's alone.

One process at a time serves a place: it holds a lock as long as it lives, so what a dead one left behind is known to
be stale. Both sides look at the other's user. Sources: unix(7), flock(2).
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path

import msgspec

CREDENTIALS = struct.Struct("3i")  # process, user, group
BACKLOG = 64
PATIENCE = 1.0
"""Seconds that a connection may take."""


def peer_user(end: socket.socket) -> int:
    """The user on the other end of a connection."""
    user: int = CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[1]
    return user


class ServicePlace(msgspec.Struct, frozen=True):
    """A name in a folder. The folder is made where it is missing, and must be closed to other users."""

    folder: Path
    name: str

    def connect(self) -> socket.socket | None:
        """A connection to this user's service, None where none can be had."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.settimeout(PATIENCE)
            descriptor = self._open()
            try:
                end.connect(_short(descriptor, self.name))
            finally:
                os.close(descriptor)
            if peer_user(end) == os.getuid():
                return end
        except OSError:
            pass
        end.close()
        return None

    def listen(self) -> Listener | None:
        """Begin to serve this place; None where another process does, or the folder can't be used."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = self._open()
        except OSError:
            return None
        try:
            return Listener(descriptor, self.name)
        except OSError:
            os.close(descriptor)
            return None

    def _open(self) -> int:
        """The folder; raises OSError where others may write there."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            os.close(descriptor)
            raise PermissionError(f"{self.folder} is open to other users")
        return descriptor


class Listener:
    """The socket at a place, with the place's lock; takes connections of one user, this one where none is given."""

    def __init__(self, folder: int, name: str, user: int | None = None) -> None:
        self._user = os.getuid() if user is None else user
        self._folder, self._name = folder, name
        self._lock = os.open(f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            self._socket.bind(_short(folder, name))
            self._socket.listen(BACKLOG)
            self._socket.setblocking(False)
            self._identity = self._found()
        except OSError:
            self._socket.close()
            os.close(self._lock)
            raise

    @property
    def descriptor(self) -> int:
        """Readable when somebody wants a connection."""
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """The next connection; None where there is none, or it is another user's."""
        try:
            end, _ = self._socket.accept()
        except OSError:
            return None
        if peer_user(end) == self._user:
            return end
        end.close()
        return None

    def in_place(self) -> bool:
        """Whether new clients still find this socket."""
        try:
            return self._found() == self._identity
        except OSError:
            return False

    def _found(self) -> tuple[int, int]:
        found = os.stat(self._name, dir_fd=self._folder)
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Give the place up."""
        if self.in_place():
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
        self._socket.close()
        os.close(self._lock)
        os.close(self._folder)


def _short(folder: int, name: str) -> str:
    """The socket's path, which may have 107 bytes only, whatever folder it is in."""
    return f"/proc/self/fd/{folder}/{name}"
