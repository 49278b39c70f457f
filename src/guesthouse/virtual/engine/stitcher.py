"""The cheap tier in the process that runs the guest: puts stencils and room for blocks where `stitching` finds them."""

from __future__ import annotations

import ctypes

from guesthouse.host.memory import Mapping
from guesthouse.virtual.engine.objects import Arena
from guesthouse.virtual.engine.stencils import Stencils, Table, table_bytes
from guesthouse.virtual.engine.stitching import LEAVING, MOST_LEAVING
from guesthouse.virtual.spec.state import ProcessorState

ROOM = 32 << 20  # bytes of blocks: about a million instructions


class Stitcher:
    """Stencils of one engine, and the room that blocks are copied to."""

    def __init__(self, state: ProcessorState, arena: Arena, stencils: Stencils) -> None:
        self._state = state
        self._room = arena.reserve(ROOM)
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
        self.empty()

    def empty(self) -> None:
        """Begin again at the beginning of the room; no slot may hold a block any more."""
        s = self._state
        s.stitch_next, s.stitch_end, s.stitch_full = self._room, self._room + ROOM, 0

    def close(self) -> None:
        """Give the tables back."""
        self._tables.close()
