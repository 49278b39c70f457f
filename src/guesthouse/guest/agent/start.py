"""Starting a command: its record is checked and taken apart, its streams are made, a child becomes it."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.channel import close_stream
from guesthouse.guest.agent.child import become
from guesthouse.guest.agent.output import send
from guesthouse.guest.agent.state import (
    ENVIRONMENT,
    ERR_CREDIT,
    ERR_FD,
    ERR_LEFT,
    FLAGS,
    ID,
    IN_FD,
    OUT_CREDIT,
    OUT_FD,
    OUT_LEFT,
    PID,
    REPORT_FD,
    STAGED,
    STATUS,
    find_channel,
    get,
    put,
)
from guesthouse.guest.agent.text import begins, copy, find, length
from guesthouse.guest.program.words import Buffer, System

STAGE = Buffer(protocol.MOST_START + 16)
MOST_GROUPS, MOST_WORDS = 64, 32 << 10
POINTERS = Buffer(8 * (MOST_WORDS + 8))
PIPE = Buffer(16)
UID, GID, GROUPS, ARGUMENTS, VARIABLES, SIZE, FIXED = range(0, 28, 4)
"""The record's words: user, group, number of further groups, of arguments, of variables, and the terminal's size; then
come the groups and, each ending with a zero byte, the working directory, arguments and variables."""


def stage(m: System, data: int, size: int) -> int:
    """Add a part of the next command's record; 0 where it is too long."""
    if size > protocol.MOST_START - get(m, STAGED):
        return 0
    copy(m, m.at(STAGE) + get(m, STAGED), data, size)
    put(m, STAGED, get(m, STAGED) + size)
    return 1


def start(m: System, identifier: int, flags: int) -> None:
    """Start the command whose record is complete."""
    record = m.at(STAGE)
    size = get(m, STAGED)
    put(m, STAGED, 0)
    m.store8(record + size, 0)
    channel = find_channel(m, ID, 0)
    if identifier == 0 or find_channel(m, ID, identifier) != 0 or valid(m, record, size) == 0:
        send(m, protocol.FAILED, identifier, linux.EINVAL, 0)
        return
    if channel == 0:
        send(m, protocol.FAILED, identifier, linux.EAGAIN, 0)
        return
    text = take_apart(m, record, flags)
    error = open_streams(m, channel, record, flags)
    if error != 0:
        send(m, protocol.FAILED, identifier, error, 0)
        return
    m.store64(channel + ID, identifier)
    m.store64(channel + FLAGS, flags)
    m.store64(channel + STATUS, -1)
    m.store64(channel + OUT_LEFT, -1)
    m.store64(channel + ERR_LEFT, -1)
    m.store64(channel + OUT_CREDIT, 0)
    m.store64(channel + ERR_CREDIT, 0)
    launch(m, channel, record, text)


def valid(m: System, record: int, size: int) -> int:
    """Whether all texts that a record names are in it."""
    if size < FIXED:
        return 0
    groups = m.load32(record + GROUPS)
    texts = m.load32(record + ARGUMENTS) + m.load32(record + VARIABLES) + 1
    if groups > MOST_GROUPS or texts > MOST_WORDS or FIXED + 4 * groups > size:
        return 0
    at = FIXED + 4 * groups
    for _ in range(texts):
        if at >= size:
            return 0
        at += length(m, record + at) + 1
    return 1


def take_apart(m: System, record: int, flags: int) -> int:
    """Write the pointers to arguments and variables, and give the working directory.

    A word is left free before the arguments, for the shell that a script without one needs.
    """
    directory = record + FIXED + 4 * m.load32(record + GROUPS)
    text = directory + length(m, directory) + 1
    slot = m.at(POINTERS) + 8
    for _ in range(m.load32(record + ARGUMENTS)):
        m.store64(slot, text)
        slot += 8
        text += length(m, text) + 1
    m.store64(slot, 0)
    slot += 8
    first = slot
    for _ in range(m.load32(record + VARIABLES)):
        m.store64(slot, text)
        slot += 8
        text += length(m, text) + 1
    if flags & protocol.INHERIT != 0:
        slot = inherit(m, first, slot)
    m.store64(slot, 0)
    return directory


def inherit(m: System, first: int, slot: int) -> int:
    """Add those of our own variables that the command does not set itself."""
    given = slot
    entry = get(m, ENVIRONMENT)
    while m.load64(entry) != 0 and slot < m.at(POINTERS) + 8 * (MOST_WORDS + 6):
        text = m.load64(entry)
        known = 0
        name = find(m, text, 61)
        for other in range(first, given, 8):
            if find(m, m.load64(other), 61) == name and begins(m, m.load64(other), text, name) != 0:
                known = 1
        if known == 0:
            m.store64(slot, text)
            slot += 8
        entry += 8
    return slot


def pipe(m: System, channel: int, ours: int, ours_writes: int, uid: int) -> int:
    """Make a pipe with one end in the channel; gives the other, negative where that fails.

    It belongs to the command's user, who may open it again by name.
    """
    error = m.call(linux.PIPE2, m.at(PIPE), linux.O_CLOEXEC)
    if error < 0:
        return error
    reading, writing = m.load32(m.at(PIPE)), m.load32(m.at(PIPE) + 4)
    kept = writing if ours_writes != 0 else reading
    if uid != protocol.NOBODY:
        m.call(linux.FCHOWN, reading, uid, -1)
    m.call(linux.FCNTL, kept, linux.F_SETFL, linux.O_NONBLOCK)
    m.store64(channel + ours, kept)
    return reading if ours_writes != 0 else writing


CHILD_IN, CHILD_OUT, CHILD_ERR, CHILD_REPORT = range(0, 32, 8)
CHILD = Buffer(32)


def open_streams(m: System, channel: int, record: int, flags: int) -> int:
    """Make the command's streams: ours in the channel, its own in `CHILD`; gives an error number, 0 for none."""
    uid = m.load32(record + UID)
    for field in range(0, 32, 8):
        m.store64(m.at(CHILD) + field, -1)
    m.store64(channel + IN_FD, -1)
    m.store64(channel + OUT_FD, -1)
    m.store64(channel + ERR_FD, -1)
    m.store64(channel + REPORT_FD, -1)
    child = m.at(CHILD)
    m.store64(child + CHILD_REPORT, pipe(m, channel, REPORT_FD, 0, protocol.NOBODY))
    if flags & protocol.TERMINAL != 0:
        m.store64(child + CHILD_IN, terminal(m, channel, m.load32(record + SIZE)))
        if uid != protocol.NOBODY:
            m.call(linux.FCHOWN, m.load64(child + CHILD_IN), uid, -1)
        m.store64(child + CHILD_OUT, m.load64(child + CHILD_IN))
        m.store64(child + CHILD_ERR, m.load64(child + CHILD_IN))
    else:
        m.store64(child + CHILD_IN, pipe(m, channel, IN_FD, 1, uid))
        m.store64(child + CHILD_OUT, pipe(m, channel, OUT_FD, 0, uid))
        m.store64(child + CHILD_ERR, pipe(m, channel, ERR_FD, 0, uid))
    for field in range(0, 32, 8):
        if m.load64(child + field) < 0:
            error = -m.load64(child + field)
            close_streams(m, channel)
            return error
    return 0


def close_streams(m: System, channel: int) -> None:
    """Close all of both sides' streams."""
    close_child(m)
    close_stream(m, channel, IN_FD)
    close_stream(m, channel, OUT_FD)
    close_stream(m, channel, ERR_FD)
    close_stream(m, channel, REPORT_FD)


def close_child(m: System) -> None:
    """Close the command's own ends."""
    child = m.at(CHILD)
    for field in range(0, 32, 8):
        descriptor = m.load64(child + field)
        if descriptor >= 0 and (field == 0 or descriptor != m.load64(child)):
            m.call(linux.CLOSE, descriptor)


def terminal(m: System, channel: int, size: int) -> int:
    """Make a pseudo-terminal of `columns << 16 | rows`; gives the command's end, negative where that fails."""
    flags = linux.O_RDWR | linux.O_NOCTTY | linux.O_CLOEXEC
    master = m.call(linux.OPENAT, linux.AT_FDCWD, m.at(b"/dev/ptmx"), flags | linux.O_NONBLOCK)
    if master < 0:
        return master
    m.store64(channel + IN_FD, master)
    m.store64(channel + OUT_FD, m.call(linux.FCNTL, master, F_DUPFD_CLOEXEC, 0))
    m.store64(m.at(PIPE), 0)
    m.call(linux.IOCTL, master, linux.TIOCSPTLCK, m.at(PIPE))
    resize(m, master, size)
    return m.call(linux.IOCTL, master, linux.TIOCGPTPEER, flags)


F_DUPFD_CLOEXEC = 1030


def resize(m: System, master: int, size: int) -> None:
    """Tell a terminal how large it is."""
    m.store16(m.at(PIPE), size & 0xFFFF)
    m.store16(m.at(PIPE) + 2, size >> 16)
    m.store32(m.at(PIPE) + 4, 0)
    m.call(linux.IOCTL, master, linux.TIOCSWINSZ, m.at(PIPE))


def launch(m: System, channel: int, record: int, directory: int) -> None:
    """Fork; the child becomes the command."""
    pid = m.call(linux.CLONE, linux.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        become(m, m.at(CHILD), record, m.at(POINTERS) + 8, directory, m.load64(channel + FLAGS))
        m.call(linux.EXIT_GROUP, 127)
    if pid < 0:
        close_streams(m, channel)
        send(m, protocol.FAILED, m.load64(channel + ID), -pid, 0)
        m.store64(channel + ID, 0)
        return
    m.store64(channel + PID, pid)
    close_child(m)
