"""The symbol tables that a Linux kernel carries with it for its own use, found in its memory by their shape.

Names are compressed: 256 tokens stand for pieces of text. In memory lie, each aligned to 8 bytes (4 in some versions):

    since 6.4   num_syms  names  markers  token_table  token_index  offsets  relative_base
    before      offsets  relative_base  num_syms  names  markers  token_table  token_index

names: for each symbol a length (one byte, or two where the first has its high bit set) and so many tokens, which spell
a letter for its kind and its name. markers: the place of each 256th symbol within names. Source: Linux,
`scripts/kallsyms.c` and `kernel/kallsyms.c`, 5.10 to 6.12. Everything here is the guest's and may be hostile.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise

from guesthouse.errors import UserError

DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
"""Part of every token table: no kernel's symbols do without a digit, so that each stands for itself."""

TOKENS, EACH = 256, 256
LONGEST_TABLE = 1 << 14  # bytes of a token table
FEWEST, MOST = 16, 1 << 22  # symbols
KERNEL_HALF = 1 << 63


def find_kallsyms(memory: bytes) -> list[tuple[int, str]]:
    """Address and name of each symbol of the kernel in `memory` (from an address on that 8 divides).

    Raises UserError where no tables are found.
    """
    at = memory.find(DIGITS)
    while at >= 0:
        found = _read_at(memory, at)
        if found:
            return found
        at = memory.find(DIGITS, at + 1)
    raise UserError(
        "The kernel's symbol tables are not found in the guest's memory; give its System.map or vmlinux with --symbols."
    )


def _read_at(memory: bytes, digits: int) -> list[tuple[int, str]]:
    """The symbols, if a token table has its digits at this place; else nothing."""
    start = _table_start(memory, digits)
    tokens = _tokens(memory, start) if start is not None else None
    if start is None or tokens is None:
        return []
    pieces, index_end = tokens
    for markers in _marker_tables(memory, start):
        names = _names(memory, markers, start, pieces)
        if names is not None:
            first, texts = names
            addresses = _addresses_behind(memory, index_end, len(texts)) or _addresses_before(memory, first, len(texts))
            if addresses:
                return [(address, text[1:]) for address, text in zip(addresses, texts, strict=True) if len(text) > 1]
    return []


# --- tokens -----------------------------------------------------------------------------------------------------------


def _table_start(memory: bytes, digits: int) -> int | None:
    """Where the token table begins: 48 tokens before the one for '0'."""
    at = digits
    for _ in range(ord("0")):
        at = memory.rfind(b"\0", max(0, digits - LONGEST_TABLE), max(0, at - 1)) + 1
        if at == 0:
            return None
    return at


def _tokens(memory: bytes, start: int) -> tuple[list[bytes], int] | None:
    """The pieces of text, and where the table of their places ends that must lie behind them."""
    pieces, places, at = [], [], start
    for _ in range(TOKENS):
        end = memory.find(b"\0", at, at + LONGEST_TABLE)
        if end < 0:
            return None
        pieces.append(memory[at:end])
        places.append(at - start)
        at = end + 1
    if places[-1] > 0xFFFF:
        return None
    index = struct.pack(f"<{TOKENS}H", *places)
    found = memory.find(index, at, at + 8 + len(index))
    return (pieces, found + len(index)) if found >= 0 else None


# --- names ------------------------------------------------------------------------------------------------------------


def _marker_tables(memory: bytes, end: int) -> Iterator[list[int]]:
    """Markers that end before `end`: a growing row of numbers that begins with 0. The place of the row comes first."""
    for padding in (0, 4):
        row: list[int] = []
        at = (end & ~3) - 4 - padding
        while at >= 0:
            number: int = struct.unpack_from("<I", memory, at)[0]
            if row and number >= row[-1]:
                break
            row.append(number)
            if number == 0:
                if len(row) > 1 or at + 8 >= end & ~3:
                    yield [at, *reversed(row)]
                break
            at -= 4


def _names(memory: bytes, markers: list[int], end: int, pieces: list[bytes]) -> tuple[int, list[str]] | None:
    """Where the number of symbols stands, and the texts of them all."""
    behind, rows = markers[0], markers[1:]
    last = rows[-1]
    for at in range((behind - last) & ~3, max(0, behind - last - EACH * 256) - 4, -4):
        if at < 8:
            return None
        for head in (at - 8, at - 4):
            count = struct.unpack_from("<I", memory, head)[0]
            plausible = FEWEST <= count <= MOST and -(-count // EACH) == len(rows)
            if plausible and (texts := _texts(memory, at, behind, count, rows, pieces)):
                return head, texts
    return None


def _texts(
    memory: bytes, start: int, behind: int, count: int, rows: list[int], pieces: list[bytes]
) -> list[str] | None:
    """The texts of `count` symbols, None where markers and end do not fit them."""
    at, texts = start, []
    for number in range(count):
        if number % EACH == 0 and at - start != rows[number // EACH]:
            return None
        length = memory[at]
        at += 1
        if length & 0x80:
            length = length & 0x7F | memory[at] << 7
            at += 1
        if at + length > behind:
            return None
        texts.append(b"".join([pieces[token] for token in memory[at : at + length]]).decode("ascii", "replace"))
        at += length
    return texts if behind - at < 8 else None


# --- addresses --------------------------------------------------------------------------------------------------------


def _addresses_behind(memory: bytes, at: int, count: int) -> list[int] | None:
    """Offsets behind the tokens, then what they are relative to."""
    for alignment in (8, 4):
        offsets = -(-at // alignment) * alignment
        base = -(-(offsets + 4 * count) // 8) * 8
        if found := _addresses(memory, offsets, base, count):
            return found
    return None


def _addresses_before(memory: bytes, head: int, count: int) -> list[int] | None:
    """Offsets, then what they are relative to, then the number of symbols."""
    base = head - 8
    for padding in (0, 4):
        if found := _addresses(memory, base - padding - 4 * count, base, count):
            return found
    return None


def _addresses(memory: bytes, offsets: int, base: int, count: int) -> list[int] | None:
    if offsets < 0 or base < 0 or base + 8 > len(memory):
        return None
    relative_to = struct.unpack_from("<Q", memory, base)[0]
    row = struct.unpack_from(f"<{count}I", memory, offsets)
    if relative_to < KERNEL_HALF or any(a > b for a, b in pairwise(row)):
        return None
    return [relative_to + offset for offset in row]
