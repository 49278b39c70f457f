"""Several processors on one thread: they take turns, in a fixed order and of a fixed length, so that runs repeat."""

from __future__ import annotations

from collections.abc import Sequence

from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.processor import Processor

QUANTUM = 1 << 14
"""Steps of a turn."""


class Turns:
    """Whose turn it is, and how many steps are left of it; both are part of the machine's state."""

    def __init__(self, core: Core, processors: Sequence[Processor]) -> None:
        self._core = core
        self._processors = processors
        self.number = 0
        self.left = QUANTUM

    def restart(self) -> None:
        """Begin with the first."""
        self.number, self.left = 0, QUANTUM

    def take(self) -> Processor | None:
        """The processor that runs now, the machine's time being its; None where each of them waits."""
        clock, number, left = self._core.clock, self.number, self.left
        for _ in range(len(self._processors) + 1):
            processor = self._processors[number]
            if left > 0 and processor.cpu.ready(clock.now()):
                self.number, self.left = number, left
                self._core.current = processor.cpu
                clock.turn_to(processor.cpu.state)
                return processor
            number, left = (number + 1) % len(self._processors), QUANTUM
        return None
