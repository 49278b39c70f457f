"""`guesthouse disasm`: disassemble a file, or instructions written as numbers."""

from __future__ import annotations

import re
from pathlib import Path

import click

from guesthouse.cli.listing import address, code_lines
from guesthouse.errors import UserError
from guesthouse.guest.elf import MACHINE_RISCV, MAGIC, parse_elf, section_bytes, symbols
from guesthouse.host.user_folders import read_file
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.disassembly import Disassembler

COMPILERS_OWN = "$."  # first characters of names that no person gave
_WORD = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{4}){1,2})")


@click.command("disasm")
@click.argument("what", metavar="FILE|HEX...", nargs=-1, required=True)
@click.option("--base", type=address, default=None, help="Address of the first byte.  [default: 0, or an ELF file's]")
@click.option("--no-aliases", is_flag=True, help="Print real instructions only: `addi a0,a1,0`, not `mv a0,a1`.")
def command(what: tuple[str, ...], base: int | None, no_aliases: bool) -> None:
    """Disassemble a FILE (an ELF file's .text, or bare bytes), or instructions: HEX words of 4 or 8 digits.

    `guesthouse disasm 00a28293 8082` prints what these two instruction words mean.
    """
    data, start, names = _given(what)
    disassembler = Disassembler(ISA, RISCV64_SYNTAX, aliases=not no_aliases)
    for line in code_lines(disassembler, data, start if base is None else base, names if base is None else {}):
        click.echo(line)


def _given(what: tuple[str, ...]) -> tuple[bytes, int, dict[str, int]]:
    """What was given on the command line: bytes, their address, and symbols."""
    if len(what) == 1:
        data = read_file(Path(what[0]))
        if data is not None:
            return _elf(data) if data.startswith(MAGIC) else (data, 0, {})
    words = [_WORD.fullmatch(text) for text in what]
    for text, word in zip(what, words, strict=True):
        if word is None:
            raise UserError(
                f"'{text}' is neither a file nor an instruction; write an instruction as 4 or 8 hexadecimal digits."
            )
    return b"".join(bytes.fromhex(word[1])[::-1] for word in words if word), 0, {}


def _elf(data: bytes) -> tuple[bytes, int, dict[str, int]]:
    """The code of an ELF file, its address and the names in it."""
    file = parse_elf(data)
    if file.machine != MACHINE_RISCV:
        raise UserError(f"The ELF file is for another processor (machine {file.machine}); give one for riscv64.")
    code = section_bytes(data, file, ".text")
    if not code:
        raise UserError("The ELF file has no section .text; give a bare binary with --base instead.")
    start = next(s.address for s in file.sections if s.size == len(code) and data[s.offset :][: s.size] == code)
    found = symbols(data, file).items()
    inside = {name: at for name, at in found if start <= at < start + len(code) and name[0] not in COMPILERS_OWN}
    return code, start, inside
