"""The assembler: another reader of what an instruction set describes. It knows no mnemonic.

Text is laid out again and again until no address moves any more, then encoded once; so every expression may name
every symbol, wherever it is defined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.directives import DIRECTIVES, IGNORED, Output
from guesthouse.virtual.spec.expression import evaluate
from guesthouse.virtual.spec.operands import RegisterOperands
from guesthouse.virtual.spec.statement import Statement, statements
from guesthouse.virtual.spec.syntax import (
    AssemblySyntax,
    Macro,
    Place,
    Template,
    register_names,
    shifted,
    written_parts,
)

MOST_PASSES = 30
_NAME = re.compile(r"[A-Za-z_][\w.]*")
DEEPEST = 8  # of pseudo-instructions that stand for pseudo-instructions


class Program(msgspec.Struct, frozen=True):
    """What was assembled: `data` belongs at address `base`; symbols are absolute."""

    base: int
    data: bytes
    symbols: Mapping[str, int]
    sections: Mapping[str, tuple[int, int]]  # name to address and size in bytes


class _Form(msgspec.Struct, frozen=True):
    """One way to write a mnemonic: an instruction itself, or what it stands for."""

    template: Template
    registers: Mapping[str, str | None]  # names that must be registers, and of which file where that is known
    instruction: Instruction | None = None
    fixed: Mapping[str, int] = msgspec.field(default_factory=dict)  # operands that the mnemonic's suffix sets
    meaning: tuple[str, ...] = ()


class Assembler:
    """Turns assembly text into bytes."""

    def __init__(self, isa: Isa, syntax: AssemblySyntax | None = None) -> None:
        self.isa = isa
        self.syntax = syntax or AssemblySyntax()
        self.registers = register_names(isa.layout, self.syntax)
        self._operands = RegisterOperands(isa.layout)
        self._instructions: dict[str, list[Instruction]] = {}
        for instruction in isa.instructions:
            self._instructions.setdefault(instruction.mnemonic, []).append(instruction)
        self._aliases: dict[str, list[tuple[str, ...]]] = {}
        for written, *meaning in (*self.syntax.aliases, *self.syntax.read):
            self._aliases.setdefault(written.split()[0], []).append((written, *meaning))
        self._forms: dict[str, list[_Form]] = {}

    def _forms_of(self, word: str) -> list[_Form]:
        """The ways to write a mnemonic, found out when it is first met; none where there is no such mnemonic."""
        if word not in self._forms:
            self._forms[word] = [*self._real_forms(word), *self._alias_forms(word)]
        return self._forms[word]

    def _real_forms(self, word: str) -> Iterator[_Form]:
        for suffix, fixed in {"": {}, **self.syntax.suffixes}.items():
            for instruction in self._instructions.get(word.removesuffix(suffix), ()) if word.endswith(suffix) else ():
                template = Template.read(instruction.syntax)
                operands = {operand.name for operand in instruction.pattern.operands}
                if set(fixed) <= operands - {term.name for term in template.terms()}:
                    deduced = self._operands.files_of(instruction.semantics)
                    files = {name: file for name, file in {**self.syntax.files, **deduced}.items() if name in operands}
                    yield _Form(Template(word, template.places), files, instruction, fixed=fixed)

    def _alias_forms(self, word: str) -> Iterator[_Form]:
        for written, *meaning in self._aliases.get(word, ()):
            template = Template.read(written)
            names = {term.name: None for term in template.terms() if term.name in self.syntax.files}
            yield _Form(template, names, meaning=tuple(meaning))

    def assemble(self, text: str, base: int = 0) -> bytes:
        """The bytes of a text that will lie at `base`; raises UserError with the line of the first mistake."""
        return self.program(text, base).data

    def program(self, text: str, base: int = 0) -> Program:
        """Assemble a text that will lie at `base`; raises UserError with the line of the first mistake."""
        source = list(statements(text))
        output = Output(base, operators=self.syntax.operators)
        for _ in range(MOST_PASSES):
            following = self._pass(source, output.next_pass(final=False))
            settled = following.same_layout(output)
            output = following
            if settled:
                output = self._pass(source, output.next_pass(final=True))
                return Program(base, output.image(), dict(output.symbols), output.extents())
        raise UserError("The assembler cannot place this program: sizes depend on addresses in a circle.")

    def _pass(self, source: list[Statement], output: Output) -> Output:
        for statement in source:
            try:
                for label in statement.labels:
                    output.define_label(label)
                if statement.word:
                    self._statement(statement.word, list(statement.operands), output)
            except (ValueError, OverflowError) as error:
                raise UserError(f"Line {statement.line}: {error}.") from None
            except RecursionError:
                raise UserError(f"Line {statement.line}: an expression has too many parentheses.") from None
        return output

    def _statement(self, word: str, operands: list[str], output: Output) -> None:
        if word in DIRECTIVES:
            DIRECTIVES[word](output, operands, self.syntax)
        elif word in IGNORED:
            pass
        elif word in self.syntax.macros or self._forms_of(word):
            for form, texts in self._expanded(word, operands, output, DEEPEST):
                self._emit(form, texts, output)
        elif word.startswith("."):
            raise ValueError(f"there is no directive '{word}'")
        else:
            raise ValueError(f"there is no instruction '{word}' in {self.isa.name}")

    def _expanded(
        self, word: str, operands: list[str], output: Output, depth: int
    ) -> Iterator[tuple[_Form, dict[str, str]]]:
        """The real instructions that a written one stands for, with the texts of their operands."""
        if depth == 0:
            raise ValueError(f"'{word}' stands for itself")
        macro: Macro | None = self.syntax.macros.get(word)
        found = None if macro else self._bound(word, operands)
        if found and found[0].instruction:
            yield found
        elif found or macro:
            meaning = macro(operands, output) if macro else _substituted(*found) if found else ()
            for statement in statements("\n".join(meaning)):
                yield from self._expanded(statement.word, list(statement.operands), output, depth - 1)
        else:
            choices = " or ".join(f"'{form.template.write({})}'" for form in self._forms_of(word)[:3])
            raise ValueError(
                f"'{' '.join((word, ', '.join(operands))).strip()}' does not read as {choices or 'anything'}"
            )

    def _bound(self, word: str, operands: list[str]) -> tuple[_Form, dict[str, str]] | None:
        """The first form of a mnemonic that the operands fit, and the text of each of its names."""
        forms = self._forms_of(word)
        shortened = [form for form in forms if self._default(form.template) is not None]
        candidates = [(form, form.template.places) for form in forms]
        candidates += [(form, form.template.places[:-1]) for form in shortened]
        for form, places in candidates:
            texts: dict[str, str] = {}
            if len(operands) == len(places) and all(
                self._fits(place, text, form, texts) for place, text in zip(places, operands, strict=True)
            ):
                return form, texts
        return None

    def _default(self, template: Template) -> int | None:
        """The value of the last operand where it may be left out."""
        last = template.places[-1] if template.places else None
        spelling = self.syntax.spellings.get(last.outer.name) if last and last.outer and not last.inner else None
        return spelling.default if spelling else None

    def _fits(self, place: Place, text: str, form: _Form, texts: dict[str, str]) -> bool:
        """Whether a written operand has the form of a template's; its parts go into `texts`."""
        outer, inner = written_parts(text) if place.inner else (text, None)
        if place.inner and (inner is None or not self._is(place.inner.name, inner, form, texts)):
            return False
        if place.outer is None:
            return outer in ("", "0")
        return self._is(place.outer.name, outer or ("0" if inner else ""), form, texts)

    def _is(self, name: str, text: str, form: _Form, texts: dict[str, str]) -> bool:
        register = self.registers.get(text.lower())
        if name in form.registers:
            wanted = form.registers[name]
            if register is None or wanted not in (None, register[0]):
                return False
        elif name in self.registers:
            return register == self.registers[name]
        elif register is not None:
            return False
        return texts.setdefault(name, text) == text

    def _emit(self, form: _Form, texts: dict[str, str], output: Output) -> None:
        """Encode one instruction where the output stands; only its length counts before the last pass."""
        instruction = form.instruction
        if instruction is None:
            raise ValueError(f"'{form.template.mnemonic}' is not an instruction")
        pattern = instruction.pattern
        if not output.final:
            output.skip(pattern.length)
            return
        values = {operand.name: 0 for operand in pattern.operands}
        values.update(form.fixed)
        for place in form.template.places:
            for term in (place.outer, place.inner):
                if term and term.name in values:
                    operand = pattern.operand(term.name)
                    value = self._value(place, term.name, texts.get(term.name), form, output)
                    values[term.name] = shifted(value, term.shift, operand) if term.shift else value
        output.put(pattern.encode(values).to_bytes(pattern.length, "little"))

    def _value(self, place: Place, name: str, text: str | None, form: _Form, output: Output) -> int:
        spelling = self.syntax.spellings.get(name)
        if text is None:
            return (spelling.default if spelling else None) or 0
        if name in form.registers:
            return self.registers[text.lower()][1]
        if name in self.syntax.relative and place.inner is None:
            return self._distance(evaluate(text, output), output)
        return spelling.read(text, output) if spelling else evaluate(text, output)

    def _distance(self, target: int, output: Output) -> int:
        """From here to a target, the shorter way round the address space."""
        distance = (target - output.address) & ((1 << 64) - 1)
        return distance - (1 << 64) if distance >> 63 else distance


def _substituted(form: _Form, texts: Mapping[str, str]) -> list[str]:
    """The lines that a form stands for, with the operands as they were written."""
    lines = []
    for line in form.meaning:
        mnemonic, _, operands = line.partition(" ")
        lines.append(f"{mnemonic} {_NAME.sub(lambda name: texts.get(name[0], name[0]), operands)}")
    return lines
