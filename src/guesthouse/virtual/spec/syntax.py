"""Written operands: templates such as `lw rd, offset(rs1)`, and what an instruction set says about its spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from guesthouse.virtual.spec.encoding import Operand
from guesthouse.virtual.spec.expression import Scope, evaluate
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout

_TERM = re.compile(r"([\w.%][\w.]*)(?:>>(\d+))?$")
_OPERAND = re.compile(r"(?P<outer>[^()]*)(?:\((?P<inner>[^()]+)\))?$")
_WRITTEN = re.compile(r"(?P<outer>.*?)\(\s*(?P<inner>[\w.]+)\s*\)$", re.DOTALL)


class Term(msgspec.Struct, frozen=True):
    """A name in a template: an operand (written as its value >> `shift`) or something literal."""

    name: str
    shift: int = 0


class Place(msgspec.Struct, frozen=True):
    """One operand as written: `outer`, `(inner)` or `outer(inner)`."""

    outer: Term | None
    inner: Term | None


class Template(msgspec.Struct, frozen=True):
    """A mnemonic and its operands in the order in which they are written."""

    mnemonic: str
    places: tuple[Place, ...]

    @staticmethod
    def read(text: str) -> Template:
        """Read a template; raises ValueError where it is malformed."""
        mnemonic, _, rest = text.partition(" ")
        return Template(mnemonic, tuple(_place(part.strip()) for part in rest.split(",")) if rest else ())

    def terms(self) -> list[Term]:
        """Every term from left to right."""
        return [term for place in self.places for term in (place.outer, place.inner) if term]

    def write(self, texts: Mapping[str, str], mnemonic: str = "") -> str:
        """The template with `texts` for its names; other names stay."""
        written = []
        for place in self.places:
            outer = texts.get(place.outer.name, place.outer.name) if place.outer else ""
            inner = f"({texts.get(place.inner.name, place.inner.name)})" if place.inner else ""
            written.append(outer + inner)
        return f"{mnemonic or self.mnemonic} {','.join(written)}".rstrip()

    def without_last(self) -> Template:
        """The template without its last operand."""
        return msgspec.structs.replace(self, places=self.places[:-1])


def _place(text: str) -> Place:
    found = _OPERAND.match(text)
    if not found:
        raise ValueError(f"cannot read operand '{text}' of a template")
    return Place(*(_term(found[part].strip()) if found[part] else None for part in ("outer", "inner")))


def _term(text: str) -> Term:
    found = _TERM.match(text)
    return Term(found[1], int(found[2] or 0)) if found else Term(text)


class Spelling(Protocol):
    """How the values of one operand are written where it is not a plain number."""

    @property
    def default(self) -> int | None:
        """The value of an operand left out, where it may be."""

    def write(self, value: int) -> str:
        """The text of a value."""

    def read(self, text: str, scope: Scope) -> int:
        """The value of a text; raises ValueError where it has none."""


class Named(msgspec.Struct, frozen=True):
    """Values that have names; others are written as `other` does."""

    values: Mapping[str, int]
    default: int | None = None
    other: Callable[[int], str] = hex

    def write(self, value: int) -> str:
        return next((name for name, known in self.values.items() if known == value), None) or self.other(value)

    def read(self, text: str, scope: Scope) -> int:
        return self.values[text.lower()] if text.lower() in self.values else evaluate(text, scope)


class Letters(msgspec.Struct, frozen=True):
    """A set of flags written as letters, highest bit first; `empty` is the set without any."""

    letters: str
    empty: str = "0"
    default: int | None = None

    def write(self, value: int) -> str:
        top = len(self.letters) - 1
        return "".join(c for i, c in enumerate(self.letters) if value >> (top - i) & 1) or self.empty

    def read(self, text: str, scope: Scope) -> int:
        if text == self.empty:
            return 0
        if set(text) <= set(self.letters) and text:
            return sum(1 << (len(self.letters) - 1 - self.letters.index(c)) for c in set(text))
        return evaluate(text, scope)


class Hexadecimal(msgspec.Struct, frozen=True):
    """A number printed as 0x..."""

    default: int | None = None

    def write(self, value: int) -> str:
        return hex(value)

    def read(self, text: str, scope: Scope) -> int:
        return evaluate(text, scope)


Macro = Callable[[list[str], Scope], list[str]]


class AssemblySyntax(msgspec.Struct, frozen=True):
    """What an instruction set says about its assembly language, beyond the syntax of each instruction.

    - `registers`: further spellings, name to (register file, number); the layout's own names are always known.
    - `files`: the register file of an operand whose function does not tell.
    - `relative`: operands that, written alone, are a target address and hold its distance from the instruction.
    - `spellings`: operands that are not plain decimal numbers.
    - `suffixes`: mnemonic suffixes that stand for values of operands which the syntax does not show.
    - `aliases`: (written, meaning) templates, read by the assembler, preferred by the disassembler.
    - `printed`: aliases for the disassembler only; they come first. `read`: for the assembler only, the meaning
      being one or more instructions.
    - `macros`: pseudo-instructions whose expansion depends on values: operand texts to instruction texts.
    - `operators`: `%name(value)` in expressions: a function of the value, the address and a dictionary of notes.
    - `filler`: encodings that pad code, in the order in which they are tried.
    - `unknown`: the directives that write undefined bits, by length in bytes.
    - `undefined`: names of some undefined bits, by length in bytes and value.
    """

    registers: Mapping[str, tuple[str, int]] = msgspec.field(default_factory=dict)
    files: Mapping[str, str] = msgspec.field(default_factory=dict)
    relative: frozenset[str] = frozenset()
    spellings: Mapping[str, Spelling] = msgspec.field(default_factory=dict)
    suffixes: Mapping[str, Mapping[str, int]] = msgspec.field(default_factory=dict)
    aliases: tuple[tuple[str, str], ...] = ()
    printed: tuple[tuple[str, str], ...] = ()
    read: tuple[tuple[str, ...], ...] = ()
    macros: Mapping[str, Macro] = msgspec.field(default_factory=dict)
    operators: Mapping[str, Callable[[int, int, dict[int, int]], int]] = msgspec.field(default_factory=dict)
    filler: tuple[bytes, ...] = ()
    unknown: Mapping[int, str] = msgspec.field(
        default_factory=lambda: {1: ".byte", 2: ".2byte", 4: ".4byte", 8: ".8byte"}
    )
    undefined: Mapping[tuple[int, int], str] = msgspec.field(default_factory=dict)


def register_names(layout: StateLayout, syntax: AssemblySyntax) -> dict[str, tuple[str, int]]:
    """Every spelling of every register: name to (file, number)."""
    files = [f for f in layout.fields.values() if isinstance(f, RegisterFile)]
    own = {name: (f.name, number) for f in files for number, name in enumerate(f.names)}
    return {**own, **syntax.registers}


def written_parts(text: str) -> tuple[str, str | None]:
    """The outer and inner text of a written operand; `4(sp)` is ('4', 'sp'), `(1 + 2)` stays whole."""
    found = _WRITTEN.match(text)
    return (found["outer"].strip(), found["inner"]) if found else (text.strip(), None)


def shifted(value: int, shift: int, operand: Operand) -> int:
    """The operand whose value >> `shift` was written, as signed or unsigned part of a 32-bit word."""
    if operand.signed and shift and value >> (31 - shift) == 1:
        value -= 1 << (32 - shift)
    return value << shift


def unshifted(value: int, shift: int) -> str:
    """A value written >> `shift`: hexadecimal, the upper part of a 32-bit word."""
    return hex(value >> shift & ((1 << (32 - shift)) - 1))
