"""`guesthouse isa`: the instruction set, and one instruction as everybody who reads it sees it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import click

from guesthouse.cli import isa_pages
from guesthouse.cli.drawing import drawing
from guesthouse.errors import UserError
from guesthouse.host.user_folders import write_file
from guesthouse.virtual.engine.explanation import NativeText, handler_text, stencil_texts, translated_text
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.spec.description import Instruction, Isa


@click.command("isa")
@click.argument("name", required=False)
@click.option("--no-code", is_flag=True, help="Leave out what the engines make of it (quicker).")
@click.option("--markdown", metavar="DIR", help="Write a reference page for every instruction, and an index, into DIR.")
def command(name: str | None, no_code: bool, markdown: str | None) -> None:
    """Show all instructions, or all about one: NAME is a mnemonic (c.add) or its function's name (c_add)."""
    if markdown is not None:
        if name is not None:
            raise UserError("--markdown writes the pages of all instructions; leave the name out.")
        count = isa_pages.write_pages(ISA, Path(markdown), write_file)
        click.echo(f"{count} pages in {markdown}")
    elif name is None:
        click.echo("\n".join(isa_pages.table(ISA)))
    else:
        click.echo("\n".join(shown(instruction_named(ISA, name), code=not no_code)))


def instruction_named(isa: Isa, name: str) -> Instruction:
    """The instruction with this mnemonic or function name; raises UserError with names that are like it."""
    wanted = name.lower()
    for instruction in isa.instructions:
        if wanted in (instruction.mnemonic, instruction.name):
            return instruction
    like = difflib.get_close_matches(wanted, [instruction.mnemonic for instruction in isa.instructions])
    advice = f"did you mean {' or '.join(like)}?" if like else "`guesthouse isa` lists all."
    raise UserError(f"There is no instruction '{name}' in {isa.name}; {advice}")


def shown(instruction: Instruction, *, code: bool) -> Iterator[str]:
    """All about one instruction as lines; `code` adds what the engines make of it, which starts LLVM in a child."""
    pattern = instruction.pattern
    yield f"{instruction.mnemonic}, extension {instruction.extension}. {isa_pages.chapter(instruction)}"
    yield from _section("Assembly", [instruction.syntax, *isa_pages.aliases(instruction)])
    facts = f"{pattern.length} bytes, mask {pattern.mask:#x}, match {pattern.match:#x}"
    yield from _section("Encoding", [facts, "", *drawing(pattern).splitlines()])
    yield from _section("Operands", isa_pages.operand_lines(instruction))
    described = isa_pages.source(instruction).splitlines()
    yield from _section(f"Semantics ({isa_pages.where(instruction.semantics)})", described)
    vocabulary, functions = isa_pages.called(instruction)
    yield from _section("Words of the language", vocabulary)
    yield from _section("Functions of the instruction set", functions)
    if not code:
        return
    yield from _section("Reference engine", ["CPython calls the function above."])
    yield from _engine("Interpreter", handler_text(instruction))
    stencil = stencil_texts([instruction]).get(instruction.name)
    if stencil is None:
        yield from _section("Stitcher", ["Leaves it to the handler above."])
    else:
        yield from _engine("Stitcher", stencil)
    translated = translated_text(instruction)
    if translated is None:
        yield from _section("Translator", ["Leaves it to the handler above."])
    else:
        yield from _engine(
            f"Translator with {translated.operands}" if translated.operands else "Translator", translated
        )


def _section(heading: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{heading}:"
        yield from (f"    {line}".rstrip() for line in lines)


def _engine(name: str, text: NativeText) -> Iterator[str]:
    yield from _section(f"{name}, LLVM IR as lowered", text.lowered.splitlines())
    yield from _section(f"{name}, LLVM IR optimised", text.optimised.splitlines())
    yield from _section(f"{name}, this host's code", text.host.splitlines())
