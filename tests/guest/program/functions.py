"""A program that does everything the language has, to be run both ways: numbers in, numbers out."""

from guesthouse.guest.agent import linux
from guesthouse.guest.program.words import Buffer, System

NUMBERS = Buffer(16)
RESULTS = Buffer(8 * 64)
COUNT = 22
WORDS = b"constant"


def main(m: System, stack: int) -> int:
    """Read pairs of numbers, write what becomes of each."""
    while m.call(linux.READ, 0, m.at(NUMBERS), 16) == 16:
        a, b = m.load64(m.at(NUMBERS)), m.load64(m.at(NUMBERS) + 8)
        arithmetic(m, m.at(RESULTS), a, b)
        conditions(m, m.at(RESULTS) + 8 * 10, a, b)
        loops(m, m.at(RESULTS) + 8 * 15, a & 15, b & 15)
        memory(m, m.at(RESULTS) + 8 * 18, a, b)
        m.call(linux.WRITE, 1, m.at(RESULTS), 8 * COUNT)
    return 3


def arithmetic(m: System, to: int, a: int, b: int) -> None:
    """Operators; small numbers where a result could overflow."""
    m.store64(to, (a >> 1) + (b >> 1))
    m.store64(to + 8, (a >> 1) - (b >> 1))
    m.store64(to + 16, (a & 0xFFFF) * (b & 0xFFFF) - -3)
    m.store64(to + 24, a & b)
    m.store64(to + 32, a | b)
    m.store64(to + 40, a ^ ~b)
    m.store64(to + 48, (a & 0xFF) << (b & 31))
    m.store64(to + 56, a >> (b & 63))
    positive = a & 0xFFFF_FFFF
    m.store64(to + 64, positive // ((b & 0xFFF) + 1))
    positive %= (b & 0xFFF) + 1
    m.store64(to + 72, positive)


def conditions(m: System, to: int, a: int, b: int) -> None:
    """Comparisons, their combinations, and choices."""
    m.store64(to, (a < b) + 2 * (a <= b) + 4 * (a == b) + 8 * (a != b) + 16 * (a > b) + 32 * (a >= b))
    m.store64(to + 8, 1 if a < 0 and (b > 5 or not b & 1) else 2)
    m.store64(to + 16, (a & 3 and b & 3) != 0)
    m.store64(to + 24, -100 <= a <= 100)
    if a & 1:
        m.store64(to + 32, 1)
    elif b & 1:
        m.store64(to + 32, 2)
    else:
        m.store64(to + 32, pair(m, a & 7, b & 7))


def pair(m: System, a: int, b: int) -> int:
    """A function whose ways all return."""
    if a > b:
        return a * 10 + b
    return b * 10 + a


def loops(m: System, to: int, a: int, b: int) -> None:
    """Loops of both kinds, with the ways out of them."""
    total = 0
    for i in range(a):
        for j in range(i, 20, 3):
            if j == b:
                continue
            if j > 17:
                break
            total += i * j
    m.store64(to, total)
    steps = 0
    while 1:
        steps += 1
        if steps > a + b or steps == 9:
            break
    m.store64(to + 8, steps)
    down = 0
    for i in range(a, -1, -2):
        down = down * 3 + i
    m.store64(to + 16, down)


def memory(m: System, to: int, a: int, b: int) -> None:
    """Each width, and constant bytes."""
    m.store64(to, a)
    m.store8(to + 1, b)
    m.store16(to + 2, b)
    m.store32(to + 4, b)
    m.store64(to + 8, m.load8(to) + m.load16(to + 2) + m.load32(to + 4))
    m.store64(to + 16, m.load64(to) >> 3)
    text = m.at(WORDS)
    size = 0
    while m.load8(text + size) != 0:
        size += 1
    m.store64(to + 24, size + m.load8(m.at(b"\xff") + (a & 1)))
