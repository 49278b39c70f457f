"""What the engines make of the hottest code: guest code, stencils, IR and host code side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guesthouse.cli.profile_report import HotPlace
from guesthouse.virtual.engine.explanation import loop_round, region_text, stencil_texts
from guesthouse.virtual.engine.region import Step
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.disassembly import Disassembler

_NOISE = re.compile(r",? *(align \d+|; preds = .*)$")
GUEST, IR, HOST = 40, 84, 44
"""Columns; what is longer is cut."""


def code_lines(place: HotPlace, page: bytes) -> Iterator[str]:
    """The loop round a place's hottest instruction, on every tier; starts LLVM in children."""
    entry, steps = loop_round(ISA, page, place.hottest)
    yield ""
    yield f"The region that begins at {place.address + entry:x} in {place.function}, {len(steps)} instructions."
    if not steps:
        yield "Nothing there can be stitched or translated."
        return
    guest = _guest(steps, page, place.address)
    yield ""
    yield from _columns(["Guest code", "Stencils: what is copied for each, with its holes"], [GUEST, IR])
    stencils = stencil_texts(step.instruction for step in steps)
    for step, text in zip(steps, guest, strict=True):
        made = stencils.get(step.instruction.name)
        host = made.host.splitlines()[1:] if made else ["(left to its handler)"]
        for number, line in enumerate(host):
            yield from _columns([text if number == 0 else "", _cleaned(line)], [GUEST, IR])
    translated = region_text(ISA, page, entry=entry)
    yield ""
    if translated is None:
        yield "The translator leaves it to the handlers."
        return
    columns = [guest, translated.optimised.splitlines(), translated.host.splitlines()]
    yield from _columns(["Guest code", "LLVM IR of the region, optimised", "This host's code"], [GUEST, IR, HOST])
    for number in range(max(map(len, columns))):
        yield from _columns([_cleaned(c[number]) if number < len(c) else "" for c in columns], [GUEST, IR, HOST])


def _guest(steps: list[Step], page: bytes, address: int) -> list[str]:
    disassembler = Disassembler(ISA, RISCV64_SYNTAX)
    texts = []
    for step in steps:
        word = int.from_bytes(page[step.offset : step.after], "little")
        text = disassembler.text_of(word, address + step.offset)
        texts.append(f"{step.offset:03x}: {text.expandtabs(8)}")
    return texts


def _columns(texts: list[str], widths: list[int]) -> Iterator[str]:
    yield "  ".join(_cut(text, width) for text, width in zip(texts, widths, strict=True)).rstrip()


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _cleaned(line: str) -> str:
    """Without what nobody reads here: alignments, and LLVM's lists of where a block is come from."""
    return _NOISE.sub("", line.expandtabs(8))
