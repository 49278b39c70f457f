"""An instruction's encoding as a drawing: its bit fields in a box, as the manual draws them."""

from __future__ import annotations

import msgspec

from guesthouse.virtual.spec.encoding import Operand, Pattern, Piece


class Box(msgspec.Struct, frozen=True):
    """Neighbouring bits of one meaning: bits `high` to `low`, and what stands there."""

    high: int
    low: int
    text: str


def boxes(pattern: Pattern) -> list[Box]:
    """The fields of an encoding, most significant first."""
    owner: dict[int, tuple[Operand, Piece]] = {}
    for operand in pattern.operands:
        for piece in operand.pieces:
            owner |= dict.fromkeys(range(piece.at, piece.at + piece.width), (operand, piece))
    found: list[Box] = []
    high = 8 * pattern.length - 1
    while high >= 0:
        here = owner[high][0] if high in owner else None
        low = high
        while low and (owner[low - 1][0] if low - 1 in owner else None) is here:
            low -= 1
        found.append(Box(high, low, _operand_text(here, high, low) if here else _fixed_text(pattern, high, low)))
        high = low - 1
    return found


def _fixed_text(pattern: Pattern, high: int, low: int) -> str:
    return f"{pattern.match >> low & (1 << high - low + 1) - 1:0{high - low + 1}b}"


def _operand_text(operand: Operand, high: int, low: int) -> str:
    """The operand's name, with its bits where they are not all of it in order: imm[4:1|11]."""
    pieces = sorted((p for p in operand.pieces if low <= p.at <= high), key=lambda p: -p.at)
    if len(pieces) == 1 and pieces[0].to == 0 and pieces[0].width == operand.bits and not operand.signed:
        return operand.name
    parts = [f"{p.to + p.width - 1}:{p.to}" if p.width > 1 else str(p.to) for p in pieces]
    return f"{operand.name}[{'|'.join(parts)}]"


def drawing(pattern: Pattern) -> str:
    """Four lines: bit numbers, the box with the fields in it; a fifth with their widths."""
    fields = boxes(pattern)
    widths = [max(len(box.text) + 2, len(f"{box.high} {box.low}")) for box in fields]
    numbers = " ".join(_numbers(box, width) for box, width in zip(fields, widths, strict=True))
    edge = "+".join("-" * width for width in widths)
    content = "|".join(box.text.center(width) for box, width in zip(fields, widths, strict=True))
    sizes = " ".join(str(b.high - b.low + 1).center(w) for b, w in zip(fields, widths, strict=True))
    return "\n".join(line.rstrip() for line in (f" {numbers}", f"+{edge}+", f"|{content}|", f"+{edge}+", f" {sizes}"))


def _numbers(box: Box, width: int) -> str:
    if box.high == box.low:
        return str(box.high).center(width)
    return f"{box.high}{str(box.low).rjust(width - len(str(box.high)))}"
