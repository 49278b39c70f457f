"""Finding and opening the port to the host."""

from guesthouse.guest.agent import linux
from guesthouse.guest.agent.text import begins, copy, length, number
from guesthouse.guest.program.words import Buffer, System

FOLDER = b"/sys/class/virtio-ports/"
ENTRIES = Buffer(4096)
PATH = Buffer(512)
CONTENT = Buffer(256)
NAME_AT, LENGTH_AT = 19, 16
"""In what getdents64 gives for each entry."""
AT = 64


def open_path(m: System, path: int) -> int:
    """Open a device for both ways; negative where that can't be."""
    flags = linux.O_RDWR | linux.O_NONBLOCK | linux.O_CLOEXEC | linux.O_NOCTTY
    return m.call(linux.OPENAT, linux.AT_FDCWD, path, flags, 0)


def open_port(m: System, name: int) -> int:
    """Open what the agent's argument names: `@3` an open descriptor, a path, or a virtio port; negative: not (yet)."""
    if m.load8(name) == AT:
        descriptor = number(m, name + 1)
        m.call(linux.FCNTL, descriptor, linux.F_SETFL, linux.O_NONBLOCK)
        m.call(linux.FCNTL, descriptor, F_SETFD, 1)
        return descriptor
    if m.load8(name) == m.load8(m.at(FOLDER)):
        return open_path(m, name)
    folder = m.call(linux.OPENAT, linux.AT_FDCWD, m.at(FOLDER), linux.O_RDONLY | linux.O_DIRECTORY | linux.O_CLOEXEC, 0)
    if folder < 0:
        return folder
    port = -linux.ENOENT
    count = m.call(linux.GETDENTS64, folder, m.at(ENTRIES), 4096)
    while count > 0 and port < 0:
        at = 0
        while at < count and port < 0:
            entry = m.at(ENTRIES) + at
            if has_name(m, entry + NAME_AT, name) != 0:
                join(m, m.at(b"/dev/"), entry + NAME_AT, m.at(b""))
                port = open_path(m, m.at(PATH))
            at += m.load8(entry + LENGTH_AT) + 256 * m.load8(entry + LENGTH_AT + 1)
        count = m.call(linux.GETDENTS64, folder, m.at(ENTRIES), 4096)
    m.call(linux.CLOSE, folder)
    return port


F_SETFD = 2


def join(m: System, first: int, second: int, third: int) -> None:
    """Write three texts, one behind the other, to `PATH`."""
    at = m.at(PATH)
    copy(m, at, first, length(m, first))
    at += length(m, first)
    copy(m, at, second, length(m, second))
    at += length(m, second)
    copy(m, at, third, length(m, third) + 1)


def has_name(m: System, entry: int, name: int) -> int:
    """Whether the port whose entry is called so has this name."""
    if length(m, entry) > 64:
        return 0
    join(m, m.at(FOLDER), entry, m.at(b"/name"))
    file = m.call(linux.OPENAT, linux.AT_FDCWD, m.at(PATH), linux.O_RDONLY | linux.O_CLOEXEC, 0)
    if file < 0:
        return 0
    count = m.call(linux.READ, file, m.at(CONTENT), 255)
    m.call(linux.CLOSE, file)
    size = length(m, name)
    if count < size or begins(m, m.at(CONTENT), name, size) == 0:
        return 0
    return count == size or m.load8(m.at(CONTENT) + size) == 10
