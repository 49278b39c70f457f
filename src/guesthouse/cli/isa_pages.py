"""What is known of an instruction, as text: for the terminal and for the reference pages."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guesthouse.cli.drawing import drawing
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec import words
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.operands import register_files

PACKAGE = "guesthouse.virtual."
LETTERS = "IMAFDC"


def chapter(instruction: Instruction) -> str:
    """The first sentence of the chapter's module: what the manual calls it and where."""
    module = inspect.getmodule(instruction.semantics)
    return _first_sentence(module.__doc__ or "") if module else ""


def _first_sentence(doc: str) -> str:
    return " ".join(doc.strip().split("\n\n")[0].split())


def by_extension(isa: Isa) -> dict[str, list[Instruction]]:
    """Instructions by extension: the letters in their usual order, then names, then what is in no extension."""
    found: dict[str, list[Instruction]] = {}
    for instruction in isa.instructions:
        found.setdefault(instruction.extension, []).append(instruction)
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def _rank(extension: str) -> tuple[int, int, str]:
    letter = LETTERS.find(extension) if len(extension) == 1 else len(LETTERS)
    return letter, not extension[:1].isupper(), extension


def table(isa: Isa) -> Iterator[str]:
    """Every instruction on a line, by extension: its function's name, syntax and encoding."""
    for extension, instructions in by_extension(isa).items():
        yield f"{extension}: {len(instructions)} instructions"
        for instruction in instructions:
            yield f"  {instruction.name:12} {instruction.syntax:32} {instruction.encoding}"
        yield ""


def where(function: Callable[..., Any]) -> str:
    """File (within the package) and line of a function."""
    path = function.__module__.removeprefix(PACKAGE).replace(".", "/")
    return f"{path}.py:{inspect.getsourcelines(function)[1]}"


def source(instruction: Instruction) -> str:
    """The function as it stands in its file."""
    return textwrap.dedent(inspect.getsource(instruction.semantics)).rstrip()


def operand_lines(instruction: Instruction) -> list[str]:
    """Each operand: the register file it names or the values it may have."""
    deduced = register_files(instruction.semantics, instruction.isa.layout)
    files = {**RISCV64_SYNTAX.files, **deduced}
    taken = instruction.parameters
    lines = []
    for operand in instruction.pattern.operands:
        kind = f"register of file {files[operand.name]}" if operand.name in files else "number"
        ignored = "" if operand.name in taken else "; has no effect"
        lines.append(f"{operand.name}: {kind}; {operand.range_text()}{ignored}")
    return lines


def aliases(instruction: Instruction) -> list[str]:
    """Other ways to write it that are printed in its place: `mv rd, rs1` for `addi rd, rs1, 0`."""
    known = (*RISCV64_SYNTAX.aliases, *RISCV64_SYNTAX.printed)
    found = [(text, meaning) for text, meaning in known if meaning.split()[0] == instruction.mnemonic]
    return [f"{text}    ({meaning})" for text, meaning in found if text != meaning]


def called(instruction: Instruction) -> tuple[list[str], list[str]]:
    """Words of the language and functions of the set that it calls itself, each with its first line."""
    scope = instruction.semantics.__globals__
    names = {
        node.func.id: scope.get(node.func.id)
        for node in ast.walk(ast.parse(source(instruction)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    vocabulary, functions = [], []
    for name, meaning in names.items():
        said = _first_sentence(getattr(meaning, "__doc__", None) or "")
        if name == "instruction" or meaning is None:
            continue
        if getattr(words, name, None) is meaning:
            vocabulary.append(f"{name}: {said}")
        elif inspect.isfunction(meaning):
            functions.append(f"{name} ({where(meaning)}){': ' if said else ''}{said}")
    return vocabulary, functions


def page(instruction: Instruction) -> str:
    """The reference page, in Markdown."""
    pattern = instruction.pattern
    vocabulary, functions = called(instruction)
    parts = [
        f"# {instruction.mnemonic}",
        f"Extension {instruction.extension}. {chapter(instruction)}",
        f"```\n{instruction.syntax}\n```",
        f"## Encoding\n\n{pattern.length} bytes; mask `{pattern.mask:#x}`, match `{pattern.match:#x}`.",
        f"```\n{drawing(pattern)}\n```",
        _list("", [f"`{name}`:{rest}" for name, rest in (line.split(":", 1) for line in operand_lines(instruction))]),
        _list("## Also written\n\n", [f"`{line}`" for line in aliases(instruction)]),
        f"## Semantics\n\n`{where(instruction.semantics)}`",
        f"```python\n{source(instruction)}\n```",
        _list("Words of the language:\n\n", vocabulary),
        _list("Functions of the instruction set:\n\n", functions),
        f"What the engines make of it: `guesthouse isa {instruction.name}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(heading: str, lines: list[str]) -> str:
    return heading + "\n".join(f"- {line}" for line in lines) if lines else ""


def index(isa: Isa) -> str:
    """The page that leads to all others, in Markdown."""
    parts = [f"# {isa.name}: {len(isa.instructions)} instructions", "Made from the descriptions by `make docs`."]
    for extension, instructions in by_extension(isa).items():
        parts.append(f"## {extension}\n\n{chapter(instructions[0])}")
        rows = [f"| [{i.mnemonic}]({i.name}.md) | `{i.syntax}` | `{_cell(i.encoding)}` |" for i in instructions]
        parts.append("\n".join(["| instruction | syntax | encoding |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_pages(isa: Isa, folder: Path, write: Callable[[Path, bytes], None]) -> int:
    """Write the index and a page an instruction into `folder`; gives the number of pages."""
    write(folder / "README.md", index(isa).encode())
    for instruction in isa.instructions:
        write(folder / f"{instruction.name}.md", page(instruction).encode())
    return len(isa.instructions) + 1
