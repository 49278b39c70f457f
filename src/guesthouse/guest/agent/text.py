"""Bytes and zero-terminated text by address."""

from guesthouse.guest.program.words import System

ZERO, NINE = 48, 57


def copy(m: System, to: int, source: int, count: int) -> None:
    """Copy bytes to a lower address, or to where they don't overlap."""
    done = 0
    if (to | source) % 8 == 0:
        while done + 8 <= count:
            m.store64(to + done, m.load64(source + done))
            done += 8
    while done < count:
        m.store8(to + done, m.load8(source + done))
        done += 1


def length(m: System, text: int) -> int:
    """Bytes before the zero."""
    count = 0
    while m.load8(text + count) != 0:
        count += 1
    return count


def begins(m: System, text: int, start: int, count: int) -> int:
    """Whether a text begins with the `count` bytes at `start`, none of them zero."""
    for i in range(count):
        if m.load8(text + i) != m.load8(start + i):
            return 0
    return 1


def ends(m: System, text: int, count: int, end: int) -> int:
    """Whether `count` bytes end with the text `end`."""
    tail = length(m, end)
    if tail > count:
        return 0
    return begins(m, text + count - tail, end, tail)


def find(m: System, text: int, byte: int) -> int:
    """Where a byte stands in a text, or the text's length."""
    at = 0
    while m.load8(text + at) != 0 and m.load8(text + at) != byte:
        at += 1
    return at


def number(m: System, text: int) -> int:
    """The decimal number that a text begins with."""
    value = 0
    while ZERO <= m.load8(text) <= NINE:
        value = value * 10 + m.load8(text) - ZERO
        text += 1
    return value
