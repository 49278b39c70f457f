"""Timers that are set anew far more often than they run out, in one heap."""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER = float("inf")
SPARE = 1024
"""Entries that the heap may hold beyond twice those that count."""


class Timer:
    """Calls back once its time has come; to be set again as often as one likes."""

    __slots__ = ("_callback", "_timers", "due", "heaped")

    def __init__(self, timers: Timers, callback: Callable[[], None]) -> None:
        self._timers = timers
        self._callback: Callable[[], None] | None = callback
        self.heaped = NEVER
        """The earliest time that the heap knows."""
        self.due = NEVER
        """Seconds on the clock of `Timers.advance`; NEVER while it is not set."""

    def set(self, due: float) -> None:
        """Run out at `due`, and not when it would have before."""
        self.due = due
        if due < self.heaped:
            self.heaped = due
            self._timers.put(due, self)

    def cancel(self) -> None:
        """Do not run out."""
        self.due = NEVER

    def drop(self) -> None:
        """Never run out again; lets go of what would be called."""
        self.due = NEVER
        self._callback = None

    def look(self, heaped: float, now: float) -> None:
        """To be called by the heap when the time that it knew has come."""
        if heaped != self.heaped:
            return  # set to an earlier time since, which had an entry of its own
        self.heaped = NEVER
        due, callback = self.due, self._callback
        if due > now:
            if due < NEVER:
                self.set(due)
        elif callback is not None:
            self.due = NEVER
            callback()


class Timers:
    """All timers of a network; `now` is the time of the last `advance`, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._most = SPARE

    def timer(self, callback: Callable[[], None]) -> Timer:
        """A new timer, not set."""
        return Timer(self, callback)

    def put(self, due: float, timer: Timer) -> None:
        """To be called by a timer."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, timer))
        if len(self._heap) > self._most:
            self._heap = [entry for entry in self._heap if entry[2].heaped == entry[0]]
            heapq.heapify(self._heap)
            self._most = 2 * len(self._heap) + SPARE

    def next(self) -> float:
        """When something may have to be done; NEVER for nothing."""
        return self._heap[0][0] if self._heap else NEVER

    def advance(self, now: float) -> None:
        """Go on to the time `now` and call what is due."""
        self.now = max(self.now, now)
        while self._heap and self._heap[0][0] <= self.now:
            due, _, timer = heapq.heappop(self._heap)
            timer.look(due, self.now)
