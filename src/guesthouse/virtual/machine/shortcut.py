"""The way past the monitor for a device: native code gives its known answer and collects what is sent to it."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.memory.shortcut import MOST_COLLECTED
from guesthouse.virtual.spec.words import MASK64

NOWHERE = MASK64


class NativeShortcut:
    """The shortcut of the device at a guest-physical address; an engine has one."""

    def __init__(self, engine: NativeEngine, base: int) -> None:
        self._state = engine.state
        self._base = base
        self._bytes = array("B", bytes(MOST_COLLECTED))
        self._take: Callable[[bytes], object] | None = None
        self._known: tuple[int, int | None] | None = None
        self._state.collected = self._bytes.buffer_info()[0]
        self._state.answered_at = self._state.collected_at = NOWHERE
        engine.on_collected = self._empty

    def answer(self, offset: int, value: int | None) -> None:
        """Have loads of the byte at `offset` give `value`; None: have them come to the device again."""
        if self._known != (offset, value):
            self._known = offset, value
            self._state.answered_at = NOWHERE if value is None else self._base + offset
            self._state.answered_with = value or 0

    def collect(self, offset: int, take: Callable[[bytes], object] | None) -> None:
        """Have stores to the byte at `offset` collected, and `take` called with them soon; None: not any more."""
        if self._take != take:
            self._take = take
            self._state.collected_at = NOWHERE if take is None else self._base + offset

    def _empty(self) -> None:
        """Hand on what was collected; native code has been left."""
        data = self._bytes[: self._state.collected_count].tobytes()
        self._state.collected_count = 0
        if self._take is not None:
            self._take(data)
