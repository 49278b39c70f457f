"""`guesthouse asm`: assemble a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import click

from guesthouse.cli.listing import address, code_lines, data_lines
from guesthouse.errors import UserError
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler, Program
from guesthouse.virtual.spec.disassembly import Disassembler


@click.command("asm")
@click.argument("file", type=click.File("rb"))
@click.option("-o", "--output", type=click.File("wb", lazy=True), help="Write the bytes there ('-': standard output).")
@click.option("--base", type=address, default=0, show_default=True, help="Address where the program will lie.")
@click.option("--listing", is_flag=True, help="Print what was assembled, with addresses; so it is without -o.")
def command(file: BinaryIO, output: BinaryIO | None, base: int, listing: bool) -> None:
    """Assemble FILE ('-' for standard input): RISC-V assembly language to bytes.

    The output is the bare program, all its sections one behind the other, as `run --firmware FILE` and
    `run --kernel FILE,raw` take it.
    """
    try:
        text = file.read().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"The file is no text (byte {error.start} is not UTF-8); give an assembly file.") from None
    program = Assembler(ISA, RISCV64_SYNTAX).program(text, base)
    if output is not None:
        output.write(program.data)
    if listing or output is None:
        # Where the bytes go to standard output, they are alone there.
        click.echo("\n".join(listing_of(program)), err=output is not None and output.name == "-")


def listing_of(program: Program) -> Iterator[str]:
    """A program as lines: sections of code as instructions, the others as bytes."""
    disassembler = Disassembler(ISA, RISCV64_SYNTAX)
    for name, (start, size) in program.sections.items():
        if not size:
            continue
        yield f"Section {name}, {size} bytes at {start:#x}"
        data = program.data[start - program.base :][:size]
        if name.startswith(".text"):
            labels = {label: at for label, at in program.symbols.items() if start <= at < start + size}
            yield from code_lines(disassembler, data, start, labels)
        else:
            yield from data_lines(data, start)
