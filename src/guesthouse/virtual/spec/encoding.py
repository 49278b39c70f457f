"""Encodings as data: which bits are fixed and where each operand's bits lie.

A `Pattern` is what decoder, assembler, disassembler and test generator read. How an instruction set *writes* its
encodings is its own business: a `Grammar` turns that text into patterns, so a set with variable length or bytes
instead of bit fields brings another grammar and nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec


class Piece(msgspec.Struct, frozen=True):
    """`width` bits at bit `at` of the instruction that are bits `to` and up of the operand."""

    at: int
    width: int
    to: int


class Operand(msgspec.Struct, frozen=True):
    """One operand: its pieces, the number of bits of its value, and how the value reads.

    `bias` is added to the extracted bits (RISC-V's three-bit registers begin at 8); values in `excluded` belong to
    another instruction.
    """

    name: str
    pieces: tuple[Piece, ...]
    bits: int
    signed: bool = False
    bias: int = 0
    excluded: tuple[int, ...] = ()

    @property
    def low(self) -> int:
        """The smallest value it can have."""
        return -(1 << (self.bits - 1)) if self.signed else self.bias

    @property
    def high(self) -> int:
        """The largest value it can have."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1 + self.bias

    @property
    def step(self) -> int:
        """Values are multiples of this (the low bits that no piece holds are zero)."""
        return 1 << min(piece.to for piece in self.pieces)

    def extract(self, word: int) -> int:
        """The operand's value in an instruction word."""
        value = 0
        for piece in self.pieces:
            value |= (word >> piece.at & ((1 << piece.width) - 1)) << piece.to
        if self.signed and value >> (self.bits - 1):
            value -= 1 << self.bits
        return value + self.bias

    def insert(self, value: int) -> int:
        """The instruction bits that hold `value`; raises ValueError where it does not fit."""
        if not self.low <= value <= self.high or (value - self.bias) % self.step or value in self.excluded:
            raise ValueError(f"{self.name} cannot be {value}: {self.range_text()}")
        raw, word = value - self.bias, 0
        for piece in self.pieces:
            word |= (raw >> piece.to & ((1 << piece.width) - 1)) << piece.at
        return word

    def range_text(self) -> str:
        """The allowed values in words."""
        text = f"it goes from {self.low} to {self.high // self.step * self.step}"
        if self.step > 1:
            text += f" in steps of {self.step}"
        if self.excluded:
            text += " without " + ", ".join(map(str, self.excluded))
        return text


class Pattern(msgspec.Struct, frozen=True):
    """An instruction's bits: `length` bytes, little-endian, of which those in `mask` equal `match`."""

    length: int
    mask: int
    match: int
    operands: tuple[Operand, ...] = ()

    def operand(self, name: str) -> Operand:
        """The operand called `name`; raises KeyError where there is none."""
        for operand in self.operands:
            if operand.name == name:
                return operand
        raise KeyError(name)

    def matches(self, word: int) -> bool:
        """Whether these bits are this instruction."""
        return word & self.mask == self.match and all(o.extract(word) not in o.excluded for o in self.operands)

    def encode(self, values: Mapping[str, int]) -> int:
        """The instruction word with these operand values; raises ValueError where one does not fit."""
        word = self.match
        for operand in self.operands:
            word |= operand.insert(values[operand.name])
        return word

    def decode(self, word: int) -> dict[str, int]:
        """Operand values by name."""
        return {operand.name: operand.extract(word) for operand in self.operands}


class Grammar(Protocol):
    """How an instruction set writes its encodings."""

    def pattern(self, text: str) -> Pattern:
        """Read one encoding; raises ValueError with the reason where it is malformed."""


_TOKEN = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<prime>')?(?:\[(?P<bits>[\d|:]+)\])?(?:!=(?P<excluded>[\d,]+))?$")


class BitFields:
    """The grammar of fixed-width words written as the manual draws them: most significant bit first.

    A token is fixed bits (`1100011`), an operand of its usual width (`rs1`), a part of one (`imm[4:1|11]`), a
    three-bit register (`rd'`), and may exclude values (`rd!=0,2`).
    """

    def __init__(self, widths: Mapping[str, int], signed: frozenset[str]) -> None:
        self.widths = dict(widths)
        self.signed = signed

    def pattern(self, text: str) -> Pattern:
        """Read one encoding; raises ValueError with the reason where it is malformed."""
        tokens = [self._token(token) for token in text.split()]
        bits = sum(width for width, *_ in tokens)
        if bits not in (16, 32):
            raise ValueError(f"encoding '{text}' has {bits} bits, not 16 or 32")
        at, mask, match = bits, 0, 0
        pieces: dict[str, list[Piece]] = {}
        bias: dict[str, int] = {}
        excluded: dict[str, tuple[int, ...]] = {}
        for width, fixed, name, parts, token_bias, token_excluded in tokens:
            at -= width
            if fixed is not None:
                mask |= ((1 << width) - 1) << at
                match |= fixed << at
                continue
            place = at + width
            for high, low in parts:
                place -= high - low + 1
                pieces.setdefault(name, []).append(Piece(place, high - low + 1, low))
            bias[name] = token_bias
            excluded[name] = excluded.get(name, ()) + token_excluded
        operands = tuple(
            Operand(
                name,
                tuple(parts),
                max(p.to + p.width for p in parts),
                name in self.signed,
                bias[name],
                excluded[name],
            )
            for name, parts in pieces.items()
        )
        return Pattern(bits // 8, mask, match, operands)

    def _token(self, token: str) -> tuple[int, int | None, str, list[tuple[int, int]], int, tuple[int, ...]]:
        if set(token) <= {"0", "1"}:
            return len(token), int(token, 2), "", [], 0, ()
        found = _TOKEN.match(token)
        if not found:
            raise ValueError(f"cannot read '{token}' in an encoding")
        name = found["name"]
        if found["bits"]:
            parts = []
            for part in found["bits"].split("|"):
                high, _, low = part.partition(":")
                parts.append((int(high), int(low or high)))
        elif found["prime"]:
            parts = [(2, 0)]
        elif name in self.widths:
            parts = [(self.widths[name] - 1, 0)]
        else:
            raise ValueError(f"operand '{name}' has no usual width; write its bits as {name}[high:low]")
        width = sum(high - low + 1 for high, low in parts)
        excluded = tuple(int(v) for v in (found["excluded"] or "").split(",") if v)
        return width, None, name, parts, 8 if found["prime"] else 0, excluded
