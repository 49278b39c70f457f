"""Stencils of an instruction set, as the compile process hands them over and as `stitching` reads them.

Source of the technique: Xu and Kjolstad, "Copy-and-Patch Compilation", OOPSLA 2021.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from guesthouse.virtual.engine import stitching

# As `stitching` lays them out.
RECORD, INDEX, PATCH = struct.Struct("<7Qq3Q"), struct.Struct("<QQ"), struct.Struct("<QqQQ")


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
    yields: int = stitching.YIELDS_NOTHING
    sources: int = 0  # register places that may be carried: behind the patches, after that of what it yields
    patches: tuple[Patch, ...] = ()
    places: tuple[Patch, ...] = ()


class Stencils(msgspec.Struct, frozen=True, array_like=True):
    """All of an instruction set's: the image that holds their code, a block's own parts, those of each instruction.

    An instruction's are numbered by the sources that are carried, a bit each.
    """

    image: bytes
    parts: tuple[Stencil, ...]
    instructions: tuple[tuple[Stencil, ...], ...]


def table_bytes(stencils: Stencils) -> int:
    """Bytes of the table."""
    known = [*stencils.parts, *(stencil for group in stencils.instructions for stencil in group)]
    patches = sum(len(stencil.patches) + len(stencil.places) for stencil in known)
    return len(known) * stitching.STENCIL + len(stencils.instructions) * INDEX.size + patches * stitching.PATCH


class Table:
    """The table that `stitching` reads, for host address `where`; the image lies at `image`.

    First the block's own parts, then the instructions' stencils, then an index of these by handler, then all patches.
    """

    def __init__(self, stencils: Stencils, image: int, symbols: Mapping[str, int], where: int) -> None:
        self._image = image
        self._symbols = symbols
        known = [*stencils.parts, *(stencil for group in stencils.instructions for stencil in group)]
        self.index = where + len(known) * stitching.STENCIL
        self._patches_at = self.index + len(stencils.instructions) * INDEX.size
        self._patches: list[bytes] = []
        records = [self._record(stencil) for stencil in known]
        at, index = where + len(stencils.parts) * stitching.STENCIL, []
        for group in stencils.instructions:
            index.append((symbols[group[0].name], at))
            at += len(group) * stitching.STENCIL
        self.data = b"".join([*records, *(INDEX.pack(*entry) for entry in sorted(index)), *self._patches])

    def _record(self, stencil: Stencil) -> bytes:
        code = (self._image + stencil.offset, stencil.size, self._next, len(stencil.patches))
        self._patches += [self._packed(patch) for patch in stencil.patches]
        goes = (stencil.length, stencil.ending, stencil.jump, stencil.jump_addend)
        carries = (stencil.yields, stencil.sources, self._next)
        self._patches += [self._packed(place) for place in stencil.places]
        return RECORD.pack(*code, *goes, *carries)

    @property
    def _next(self) -> int:
        return self._patches_at + len(self._patches) * stitching.PATCH

    def _packed(self, patch: Patch) -> bytes:
        addend = patch.addend
        if patch.what >> 24 & 255 == stitching.CONSTANT:
            addend += self._symbols[patch.symbol] if patch.symbol else self._image
        return PATCH.pack(patch.what, addend, patch.zero, patch.spare)
