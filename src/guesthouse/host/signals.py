"""Signals as something a loop can read: the handlers only take note."""

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Self

from guesthouse.host.loop import Loop


class CaughtSignals:
    """While entered, calls `take` with the number of each of these signals, from the loop."""

    def __init__(self, loop: Loop, numbers: Sequence[signal.Signals], take: Callable[[int], None]) -> None:
        self._loop = loop
        self._numbers = numbers
        self._take = take
        self._pending: list[int] = []
        self._reader, self._writer = -1, -1
        self._wakeup = -1
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._note) for number in self._numbers}
        self._loop.on_readable(self._reader, self._deliver)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.on_readable(self._reader, None)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._pending.append(number)

    def _deliver(self) -> None:
        os.read(self._reader, 512)
        pending, self._pending = self._pending, []
        for number in pending:
            self._take(number)
