"""System calls on behalf of the host, made by a child of their own: copying files, freezing file systems and the like.

A request: system call number, mask, bytes of data, where the reply's data begins, how long it is, 0 (32 bits each), six
arguments (64 bits each), the data. A set bit n of the mask says that argument n is a place in the data.
A reply: result (64 bits), bytes of data, 32 bits that are 0, the data.
"""

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.program.words import Buffer, System

REQUEST = Buffer(protocol.REQUEST)
REPLY = Buffer(protocol.REPLY)
DATA = Buffer(protocol.MOST_DATA)
NUMBER, MASK, SIZE, REPLY_AT, REPLY_SIZE, ARGUMENTS = 0, 4, 8, 12, 16, 24


def serve_calls(m: System) -> None:
    """Answer requests until they end, or one is wrong."""
    while whole(m, linux.READ, 0, m.at(REQUEST), protocol.REQUEST) != 0 and answer(m, m.at(REQUEST)) != 0:
        pass


def whole(m: System, call: int, descriptor: int, data: int, size: int) -> int:
    """Read or write all of it; 0 where that can't be."""
    done = 0
    while done < size:
        count = m.call(call, descriptor, data + done, size - done)
        if count == -linux.EINTR:
            continue
        if count <= 0:
            return 0
        done += count
    return 1


def answer(m: System, request: int) -> int:
    """One call; 0 ends the service."""
    mask, size = m.load32(request + MASK), m.load32(request + SIZE)
    at, wanted = m.load32(request + REPLY_AT), m.load32(request + REPLY_SIZE)
    if size > protocol.MOST_DATA or at > protocol.MOST_DATA or wanted > protocol.MOST_DATA - at:
        return 0
    if whole(m, linux.READ, 0, m.at(DATA), size) == 0:
        return 0
    first = argument(m, request, mask, 0)
    second = argument(m, request, mask, 1)
    third = argument(m, request, mask, 2)
    fourth = argument(m, request, mask, 3)
    fifth = argument(m, request, mask, 4)
    sixth = argument(m, request, mask, 5)
    result = m.call(m.load32(request + NUMBER), first, second, third, fourth, fifth, sixth)
    if mask & protocol.UP_TO_RESULT != 0:
        known = result if result > 0 else 0
        wanted = known if known < wanted else wanted
    reply = m.at(REPLY)
    m.store64(reply, result)
    m.store32(reply + 8, wanted)
    m.store32(reply + 12, 0)
    if whole(m, linux.WRITE, 1, reply, protocol.REPLY) == 0:
        return 0
    return whole(m, linux.WRITE, 1, m.at(DATA) + at, wanted)


def argument(m: System, request: int, mask: int, index: int) -> int:
    """One argument: a number, or the address of a place in the data."""
    value = m.load64(request + ARGUMENTS + 8 * index)
    if mask >> index & 1 != 0:
        return m.at(DATA) + value if 0 <= value < protocol.MOST_DATA else 0
    return value
