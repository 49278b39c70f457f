"""Frames on their way to the host."""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.state import DOWN, OUT_END, OUT_START, PORT_FD, get, put
from guesthouse.guest.agent.text import copy
from guesthouse.guest.program.words import Buffer, System

SIZE = 256 << 10
OUT = Buffer(SIZE)
MARK_SIZE = len(protocol.MARK)
AT_ONCE = protocol.FRAME + (16 << 10)
"""Room that there must be before anything is done that the host hears of: one frame of data, and a few short ones for
each channel."""


def roomy(m: System) -> int:
    """Whether there is room for what may come of one more event."""
    return SIZE - get(m, OUT_END) >= AT_ONCE


def payload(m: System) -> int:
    """Where the payload of the next frame is to be written."""
    return m.at(OUT) + get(m, OUT_END) + protocol.HEADER


def send(m: System, kind: int, channel: int, argument: int, size: int) -> None:
    """Send the frame whose `size` bytes of payload are in place."""
    frame = m.at(OUT) + get(m, OUT_END)
    m.store32(frame, size)
    m.store32(frame + 4, kind)
    m.store32(frame + 8, channel)
    m.store32(frame + 12, argument)
    put(m, OUT_END, get(m, OUT_END) + protocol.HEADER + (size + 7) // 8 * 8)


def send_mark(m: System) -> None:
    """Begin the conversation anew: what was not sent is dropped."""
    put(m, OUT_START, 0)
    put(m, OUT_END, MARK_SIZE)
    copy(m, m.at(OUT), m.at(protocol.MARK), MARK_SIZE)


def flush(m: System) -> None:
    """Give the port what it takes now."""
    start, end = get(m, OUT_START), get(m, OUT_END)
    while start < end and get(m, DOWN) == 0:
        count = m.call(linux.WRITE, get(m, PORT_FD), m.at(OUT) + start, end - start)
        if count == -linux.EAGAIN or count == 0:
            break
        if count < 0:
            put(m, DOWN, 1)
            break
        start += count
    if start == end:
        start = 0
        end = 0
    elif start >= SIZE // 2 and start % 8 == 0:
        copy(m, m.at(OUT), m.at(OUT) + start, end - start)
        end -= start
        start = 0
    put(m, OUT_START, start)
    put(m, OUT_END, end)
