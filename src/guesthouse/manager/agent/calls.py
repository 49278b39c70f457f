"""System calls in the guest, made by a child of its agent: files, and what no command does everywhere alike.

The guest is not believed: what it answers is bounded, and names in it are checked before they are used.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.agent import linux, protocol

REQUEST = struct.Struct("<IIIIII6q")
REPLY = struct.Struct("<qII")
STATX = struct.Struct("<IIQIIIHxxQQQQ")
"""Of `struct statx`: mask, block size, attributes, links, uid, gid, mode, inode, size, blocks, attributes' mask."""
TIME, TIMES = struct.Struct("<qI"), struct.Struct("<qqqq")
STATX_MTIME, STATX_DEVICE, STATX_SIZE, STATX_BASIC = 112, 136, 256, 0x7FF
ENTRY = struct.Struct("<QqHB")
OCTAL = re.compile(rb"\\([0-3][0-7]{2})")

MOST_NAME, MOST_ENTRIES = 4095, 1 << 20
MOST_FILE, MOST_MOUNTS = 1 << 62, 1 << 20
PIECE = protocol.MOST_DATA // 2
AHEAD = 4
"""Writes that are under way at once."""

DIRECTORY, REGULAR, LINK = 0o040000, 0o100000, 0o120000
NOT_SUPPORTED = 95

ERRORS = {
    1: "operation not permitted", 2: "no such file or directory", 5: "input/output error", 13: "permission denied",
    17: "file exists", 20: "not a directory", 21: "is a directory", 22: "invalid argument", 26: "text file busy",
    28: "no space left on device", 30: "read-only file system", 36: "file name too long", 38: "not implemented",
    39: "directory not empty", 40: "too many symbolic links", 95: "not supported",
}  # fmt: skip


class CallFailed(UserError):
    """A system call failed in the guest; `number` is the error's."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"In the guest: {what}: {ERRORS.get(number, f'error {number}')}.")
        self.number = number


class Stat(msgspec.Struct, frozen=True):
    """What a file is: permissions and type as in `st_mode`, owner, size in bytes, time of change in nanoseconds."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    links: int
    identity: tuple[int, int]

    @property
    def kind(self) -> int:
        """The type: `DIRECTORY`, `REGULAR`, `LINK` or another"""
        return self.mode & 0o170000


class Room(msgspec.Struct, frozen=True):
    """An argument that is memory for the call to fill: as many bytes as its result says, or the `whole`."""

    size: int
    whole: bool = False


class Pipe(Protocol):
    """The child's standard input and output, as the calls use them."""

    def write(self, data: bytes) -> None:
        """Send it requests."""

    def read(self, count: int) -> bytes:
        """Wait for so many bytes of its answers; raises UserError where they don't come."""


Argument = int | bytes | Room


class Calls:
    """System calls, made in their order; paths are bytes, errors raise `CallFailed`.

    Calls that only finish something (closing, permissions, times) are not waited for: where one fails, the next call
    that is, or `settle`, raises it.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._later: deque[str] = deque()

    # --- one call -----------------------------------------------------------------------------------------------------

    def _send(self, number: int, arguments: Sequence[Argument]) -> None:
        """Send a request: bytes are put into its data with a zero behind them, and room is kept behind all of them."""
        data, values, mask = bytearray(), [], 0
        room = Room(0)
        for index, argument in enumerate(arguments):
            if isinstance(argument, int):
                values.append(argument)
                continue
            mask |= 1 << index
            values.append(len(data) if isinstance(argument, bytes) else -1)
            if isinstance(argument, bytes):
                data += argument + bytes(8 - len(argument) % 8)
            else:
                room, mask = argument, mask | (0 if argument.whole else protocol.UP_TO_RESULT)
        values = [len(data) if value == -1 and mask >> i & 1 else value for i, value in enumerate(values)]
        values += [0] * (6 - len(values))
        self._pipe.write(REQUEST.pack(number, mask, len(data), len(data), room.size, 0, *values) + data)

    def _receive(self, what: str, most: int = 0) -> tuple[int, bytes]:
        """The answer to the oldest request that is waited for; those before it are looked at first."""
        failed = self._settled()
        answer = self._answer(what, most)
        if failed is not None:
            raise failed
        return answer

    def _settled(self) -> CallFailed | None:
        failed = None
        while self._later:
            try:
                self._answer(self._later.popleft(), 0)
            except CallFailed as error:
                failed = failed or error
        return failed

    def settle(self) -> None:
        """Wait for all calls that were not waited for."""
        if (failed := self._settled()) is not None:
            raise failed

    def _finish(self, what: str, number: int, *arguments: int | bytes) -> None:
        """Make a call without waiting for it."""
        self._send(number, arguments)
        self._later.append(what)

    def _answer(self, what: str, most: int) -> tuple[int, bytes]:
        result, size, _ = REPLY.unpack(self._pipe.read(REPLY.size))
        if size > most:
            raise UserError("The guest's agent answers with more than was asked for.")
        data = self._pipe.read(size)
        if result < 0:
            raise CallFailed(what, -result)
        return result, data

    def call(self, what: str, number: int, *arguments: int | bytes) -> int:
        """Make a call; `what` begins the sentence where it fails."""
        self._send(number, arguments)
        return self._receive(what)[0]

    def fill(self, what: str, number: int, *arguments: Argument) -> bytes:
        """Make a call that fills a `Room`; gives as many bytes of it as the result says."""
        self._send(number, arguments)
        room = next(argument for argument in arguments if isinstance(argument, Room))
        data = self._receive(what, room.size)[1]
        if room.whole and len(data) != room.size:
            raise UserError(f"The guest's agent answers with too little: {what}.")
        return data

    # --- files --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self, path: bytes, flags: int, mode: int = 0) -> Iterator[int]:
        flags |= linux.O_CLOEXEC | linux.O_NOCTTY
        file = self.call(f"can't open {shown(path)}", linux.OPENAT, linux.AT_FDCWD, path, flags, mode)
        try:
            yield file
        finally:
            self._finish(f"can't close {shown(path)}", linux.CLOSE, file)

    def read_pieces(self, path: bytes, most: int = MOST_FILE, *, regular: bool = False) -> Iterator[bytes]:
        """The content of a file, at most `most` bytes of it; where it is `regular`, less than a piece is its end."""
        what = f"can't read {shown(path)}"
        with self._opened(path, linux.O_RDONLY | linux.O_NONBLOCK) as file:
            while data := self.fill(what, linux.READ, file, Room(min(PIECE, most)), min(PIECE, most)):
                most -= len(data)
                yield data
                if regular and len(data) < PIECE:
                    return

    def read_file(self, path: bytes, most: int = MOST_FILE) -> bytes:
        """All of a file, or its first `most` bytes."""
        return b"".join(self.read_pieces(path, most))

    def write_file(self, path: bytes, pieces: Iterable[bytes], mode: int = 0o644) -> int:
        """Write a file anew, through no symbolic link; gives its size. Several writes are under way at once."""
        what = f"can't write {shown(path)}"
        flags = linux.O_WRONLY | linux.O_CREAT | linux.O_TRUNC | linux.O_NOFOLLOW
        with self._opened(path, flags, mode) as file:
            size, waiting = 0, deque[tuple[int, bytes]]()
            try:
                for large in pieces:
                    for data in (large[start : start + PIECE] for start in range(0, len(large), PIECE)):
                        self._send(linux.PWRITE64, (file, data, len(data), size))
                        waiting.append((size, data))
                        size += len(data)
                        if len(waiting) == AHEAD:
                            self._written(what, file, waiting)
                while waiting:
                    self._written(what, file, waiting)
            finally:  # where something went wrong: the answers that are still to come are nobody's
                for _ in waiting:
                    with suppress(UserError):
                        self._receive(what)
        return size

    def _written(self, what: str, file: int, waiting: deque[tuple[int, bytes]]) -> None:
        """Take the answer to the oldest write; what it left over is written behind the others."""
        offset, data = waiting.popleft()
        count = self._receive(what)[0]
        if not 0 < count <= len(data):
            raise CallFailed(what, linux.EIO)
        if count < len(data):
            self._send(linux.PWRITE64, (file, data[count:], len(data) - count, offset + count))
            waiting.append((offset + count, data[count:]))

    def stat(self, path: bytes, *, follow: bool = False) -> Stat:
        """What a file is, or the symbolic link itself."""
        flags = 0 if follow else linux.AT_SYMLINK_NOFOLLOW
        what = f"can't look at {shown(path)}"
        room = Room(STATX_SIZE, whole=True)
        data = self.fill(what, linux.STATX, linux.AT_FDCWD, path, flags, STATX_BASIC, room)
        _, _, _, links, uid, gid, mode, inode, size, _, _ = STATX.unpack_from(data)
        seconds, nanoseconds = TIME.unpack_from(data, STATX_MTIME)
        device = struct.unpack_from("<II", data, STATX_DEVICE)
        mtime = seconds * 10**9 + min(nanoseconds, 10**9 - 1)
        return Stat(mode, uid, gid, size, mtime, links, (device[0] << 32 | device[1], inode))

    def list_folder(self, path: bytes) -> list[bytes]:
        """The names in a folder, sorted, each of them a single name; raises UserError where there are too many."""
        names: list[bytes] = []
        with self._opened(path, linux.O_RDONLY | linux.O_DIRECTORY) as file:
            while data := self.fill(f"can't list {shown(path)}", linux.GETDENTS64, file, Room(PIECE), PIECE):
                names += _entry_names(data)
                if len(names) > MOST_ENTRIES:
                    raise UserError(f"In the guest: {shown(path)} has more than {MOST_ENTRIES} entries.")
        return sorted(names)

    def read_link(self, path: bytes) -> bytes:
        """Where a symbolic link points."""
        what = f"can't read the link {shown(path)}"
        target = self.fill(what, linux.READLINKAT, linux.AT_FDCWD, path, Room(MOST_NAME), MOST_NAME)
        if not target or b"\0" in target:
            raise UserError(f"In the guest: {shown(path)} is a link that points to no path.")
        return target

    def make_folder(self, path: bytes, mode: int = 0o755) -> bool:
        """Make a folder; False where there is one."""
        try:
            self.call(f"can't make the folder {shown(path)}", linux.MKDIRAT, linux.AT_FDCWD, path, mode)
        except CallFailed as error:
            if error.number != linux.EEXIST or self.stat(path, follow=True).kind != DIRECTORY:
                raise
            return False
        return True

    def make_link(self, path: bytes, target: bytes) -> None:
        """Make a symbolic link, in place of one that is there."""
        with suppress(CallFailed):
            if self.stat(path).kind == LINK:
                self.remove(path)
        self.call(f"can't make the link {shown(path)}", linux.SYMLINKAT, target, linux.AT_FDCWD, path)

    def remove(self, path: bytes, *, folder: bool = False) -> None:
        """Remove a file or link, or an empty folder."""
        flags = linux.AT_REMOVEDIR if folder else 0
        self.call(f"can't remove {shown(path)}", linux.UNLINKAT, linux.AT_FDCWD, path, flags)

    def change_mode(self, path: bytes, mode: int) -> None:
        """Set the permissions of a file or folder."""
        self._finish(f"can't change {shown(path)}", linux.FCHMODAT, linux.AT_FDCWD, path, mode & 0o7777)

    def change_owner(self, path: bytes, uid: int, gid: int) -> None:
        """Set whose a file, folder or link is."""
        flags = linux.AT_SYMLINK_NOFOLLOW
        self._finish(f"can't change {shown(path)}", linux.FCHOWNAT, linux.AT_FDCWD, path, uid, gid, flags)

    def change_time(self, path: bytes, mtime: int) -> None:
        """Set when a file, folder or link was changed, in nanoseconds."""
        times = TIMES.pack(*divmod(mtime, 10**9), *divmod(mtime, 10**9))
        flags = linux.AT_SYMLINK_NOFOLLOW
        self._finish(f"can't change {shown(path)}", linux.UTIMENSAT, linux.AT_FDCWD, path, times, flags)

    # --- the guest itself ---------------------------------------------------------------------------------------------

    def set_clock(self, now: int) -> None:
        """Set the guest's clock, in nanoseconds since 1970 (UTC)."""
        self.call("can't set the clock", linux.CLOCK_SETTIME, 0, struct.pack("<qq", *divmod(now, 10**9)))

    def sync(self) -> None:
        """Have everything written to the disks."""
        self.call("can't write to the disks", linux.SYNC)

    def freeze(self) -> list[bytes]:
        """Freeze the writable file systems on disks, those mounted last first; gives where they are mounted.

        Where one can't be frozen, the others are thawed again and CallFailed is raised.
        """
        frozen: list[bytes] = []
        for place in reversed(disk_mounts(self.read_file(b"/proc/self/mountinfo", MOST_MOUNTS))):
            try:
                self._file_system(place, linux.FIFREEZE, "freeze")
            except CallFailed as error:
                if error.number in (NOT_SUPPORTED, linux.EBUSY):  # it can't be, or is already
                    continue
                self.thaw(frozen)
                raise
            frozen.append(place)
        return frozen

    def thaw(self, places: Iterable[bytes] | None = None) -> None:
        """Let file systems be written again: those given, else all on disks."""
        if places is None:
            places = disk_mounts(self.read_file(b"/proc/self/mountinfo", MOST_MOUNTS))
        for place in reversed(list(places)):
            with suppress(CallFailed):  # it was not frozen
                self._file_system(place, linux.FITHAW, "thaw")

    def _file_system(self, place: bytes, command: int, verb: str) -> None:
        with self._opened(place, linux.O_RDONLY | linux.O_DIRECTORY) as file:
            self.call(f"can't {verb} {shown(place)}", linux.IOCTL, file, command, 0)


def shown(path: bytes) -> str:
    """A path of the guest's for people, on one line."""
    return repr(path.decode("utf-8", "replace"))


def _entry_names(data: bytes) -> list[bytes]:
    """The names in what getdents64 gave; raises UserError where that makes no sense."""
    names, at = [], 0
    while at < len(data):
        size = ENTRY.unpack_from(data, at)[2] if len(data) - at >= ENTRY.size else 0
        if size <= ENTRY.size or at + size > len(data):
            raise UserError("The guest's agent gives a folder's entries in a form that makes no sense.")
        name = data[at + ENTRY.size : at + size].split(b"\0")[0]
        at += size
        if name in (b".", b".."):
            continue
        if not name or b"/" in name:
            raise UserError(f"The guest has a file called {shown(name)}, which is no name.")
        names.append(name)
    return names


def disk_mounts(mountinfo: bytes) -> list[bytes]:
    """Where writable file systems on disks are mounted, each once, in the order of mounting (see proc(5))."""
    found: dict[bytes, bytes] = {}
    for line in mountinfo.split(b"\n"):
        fields = line.split(b" ")
        if b"-" not in fields or len(fields) < 10:
            continue
        kind = fields.index(b"-")
        source = fields[kind + 2] if len(fields) > kind + 3 else b""
        writable = b"rw" in fields[5].split(b",") and b"rw" in fields[-1].split(b",")
        if source.startswith(b"/dev/") and writable and not source.startswith(b"/dev/loop"):
            found.setdefault(fields[2], OCTAL.sub(lambda match: bytes((int(match[1], 8),)), fields[4]))
    return list(found.values())
