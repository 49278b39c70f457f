"""A hart seen from the devices: its wires and its clock."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Sequence

from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64

MACHINE_SOFTWARE, SUPERVISOR_EXTERNAL, MACHINE_EXTERNAL = 3, 9, 11  # bits of mip


Wake = Callable[[], object]


def nothing() -> None:
    """Where nobody sleeps."""


class InterruptWire:
    """A device's line into one bit of a hart's pending interrupts."""

    def __init__(self, state: ProcessorState, bit: int, wake: Wake = nothing) -> None:
        """`wake` is called behind each change."""
        self._state = state
        self._mask = 1 << bit
        self._wake = wake

    def set(self, level: bool) -> None:
        """Hold the line up or let it down."""
        s = self._state
        if bool(s.external & self._mask) == level:
            return
        if level:
            s.external |= self._mask
        else:
            s.external &= ~self._mask
        s.attention = 1
        self._wake()


class HartWires:
    """What the CLINT reaches of a hart: its timer compare register and its software interrupt."""

    def __init__(self, state: ProcessorState, clock: MachineClock, tick: int, wake: Wake = nothing) -> None:
        self._state = state
        self._clock = clock
        self._tick = tick  # nanoseconds
        self._wake = wake
        self._software = InterruptWire(state, MACHINE_SOFTWARE, wake)

    @property
    def compare(self) -> int:
        """mtimecmp, in ticks."""
        return int(self._state.mtimecmp)

    @compare.setter
    def compare(self, value: int) -> None:
        self._state.mtimecmp = value
        self._state.attention = 1
        self._wake()

    def time(self) -> int:
        """mtime, in ticks."""
        return (self._clock.now() // self._tick + int(self._state.time_offset)) & MASK64

    def software(self, level: bool) -> None:
        """Raise or lower the machine software interrupt."""
        self._software.set(level)


class MachineClock:
    """The machine's time in nanoseconds: the host's, or one an instruction; and alarms on it.

    Several processors have one time. Counted, it is the one whose turn it is that counts (`turn_to`).
    """

    def __init__(self, state: ProcessorState, counted: bool, start: int = 0, others: Sequence[ProcessorState] = ()):
        """`others`: the states of further processors."""
        self._state = state
        self._states = (state, *others)
        self.counted = counted
        self.on_change: Wake = nothing
        """Called when an alarm has been set."""
        self._alarms: list[tuple[int, int, Alarm]] = []
        self._dated: list[tuple[int, int, Alarm]] = []
        self._order = itertools.count()
        for each in self._states:
            each.counted_clock = int(counted)
        self.set(start)

    def turn_to(self, state: ProcessorState) -> None:
        """Have another processor's steps count from now on."""
        if self.counted:
            state.clock_offset = self.now() - int(state.instructions)
            self._state = state

    def _host(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def now(self) -> int:
        """Nanoseconds since the machine started."""
        s = self._state
        return int(s.instructions if self.counted else self._host()) + int(s.clock_offset) & MASK64

    def realtime(self) -> int:
        """Nanoseconds since 1970; a counted clock starts at a fixed date."""
        return 1_700_000_000_000_000_000 + self.now() if self.counted else time.time_ns()

    def set(self, now: int) -> None:
        """Go on from a saved `now()`."""
        host = self._host()
        for s in self._states:
            s.clock_offset = now - int(s.instructions if self.counted else host)

    def skip(self, nanoseconds: int) -> None:
        """Let time pass at once (a counted clock, while the guest waits)."""
        self._state.clock_offset += nanoseconds

    def at(self, when: int, callback: Callable[[], None]) -> Alarm:
        """Call back from the machine's thread once `now()` has reached `when`."""
        return self._set(self._alarms, when, callback)

    def at_date(self, when: int, callback: Callable[[], None]) -> Alarm:
        """Call back from the machine's thread once `realtime()` has reached `when`, however the machine stood still."""
        return self._set(self._dated, when, callback)

    def _set(self, alarms: list[tuple[int, int, Alarm]], when: int, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(callback)
        heapq.heappush(alarms, (when, next(self._order), alarm))
        self.on_change()
        return alarm

    def next_alarm(self) -> int:
        """When the next alarm is due; all ones for never."""
        for alarms in (self._alarms, self._dated):
            while alarms and alarms[0][2].callback is None:
                heapq.heappop(alarms)
        first = self._alarms[0][0] if self._alarms else MASK64
        return min(first, max(0, self.now() + self._dated[0][0] - self.realtime())) if self._dated else first

    def ring(self) -> None:
        """Call back those that are due."""
        while self.next_alarm() <= self.now():
            alarms = self._alarms if self._alarms and self._alarms[0][0] <= self.now() else self._dated
            alarm = heapq.heappop(alarms)[2]
            callback, alarm.callback = alarm.callback, None
            if callback:
                callback()


class Alarm:
    """A callback that is still to come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget it."""
        self.callback = None
