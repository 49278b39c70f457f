"""Calls from other threads into the machine's own: devices are touched by one thread only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from guesthouse.virtual.spec.state import ProcessorState


class Inbox:
    """Posted calls wait here until the machine's thread does them, within a time slice or when it sleeps."""

    def __init__(self, state: ProcessorState) -> None:
        """`state`: of the processor that the machine's thread runs."""
        self._state = state
        self._calls: deque[Callable[[], object]] = deque()
        self._event = threading.Event()
        self.expected = 0
        """Answers of other processes that somebody will post."""

    def post(self, call: Callable[[], object]) -> None:
        """Have `call` done by the thread that runs the machine; from any thread."""
        self._calls.append(call)
        self._state.request = 1
        self._event.set()

    def serve(self) -> None:
        """Do what has been posted so far."""
        # Cleared first: a call that comes while the others are done sets them again.
        self._event.clear()
        self._state.request = 0
        for _ in range(len(self._calls)):
            self._calls.popleft()()

    def ring(self) -> None:
        """Have the machine's thread come back from `wait`; from any thread."""
        self._event.set()

    @property
    def waiting(self) -> bool:
        """Whether something has been posted, or will be."""
        return bool(self._calls) or self.expected > 0

    def wait(self, seconds: float | None) -> None:
        """Sleep until something is posted, at most so long."""
        self._event.wait(seconds)
