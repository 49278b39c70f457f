"""Symbol tables as a kernel's build makes them, packed here anew, in both orders."""

import random
import struct

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.kallsyms import find_kallsyms

BASE = 0xFFFF_FFFF_8000_0000


def aligned(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)


def made(count: int) -> list[tuple[int, str]]:
    dice = random.Random(count)
    address, found = BASE, []
    for number in range(count):
        stem = "".join(dice.choice("abcdefgh_9") for _ in range(dice.randint(1, 20)))
        found.append((address, f"{stem}_{number}" + "x" * (150 if number == 7 else 0)))
        address += dice.choice((0, 2, 64, 5000))
    return found


def tables(symbols: list[tuple[int, str]], alignment: int, *, old: bool = False) -> bytes:
    """Every letter stands for itself, and two tokens for longer pieces; symbol 7's length takes two bytes."""
    tokens = [bytes([code]) if 32 < code < 127 else b"" for code in range(256)]
    tokens[1], tokens[200] = b"abc", b"_9"
    names, markers = b"", []
    for number, (_, name) in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        text = ("T" + name).encode().replace(b"abc", b"\x01").replace(b"_9", b"\xc8")
        size = len(text)
        names += (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + text
    places, table = [], b""
    for token in tokens:
        places.append(len(table))
        table += token + b"\0"
    offsets = struct.pack(f"<{len(symbols)}I", *(address - BASE for address, _ in symbols))
    first = [struct.pack("<I", len(symbols)), names, struct.pack(f"<{len(markers)}I", *markers), table]
    first.append(struct.pack("<256H", *places))
    relative = [offsets, aligned(struct.pack("<Q", BASE), 8)]
    parts = [*relative, *first] if old else [*first, *relative]
    data = b""
    for part in parts:
        data = aligned(data, 8 if len(part) == 8 else alignment) + part
    return data


def memory_with(data: bytes) -> bytes:
    dice = random.Random(5)
    return aligned(dice.randbytes(4096) + b"0\x001\x002\x003\x00" + dice.randbytes(100), 8) + data + dice.randbytes(999)


@pytest.mark.parametrize("count", [20, 256, 257, 1500])
@pytest.mark.parametrize("alignment", [4, 8])
@pytest.mark.parametrize("old", [False, True])
def test_every_symbol_is_found(count: int, alignment: int, old: bool) -> None:
    symbols = made(count)
    assert find_kallsyms(memory_with(tables(symbols, alignment, old=old))) == symbols


@pytest.mark.parametrize("memory", [b"", bytes(5000), b"".join(b"%d\0" % n for n in range(10)) * 50])
def test_memory_without_tables_gives_one_sentence(memory: bytes) -> None:
    with pytest.raises(UserError, match=r"not found in the guest's memory; give its System\.map"):
        find_kallsyms(memory)


def test_damaged_tables_never_give_wrong_names() -> None:
    symbols = made(600)
    whole = tables(symbols, 8)
    dice = random.Random(9)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
        try:
            found = find_kallsyms(bytes(data))
        except UserError:
            refused += 1
        else:
            # At most a character of one token, or one address, is another.
            assert len(found) == len(symbols)
    assert refused > 5


def test_cut_tables_are_refused() -> None:
    whole = tables(made(300), 8)
    for size in range(0, len(whole) - 8, 97):
        with pytest.raises(UserError):
            find_kallsyms(whole[:size])
