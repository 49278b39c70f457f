"""The cheap tier in the process that runs the guest: puts stencils and room for blocks where `stitching` finds them."""

from __future__ import annotations

import ctypes

from guesthouse.host.memory import Mapping
from guesthouse.virtual.engine.objects import Arena
from guesthouse.virtual.engine.stencils import Stencils, Table, table_bytes
from guesthouse.virtual.engine.stitching import LEAVING, MOST_LEAVING
from guesthouse.virtual.spec.state import ProcessorState

ROOM = 32 << 20  # bytes of blocks: about a million instructions
LEAST_ROOM = 4 << 20  # of them for one of many processors


class Stitcher:
    """Stencils of one engine, and the room of `size` bytes that blocks are copied to."""

    def __init__(self, state: ProcessorState, arena: Arena, size: int, stencils: Stencils | Stitcher) -> None:
        """`stencils`: or the stitcher of another processor that has them already."""
        self._state = state
        self._size = size
        self._room = arena.reserve(size)
        if isinstance(stencils, Stitcher):
            self._share(stencils)
        else:
            self._take(arena, stencils)
        self.empty()

    def _share(self, other: Stitcher) -> None:
        state, known = self._state, other._state
        self._tables = Mapping(MOST_LEAVING * LEAVING, "stencils")
        state.leaving = self._tables.address
        for name in ("stencil_parts", "stencil_index", "stencil_count", "stitch_writable"):
            setattr(state, name, getattr(known, name))

    def _take(self, arena: Arena, stencils: Stencils) -> None:
        state = self._state
        image = arena.put(stencils.image)
        self._tables = Mapping(table_bytes(stencils) + MOST_LEAVING * LEAVING, "stencils")
        where = self._tables.address
        table = Table(stencils, image, arena.symbols, where)
        ctypes.memmove(where, table.data, len(table.data))
        state.stencil_parts = where
        state.stencil_index = table.index
        state.stencil_count = len(stencils.instructions)
        state.leaving = where + len(table.data)
        state.stitch_writable = arena.mapping.writable - arena.mapping.address

    def empty(self) -> None:
        """Begin again at the beginning of the room; no slot may hold a block any more."""
        s = self._state
        middle, end = self._room + self._size // 2, self._room + self._size
        s.stitch_next, s.stitch_end, s.stitch_full = self._room, middle, 0
        s.stitch_rare, s.stitch_rare_end = middle, end

    def close(self) -> None:
        """Give the tables back."""
        self._tables.close()
