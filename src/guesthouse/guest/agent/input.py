"""Frames from the host: cut out of the port's bytes, checked, and obeyed."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.channel import release, release_all, take_input
from guesthouse.guest.agent.output import payload, roomy, send, send_mark
from guesthouse.guest.agent.shutdown import shut_down
from guesthouse.guest.agent.start import resize, stage, start
from guesthouse.guest.agent.state import (
    DIRTY,
    DOWN,
    ENDED,
    ERR_CREDIT,
    FLAGS,
    HAILED,
    ID,
    IN_END,
    IN_FD,
    LOST,
    OUT_CREDIT,
    PID,
    PORT_FD,
    STAGED,
    find_channel,
    get,
    mark,
    put,
)
from guesthouse.guest.agent.text import begins, copy
from guesthouse.guest.program.words import Buffer, System

SIZE = 2 * protocol.FRAME
IN = Buffer(SIZE)
MARK_SIZE = len(protocol.MARK)
BOOT_ID = 36
"""Characters of what tells this start of the guest from any other."""


def announce(m: System, nonce: int) -> None:
    """Begin the conversation anew."""
    send_mark(m)
    introduce(m, nonce)


def introduce(m: System, nonce: int) -> None:
    """Say who we are, with the number by which the host knows that this answers it."""
    at = payload(m)
    m.store64(at, nonce)
    for i in range(8, 48, 8):
        m.store64(at + i, 0)
    file = m.call(
        linux.OPENAT, linux.AT_FDCWD, m.at(b"/proc/sys/kernel/random/boot_id"), linux.O_RDONLY | linux.O_CLOEXEC, 0
    )
    if file >= 0:
        m.call(linux.READ, file, at + 8, BOOT_ID)
        m.call(linux.CLOSE, file)
    send(m, protocol.READY, 0, protocol.VERSION, 8 + BOOT_ID)


def forget_session(m: System) -> None:
    """The host that we knew is gone: so are its commands."""
    release_all(m)
    put(m, STAGED, 0)


def receive(m: System) -> None:
    """Take what the port has."""
    end = get(m, IN_END)
    if end < SIZE:
        count = m.call(linux.READ, get(m, PORT_FD), m.at(IN) + end, SIZE - end)
        if count > 0:
            put(m, IN_END, end + count)
        elif count != -linux.EAGAIN:
            put(m, DOWN, 1)


def obey_all(m: System) -> None:
    """Do what the complete frames say, while there is room for the answers."""
    at, end = 0, get(m, IN_END)
    while roomy(m) != 0:
        frame = m.at(IN) + at
        if get(m, LOST) != 0:
            found = find_mark(m, at, end)
            at = found if found >= 0 else (end - MARK_SIZE + 1 if end - at >= MARK_SIZE else at)
            if found < 0:
                break
            put(m, LOST, 0)
            put(m, HAILED, 1)
            forget_session(m)
            copy(m, m.at(IN), m.at(IN) + at, end - at)  # frames begin at multiples of 8 again
            end -= at
            at = 0
            continue
        if end - at < protocol.HEADER:
            break
        size = m.load32(frame)
        if size > protocol.MOST_PAYLOAD:
            put(m, LOST, 1)
            continue
        length = protocol.HEADER + (size + 7) // 8 * 8
        if end - at < length:
            break
        obey(m, frame, size)
        at += length
    if at > 0:
        copy(m, m.at(IN), m.at(IN) + at, end - at)
        put(m, IN_END, end - at)
    else:
        put(m, IN_END, end)


def find_mark(m: System, at: int, end: int) -> int:
    """The place behind the next mark, negative where there is none."""
    while at + MARK_SIZE <= end:
        if m.load8(m.at(IN) + at) == 255 and begins(m, m.at(IN) + at, m.at(protocol.MARK), MARK_SIZE) != 0:
            return at + MARK_SIZE
        at += 1
    return -1


def obey(m: System, frame: int, size: int) -> None:
    """Do what one frame says; kinds that are not known are for later agents."""
    kind, identifier = m.load32(frame + 4), m.load32(frame + 8)
    argument, data = m.load32(frame + 12), frame + protocol.HEADER
    channel = find_channel(m, ID, identifier) if identifier != 0 else 0
    hailed = get(m, HAILED)
    put(m, HAILED, 0)
    if kind == protocol.HELLO and size >= 8:
        if hailed != 0:
            send_mark(m)
        introduce(m, m.load64(data))
    elif kind == protocol.PING:
        copy(m, payload(m), data, size)
        send(m, protocol.PONG, identifier, argument, size)
    elif kind == protocol.ARGUMENTS:
        stage(m, data, size)
    elif kind == protocol.START:
        if stage(m, data, size) != 0:
            start(m, identifier, argument)
        else:
            put(m, STAGED, 0)
            send(m, protocol.FAILED, identifier, linux.E2BIG, 0)
    elif kind == protocol.SHUTDOWN:
        shut_down(m, argument)
    elif channel != 0:
        obey_for(m, channel, kind, argument, data, size)


def obey_for(m: System, channel: int, kind: int, argument: int, data: int, size: int) -> None:
    """Do what a frame says that is for a channel."""
    if kind == protocol.INPUT:
        take_input(m, channel, data, size)
    elif kind == protocol.INPUT_END:
        mark(m, channel, ENDED | DIRTY)
    elif kind == protocol.OUTPUT_CREDIT:
        m.store64(channel + OUT_CREDIT, m.load64(channel + OUT_CREDIT) + argument)
        mark(m, channel, DIRTY)
    elif kind == protocol.ERRORS_CREDIT:
        m.store64(channel + ERR_CREDIT, m.load64(channel + ERR_CREDIT) + argument)
        mark(m, channel, DIRTY)
    elif kind == protocol.SIGNAL:
        if m.load64(channel + PID) > 0 and argument <= linux.SIGNALS:
            m.call(linux.KILL, -m.load64(channel + PID), argument)
    elif kind == protocol.RESIZE:
        if m.load64(channel + FLAGS) & protocol.TERMINAL != 0 and m.load64(channel + IN_FD) >= 0:
            resize(m, m.load64(channel + IN_FD), argument)
    elif kind == protocol.CLOSE:
        release(m, channel)
