"""Programs as text: addresses, bytes and instructions, in the manner of objdump; and addresses on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from guesthouse.virtual.spec.disassembly import Disassembler

BYTES_A_ROW = 16


def address(text: str) -> int:
    """Read a number as C writes it (0x80000000, 4096); ends with a usage error where it is none of 64 bits."""
    try:
        number = int(str(text), 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 64:
        raise click.BadParameter(f"{text!r} is no address; write it as 0x80000000 or 4096")
    return number


def code_lines(disassembler: Disassembler, data: bytes, base: int, symbols: Mapping[str, int]) -> Iterator[str]:
    """Instructions from `base` on, a heading before each address that has a name."""
    names: dict[int, list[str]] = {}
    for name, place in symbols.items():
        names.setdefault(place, []).append(name)
    first = {place: found[0] for place, found in names.items()}
    for at, raw, text in disassembler.disassemble(data, base, first):
        for name in names.get(at, ()):
            yield f"{at:016x} <{name}>:"
        word = f"{int.from_bytes(raw, 'little'):0{2 * len(raw)}x}"
        yield f"{at:12x}:  {word:8}  {text.expandtabs(8)}"


def data_lines(data: bytes, base: int) -> Iterator[str]:
    """Bytes from `base` on, with the characters they are."""
    for at in range(0, len(data), BYTES_A_ROW):
        row = data[at : at + BYTES_A_ROW]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{base + at:12x}:  {row.hex(' '):{3 * BYTES_A_ROW}} {shown}"
