"""What goes on with a command once it has been started: its streams and its end."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.output import payload, roomy, send
from guesthouse.guest.agent.state import (
    CHANNEL_SIZE,
    DIRTY,
    ENDED,
    ERR_CREDIT,
    ERR_FD,
    ERR_LEFT,
    FLAGS,
    ID,
    IN_FD,
    IN_FROM,
    IN_TO,
    INPUT,
    MARKS,
    OUT_CREDIT,
    OUT_FD,
    OUT_LEFT,
    PID,
    REPORT_FD,
    STATUS,
    TOLD,
    channel_at,
    find_channel,
    mark,
)
from guesthouse.guest.agent.text import copy
from guesthouse.guest.program.words import Buffer, System

NUMBER = Buffer(16)
FIONREAD = 0x541B


def close_stream(m: System, channel: int, field: int) -> None:
    """Close one of a channel's descriptors, if it is open."""
    if m.load64(channel + field) >= 0:
        m.call(linux.CLOSE, m.load64(channel + field))
        m.store64(channel + field, -1)


def release(m: System, channel: int) -> None:
    """Forget a command; one that still runs is killed with its process group."""
    if m.load64(channel + PID) > 0:
        m.call(linux.KILL, -m.load64(channel + PID), linux.SIGKILL)
    close_stream(m, channel, IN_FD)
    close_stream(m, channel, OUT_FD)
    close_stream(m, channel, ERR_FD)
    close_stream(m, channel, REPORT_FD)
    if m.load64(channel + INPUT) != 0:
        m.call(linux.MUNMAP, m.load64(channel + INPUT), protocol.WINDOW)
    for field in range(0, CHANNEL_SIZE, 8):
        m.store64(channel + field, 0)


def release_all(m: System) -> None:
    """Forget all commands."""
    for index in range(protocol.MOST_CHANNELS):
        if m.load64(channel_at(m, index) + ID) != 0:
            release(m, channel_at(m, index))


def reap(m: System) -> None:
    """Hear of children that have ended, ours and those that were left to us."""
    while 1:
        pid = m.call(linux.WAIT4, -1, m.at(NUMBER), linux.WNOHANG)
        if pid <= 0:
            return
        channel = find_channel(m, PID, pid)
        if channel != 0:
            m.store64(channel + STATUS, m.load32(m.at(NUMBER)))
            m.store64(channel + PID, 0)
            # What it wrote is in the pipes now; others that hold them open are not waited for.
            if m.load64(channel + FLAGS) & (protocol.LINGER | protocol.TERMINAL) == 0:
                m.store64(channel + OUT_LEFT, waiting(m, m.load64(channel + OUT_FD)))
                m.store64(channel + ERR_LEFT, waiting(m, m.load64(channel + ERR_FD)))
            mark(m, channel, DIRTY)


def waiting(m: System, descriptor: int) -> int:
    """Bytes that can be read from a pipe."""
    m.store64(m.at(NUMBER), 0)
    if descriptor >= 0:
        m.call(linux.IOCTL, descriptor, FIONREAD, m.at(NUMBER))
    return m.load32(m.at(NUMBER))


def attend(m: System, channel: int) -> None:
    """Do what can be done for a channel now."""
    m.store64(channel + MARKS, m.load64(channel + MARKS) & ~DIRTY)
    if m.load64(channel + REPORT_FD) >= 0 and started(m, channel) == 0:
        return
    feed(m, channel)
    drain(m, channel, OUT_FD, OUT_CREDIT, OUT_LEFT, protocol.OUTPUT)
    drain(m, channel, ERR_FD, ERR_CREDIT, ERR_LEFT, protocol.ERRORS)
    if m.load64(channel + STATUS) >= 0 and m.load64(channel + MARKS) & TOLD == 0:
        send(m, protocol.EXITED, m.load64(channel + ID), m.load64(channel + STATUS), 0)
        mark(m, channel, TOLD)
    if m.load64(channel + MARKS) & TOLD != 0 and m.load64(channel + OUT_FD) < 0 and m.load64(channel + ERR_FD) < 0:
        release(m, channel)


def started(m: System, channel: int) -> int:
    """Read the child's report: 1 where the command runs, 0 where that is not known or it could not be started."""
    identifier = m.load64(channel + ID)
    count = m.call(linux.READ, m.load64(channel + REPORT_FD), m.at(NUMBER), 8)
    if count == -linux.EAGAIN:
        return 0
    close_stream(m, channel, REPORT_FD)
    if count == 8:
        send(m, protocol.FAILED, identifier, m.load64(m.at(NUMBER)), 0)
        release(m, channel)
        return 0
    send(m, protocol.STARTED, identifier, m.load64(channel + PID), 0)
    mark(m, channel, DIRTY)
    return 1


def feed(m: System, channel: int) -> None:
    """Give the command the input that it takes, and say so."""
    descriptor, identifier = m.load64(channel + IN_FD), m.load64(channel + ID)
    if descriptor < 0:
        return
    start, end = m.load64(channel + IN_FROM), m.load64(channel + IN_TO)
    if start < end:
        count = m.call(linux.WRITE, descriptor, m.load64(channel + INPUT) + start, end - start)
        if count > 0:
            start += count
            send(m, protocol.INPUT_CREDIT, identifier, count, 0)
        elif count != -linux.EAGAIN:
            close_stream(m, channel, IN_FD)
            send(m, protocol.INPUT_CLOSED, identifier, 0, 0)
            return
        if start == end:
            start = 0
            end = 0
        m.store64(channel + IN_FROM, start)
        m.store64(channel + IN_TO, end)
    if start == end and m.load64(channel + MARKS) & ENDED != 0:
        close_stream(m, channel, IN_FD)


def lose_reader(m: System, channel: int) -> None:
    """Nobody reads the input any more."""
    if m.load64(channel + IN_FD) >= 0:
        close_stream(m, channel, IN_FD)
        send(m, protocol.INPUT_CLOSED, m.load64(channel + ID), 0, 0)


def take_input(m: System, channel: int, data: int, size: int) -> None:
    """Keep input for the command; more than the window holds is dropped."""
    if m.load64(channel + IN_FD) < 0 or m.load64(channel + MARKS) & ENDED != 0:
        return
    if m.load64(channel + INPUT) == 0:
        memory = m.call(linux.MMAP, 0, protocol.WINDOW, linux.PROT_READ_WRITE, linux.MAP_PRIVATE_ANONYMOUS, -1, 0)
        if memory < 0:
            lose_reader(m, channel)
            return
        m.store64(channel + INPUT, memory)
    memory = m.load64(channel + INPUT)
    start, end = m.load64(channel + IN_FROM), m.load64(channel + IN_TO)
    if end + size > protocol.WINDOW:
        copy(m, memory, memory + start, end - start)
        end -= start
        start = 0
    size = size if end + size <= protocol.WINDOW else protocol.WINDOW - end
    copy(m, memory + end, data, size)
    m.store64(channel + IN_FROM, start)
    m.store64(channel + IN_TO, end + size)
    mark(m, channel, DIRTY)


def drain(m: System, channel: int, stream: int, credit: int, left: int, kind: int) -> None:
    """Send on what the command has written, as far as the host wants it."""
    descriptor, remaining = m.load64(channel + stream), m.load64(channel + left)
    if descriptor < 0:
        return
    wanted = m.load64(channel + credit)
    wanted = wanted if wanted < protocol.MOST_PAYLOAD else protocol.MOST_PAYLOAD
    wanted = remaining if 0 <= remaining < wanted else wanted
    count = 0
    if remaining != 0:
        if wanted == 0 or roomy(m) == 0:
            return
        count = m.call(linux.READ, descriptor, payload(m), wanted)
    if count > 0:
        send(m, kind, m.load64(channel + ID), 0, count)
        m.store64(channel + credit, m.load64(channel + credit) - count)
        if remaining > 0:
            m.store64(channel + left, remaining - count)
            mark(m, channel, DIRTY)
    elif count != -linux.EAGAIN:
        close_stream(m, channel, stream)
        end = protocol.OUTPUT_END if kind == protocol.OUTPUT else protocol.ERRORS_END
        send(m, end, m.load64(channel + ID), 0, 0)
        mark(m, channel, DIRTY)
