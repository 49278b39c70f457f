"""What the assembler writes into: sections, symbols, and the directives that fill them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from guesthouse.virtual.spec.expression import evaluate
from guesthouse.virtual.spec.statement import string
from guesthouse.virtual.spec.syntax import AssemblySyntax

Operators = Mapping[str, Callable[[int, int, dict[int, int]], int]]

LARGEST = 1 << 26  # bytes of a section: a bound against a slip such as `.zero -1`

MOST_ALIGNED = 1 << 21


class Section(msgspec.Struct):
    """One section: where it begins, what is in it, its alignment in bytes."""

    start: int
    size: int = 0
    alignment: int = 4
    data: bytearray = msgspec.field(default_factory=bytearray)


class Output:
    """One pass over the text; what a symbol is worth before its definition is known from the pass before."""

    def __init__(self, base: int, before: Output | None = None, *, operators: Operators, final: bool = False) -> None:
        self.base = base
        self.before = before
        self.final = final
        self.operators = operators
        self.notes: dict[int, int] = {}
        self.symbols: dict[str, int] = {}
        self.labels: set[str] = set()
        self.numbered: dict[str, list[tuple[int, int]]] = {}
        self.sections: dict[str, Section] = {}
        self.current = ".text"
        self.previous = ".text"
        self.order = 0
        self.enter(".text")

    def next_pass(self, final: bool) -> Output:
        """The pass after this one."""
        return Output(self.base, self, operators=self.operators, final=final)

    def enter(self, name: str) -> None:
        """Go on in a section; a new one begins where the pass before ended the one ahead of it."""
        self.previous, self.current = self.current, name
        if name not in self.sections:
            known = self.before.placed() if self.before else {}
            self.sections[name] = Section(known.get(name, self.base))

    def placed(self) -> dict[str, int]:
        """Where each section goes: one behind the other, in the order in which they were met."""
        places, address = {}, self.base
        for name, section in self.sections.items():
            address += -(address - self.base) % section.alignment if name != ".text" else 0
            places[name] = address
            address += section.size
        return places

    @property
    def section(self) -> Section:
        return self.sections[self.current]

    @property
    def address(self) -> int:
        """Where the next byte goes."""
        return self.section.start + self.section.size

    def put(self, data: bytes) -> None:
        """Append bytes."""
        self.section.data += data
        self.skip(len(data))

    def skip(self, size: int) -> None:
        """Go on by `size` bytes."""
        self.section.size += size
        if self.section.size > LARGEST:
            raise ValueError(f"section {self.current} grows beyond {LARGEST} bytes")

    def fill(self, size: int, value: int = 0) -> None:
        """Append `size` bytes of one value; raises ValueError where the size is negative or too large."""
        if not 0 <= size <= LARGEST:
            raise ValueError(f"cannot put {size} bytes there")
        if self.final:
            self.put(bytes([value & 0xFF]) * size)
        else:
            self.skip(size)

    def define_label(self, name: str) -> None:
        """A label at the current address."""
        self.order += 1
        if name.isdigit():
            self.numbered.setdefault(name, []).append((self.order, self.address))
            return
        if name in self.labels:
            raise ValueError(f"label '{name}' is already defined")
        self.labels.add(name)
        self.symbols[name] = self.address

    def symbol(self, name: str) -> int:
        """The value of a symbol, of `.`, or of a numbered label such as `1f`."""
        if name == ".":
            return self.address
        if name[0].isdigit():
            return self._numbered(name)
        for known in (self, self.before):
            if known and name in known.symbols:
                return known.symbols[name]
        if self.before and self.before.before:
            raise ValueError(f"'{name}' is not defined")
        return self.base

    def _numbered(self, name: str) -> int:
        forward = name[-1] == "f"
        source = self.before if forward else self
        for order, address in (source.numbered.get(name[:-1], []) if source else [])[:: 1 if forward else -1]:
            if (order > self.order) == forward:
                return address
        if self.before and self.before.before:
            raise ValueError(f"there is no label {name[:-1]} {'after' if forward else 'before'} '{name}'")
        return self.base

    def apply(self, operator: str, value: int) -> int:
        """The value of `%operator(value)`."""
        if operator not in self.operators:
            raise ValueError(f"there is no operator %{operator}")
        return self.operators[operator](value, self.address, self.notes)

    def same_layout(self, other: Output) -> bool:
        """Whether nothing moved since the other pass, of which there was one at all."""
        return (
            other.before is not None
            and (self.symbols, self.numbered) == (other.symbols, other.numbered)
            and self.placed() == other.placed() == {name: section.start for name, section in self.sections.items()}
        )

    def image(self) -> bytes:
        """All sections as they lie in memory."""
        image = bytearray()
        for section in self.sections.values():
            if section.size:
                image += bytes(section.start - self.base - len(image)) + section.data
        return bytes(image)

    def extents(self) -> dict[str, tuple[int, int]]:
        """Address and size in bytes of each section."""
        return {name: (section.start, section.size) for name, section in self.sections.items()}


def _one(operands: list[str]) -> str:
    if len(operands) != 1:
        raise ValueError("this directive takes one operand")
    return operands[0]


def _data(size: int) -> Callable[[Output, list[str], AssemblySyntax], None]:
    def words(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
        for text in operands:
            if not output.final:
                output.skip(size)
                continue
            value = evaluate(text, output)
            if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
                raise ValueError(f"{value} does not fit in {size} byte{'s' if size > 1 else ''}")
            output.put((value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    return words


def _text(end: bytes) -> Callable[[Output, list[str], AssemblySyntax], None]:
    def text(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
        for operand in operands:
            output.put(string(operand) + end)

    return text


def _align(power: bool) -> Callable[[Output, list[str], AssemblySyntax], None]:
    def align(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
        if not 1 <= len(operands) <= 3:
            raise ValueError("an alignment takes a boundary and, if wanted, a byte to fill with")
        boundary = evaluate(operands[0], output)
        if power and not 0 <= boundary <= MOST_ALIGNED.bit_length() - 1:
            raise ValueError(f"cannot align to 2 to the power of {boundary}")
        boundary = 1 << boundary if power else boundary
        if not 0 < boundary <= MOST_ALIGNED or boundary & (boundary - 1):
            raise ValueError(f"cannot align to {boundary}: it is not a power of two up to {MOST_ALIGNED}")
        output.section.alignment = max(output.section.alignment, boundary)
        gap = -output.address % boundary
        if len(operands) > 1 and operands[1]:
            output.fill(gap, evaluate(operands[1], output))
        else:
            _pad(output, gap, syntax.filler if output.current.startswith(".text") else ())

    return align


def _pad(output: Output, gap: int, filler: tuple[bytes, ...]) -> None:
    """Fill a gap with padding instructions, the shortest ones first, as far as they fit."""
    for at, code in enumerate(filler):
        step = len(filler[at + 1]) if at + 1 < len(filler) else 1 << 30  # the next longer one's turn
        while gap >= len(code) and (gap % step or step > gap):
            output.put(code)
            gap -= len(code)
    output.fill(gap)


def _space(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
    if not 1 <= len(operands) <= 2:
        raise ValueError("this directive takes a size and, if wanted, a byte to fill with")
    output.fill(evaluate(operands[0], output), evaluate(operands[1], output) if len(operands) > 1 else 0)


def _org(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
    target = evaluate(_one(operands), output)
    if target < output.address:
        raise ValueError(f".org cannot go back from {output.address:#x} to {target:#x}")
    output.fill(target - output.address)


def _set(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
    if len(operands) != 2:
        raise ValueError("this directive takes a name and a value")
    if operands[0] in output.labels:
        raise ValueError(f"'{operands[0]}' is a label")
    output.symbols[operands[0]] = evaluate(operands[1], output)


def _section(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
    if not operands:
        raise ValueError(".section takes a name")
    output.enter(operands[0].strip('"'))


def _named_section(name: str) -> Callable[[Output, list[str], AssemblySyntax], None]:
    return lambda output, operands, syntax: output.enter(name)


def _previous(output: Output, operands: list[str], syntax: AssemblySyntax) -> None:
    output.enter(output.previous)


DIRECTIVES: dict[str, Callable[[Output, list[str], AssemblySyntax], None]] = {
    **dict.fromkeys((".byte",), _data(1)),
    **dict.fromkeys((".half", ".short", ".2byte"), _data(2)),
    **dict.fromkeys((".word", ".long", ".int", ".4byte"), _data(4)),
    **dict.fromkeys((".dword", ".quad", ".8byte"), _data(8)),
    ".ascii": _text(b""),
    **dict.fromkeys((".asciz", ".string"), _text(b"\0")),
    **dict.fromkeys((".align", ".p2align"), _align(power=True)),
    ".balign": _align(power=False),
    **dict.fromkeys((".zero", ".skip", ".space"), _space),
    ".org": _org,
    **dict.fromkeys((".equ", ".set"), _set),
    ".section": _section,
    ".previous": _previous,
    **{name: _named_section(name) for name in (".text", ".data", ".rodata", ".bss")},
}

# What says something to a linker or debugger, of which there is none here.
IGNORED = frozenset(
    (
        *(".globl", ".global", ".local", ".weak", ".hidden", ".type", ".size", ".file", ".loc", ".ident"),
        *(".option", ".attribute", ".cfi_startproc", ".cfi_endproc"),
    )
)
