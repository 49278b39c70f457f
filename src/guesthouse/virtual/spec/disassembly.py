"""The disassembler: another reader of what an instruction set describes."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping

import msgspec

from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.layout import RegisterFile
from guesthouse.virtual.spec.operands import RegisterOperands
from guesthouse.virtual.spec.syntax import AssemblySyntax, Hexadecimal, Template, unshifted

MASK64 = (1 << 64) - 1


class Decoder:
    """Finds the instruction that some bytes are."""

    def __init__(self, isa: Isa) -> None:
        """Sort the patterns by the values of the lowest byte that they allow."""
        self._candidates = [
            [i for i in isa.decode_order if (byte ^ i.pattern.match) & i.pattern.mask & 0xFF == 0]
            for byte in range(256)
        ]

    def decode(self, word: int) -> Instruction | None:
        """The instruction at the low end of `word` (little-endian; more bytes may follow), None where undefined."""
        return next((i for i in self._candidates[word & 0xFF] if i.pattern.matches(word)), None)


class Symbols:
    """Names of addresses."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._addresses = sorted(names)

    def target(self, address: int) -> str:
        """An address as binutils writes it: `0x1234`, or `1234 <symbol+0x4>` where a symbol lies at or before it."""
        at = bisect.bisect_right(self._addresses, address)
        if not at:
            return hex(address)
        before = self._addresses[at - 1]
        return f"{address:x} <{self._names[before]}{f'+{address - before:#x}' if address > before else ''}>"


class _Printer(msgspec.Struct, frozen=True):
    """How one instruction is printed."""

    instruction: Instruction
    template: Template
    files: Mapping[str, str]  # operands that are registers
    hidden: tuple[str, ...]  # operands that the syntax does not show
    aliases: tuple[tuple[Template, Template], ...]


class Disassembler:
    """Turns bytes into assembly text.

    `aliases`: prefer the short spellings (`ret`, `mv`), as binutils does by default.
    """

    def __init__(self, isa: Isa, syntax: AssemblySyntax | None = None, *, aliases: bool = True) -> None:
        self.isa = isa
        self.syntax = syntax or AssemblySyntax()
        self.decoder = Decoder(isa)
        self._registers = {f.name: f.names for f in isa.layout.fields.values() if isinstance(f, RegisterFile)}
        self._aliases: dict[str, list[tuple[Template, Template]]] = {}
        for written, meaning in (*self.syntax.printed, *self.syntax.aliases) if aliases else ():
            base = Template.read(meaning)
            self._aliases.setdefault(base.mnemonic, []).append((Template.read(written), base))
        written_forms = (Template.read(written) for written, _ in self.syntax.aliases)
        self._taken = {(form.mnemonic, len(form.places)) for form in written_forms}
        self._operands = RegisterOperands(isa.layout)
        self._printers: dict[str, _Printer] = {}

    def disassemble(
        self, data: bytes, address: int = 0, symbols: Mapping[int, str] | None = None
    ) -> Iterator[tuple[int, bytes, str]]:
        """Each instruction's address, bytes and text, the mnemonic separated by a tab; `symbols` by address."""
        at, known = 0, Symbols(symbols or {})
        while at < len(data):
            word = int.from_bytes(data[at : at + self.isa.longest], "little")
            length, text = self._decoded(word, address + at, known, len(data) - at)
            yield (address + at) & MASK64, bytes(data[at : at + length]), text
            at += length

    def text_of(self, word: int, pc: int = 0, symbols: Mapping[int, str] | None = None) -> str:
        """The text of the one instruction at the low end of `word`."""
        return self._decoded(word, pc, Symbols(symbols or {}), self.isa.longest)[1]

    def _decoded(self, word: int, pc: int, symbols: Symbols, available: int) -> tuple[int, str]:
        """Length in bytes and text of the instruction at the low end of `word`, of which `available` bytes exist."""
        instruction = self.decoder.decode(word)
        if instruction and instruction.pattern.length <= available:
            text = self._print(self._printer(instruction), instruction.pattern.decode(word), pc, symbols)
            if text:
                return instruction.pattern.length, text
            length = instruction.pattern.length
        else:
            length = self._length(word)
        length = min(length, available)
        while length not in self.syntax.unknown:
            length -= 1
        value = word & ((1 << 8 * length) - 1)
        return length, self.syntax.undefined.get((length, value)) or f"{self.syntax.unknown[length]}\t{value:#x}"

    def _length(self, word: int) -> int:
        """The bytes to skip for an undefined instruction."""
        hook = self.isa.hooks.get("length")
        return int(hook(word & ((1 << 8 * self.isa.unit) - 1))) if hook else self.isa.unit

    def _printer(self, instruction: Instruction) -> _Printer:
        """What is known of an instruction, found out when it is first met."""
        if instruction.name not in self._printers:
            template = Template.read(instruction.syntax)
            shown = {term.name for term in template.terms()}
            names = [operand.name for operand in instruction.pattern.operands]
            files = {name: file for name, file in self.syntax.files.items() if name in names}
            files.update(self._operands.files_of(instruction.semantics))
            self._printers[instruction.name] = _Printer(
                instruction,
                template,
                files,
                tuple(name for name in names if name not in shown),
                tuple(self._aliases.get(template.mnemonic, ())),
            )
        return self._printers[instruction.name]

    def _print(self, printer: _Printer, values: dict[str, int], pc: int, symbols: Symbols) -> str:
        """The text; '' where bits that the syntax does not show are not zero, so that it would not assemble back."""
        suffix = self._suffix(printer.hidden, values)
        if suffix is None:
            return ""
        texts = self._texts(printer, values, pc, symbols)
        for written, meaning in printer.aliases:
            bound = _unify(meaning, printer.template, texts)
            if bound is not None:
                return _spaced(written.write(bound))
        template = printer.template
        if template.places and self._is_default(template, values):
            template = template.without_last()
        return _spaced(template.write(texts, template.mnemonic + suffix))

    def _is_default(self, template: Template, values: dict[str, int]) -> bool:
        """Whether the last operand may be left out: no alias gives that form another meaning."""
        last = template.places[-1].outer
        spelling = self.syntax.spellings.get(last.name) if last else None
        if last is None or spelling is None or spelling.default is None or values.get(last.name) != spelling.default:
            return False
        return (template.mnemonic, len(template.places) - 1) not in self._taken

    def _suffix(self, hidden: tuple[str, ...], values: dict[str, int]) -> str | None:
        """The mnemonic's suffix that stands for the hidden operands; None where there is none."""
        wanted = {name: values[name] for name in hidden if values[name]}
        if not wanted:
            return ""
        for suffix, meaning in self.syntax.suffixes.items():
            if {name: value for name, value in meaning.items() if value} == wanted:
                return suffix
        return None

    def _texts(self, printer: _Printer, values: dict[str, int], pc: int, symbols: Symbols) -> dict[str, str]:
        texts = {}
        for place in printer.template.places:
            for term in (place.outer, place.inner):
                if term is None or term.name not in values:
                    continue
                name, value = term.name, values[term.name]
                if name in printer.files:
                    texts[name] = self._registers[printer.files[name]][value]
                elif name in self.syntax.relative and place.inner is None:
                    texts[name] = symbols.target(pc + value & MASK64)
                elif term.shift:
                    texts[name] = unshifted(value, term.shift)
                else:
                    texts[name] = self.syntax.spellings.get(name, _DECIMAL).write(value)
        return texts


class _Decimal(Hexadecimal, frozen=True):
    def write(self, value: int) -> str:
        return str(value)


_DECIMAL = _Decimal()


def _unify(meaning: Template, template: Template, texts: Mapping[str, str]) -> dict[str, str] | None:
    """What the names of an alias's meaning stand for in a printed instruction; None where it is not that."""
    if len(meaning.places) != len(template.places):
        return None
    bound: dict[str, str] = {}
    names = {term.name for term in template.terms()}
    for alias, real in zip(meaning.terms(), template.terms(), strict=True):
        text = texts.get(real.name, real.name)
        if alias.name not in names:
            if alias.name != text:
                return None
        elif bound.setdefault(alias.name, text) != text:
            return None
    return bound


def _spaced(text: str) -> str:
    return text.replace(" ", "\t", 1)
