"""Stencils of an instruction set, as the compile process hands them over and as `stitching` reads them.

Source of the technique: Xu and Kjolstad, "Copy-and-Patch Compilation", OOPSLA 2021.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from guesthouse.virtual.engine import stitching

RECORD, PATCH = struct.Struct("<8Qq8x"), struct.Struct("<QqQQ")  # as `stitching` lays them out


class Patch(msgspec.Struct, frozen=True, array_like=True):
    """One patch: see `stitching.PATCH`. `symbol`: added to it when the stencils are read, "" for nothing."""

    what: int
    symbol: str
    addend: int
    zero: int = stitching.NO_ZERO
    spare: int = 0


class Stencil(msgspec.Struct, frozen=True, array_like=True):
    """One stencil: see `stitching.STENCIL`; its code lies at `offset` in the image."""

    name: str
    offset: int = 0
    size: int = 0
    length: int = 0
    ending: int = stitching.NONE
    jump: int = 0
    jump_addend: int = 0
    patches: tuple[Patch, ...] = ()


class Stencils(msgspec.Struct, frozen=True, array_like=True):
    """All of an instruction set's: the image that holds their code, a block's own parts, one for each instruction."""

    image: bytes
    parts: tuple[Stencil, ...]
    instructions: tuple[Stencil, ...]


def table(stencils: Stencils, image: int, symbols: Mapping[str, int], where: int) -> bytes:
    """The table that `stitching` reads, to be put at host address `where`; the image lies at `image`.

    First the block's own parts, then the instructions' stencils sorted by handler, then all patches.
    """
    known = [*stencils.parts, *sorted(stencils.instructions, key=lambda stencil: symbols[stencil.name])]
    records: list[bytes] = []
    patches: list[bytes] = []
    for stencil in known:
        at = where + len(known) * stitching.STENCIL + len(patches) * stitching.PATCH
        code = (image + stencil.offset, stencil.size, at, len(stencil.patches))
        goes = (stencil.length, stencil.ending, stencil.jump, stencil.jump_addend)
        records.append(RECORD.pack(symbols.get(stencil.name, 0), *code, *goes))
        for patch in stencil.patches:
            addend = patch.addend
            if patch.what >> 24 & 255 == stitching.CONSTANT:
                addend += symbols[patch.symbol] if patch.symbol else image
            patches.append(PATCH.pack(patch.what, addend, patch.zero, patch.spare))
    return b"".join(records + patches)
