"""The run loop: has the processors run, lets time pass, and knows when to stop."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence

from guesthouse.virtual.machine.console import Wanted
from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.hooks import Hooks
from guesthouse.virtual.machine.processor import Processor
from guesthouse.virtual.machine.stop import ENDS, Reason, Stop
from guesthouse.virtual.machine.team import SPIN, Team
from guesthouse.virtual.machine.turns import QUANTUM, Turns
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import MASK64

SHORTEST, LONGEST = 1 << 12, 1 << 32  # instructions of a stretch
QUICK, SLOW = 0.010, 0.030
"""Seconds between which a stretch should take: how soon alarms, time-outs and Ctrl-C are seen."""
AGAIN = 0.25
"""Seconds until what the machine stands still for is tried again."""
BATCH = 0.002
"""Seconds between two looks while the processors run in threads of their own."""


class Runner:
    """Runs one machine, in whatever thread calls `run`.

    One processor runs in that thread. Several have a thread each; they take turns in the caller's thread where steps
    are counted, by the clock or by a budget.
    """

    def __init__(self, core: Core, hooks: Hooks, owner: object) -> None:
        """`owner` is what callbacks get: the public machine."""
        self.core = core
        self.interactive = False
        self.ended: Stop | None = None
        self.rest = core.inbox.wait
        """Sleeps; what a sampler puts itself in the place of."""
        self.restarts = 0
        self.stopping = False
        """A stop has been asked for that no run has answered yet."""
        self._pausing = False
        self._stretch = SHORTEST if len(core.cpus) == 1 else QUANTUM
        self._until: Wanted | None = None
        self._unsettled = False
        """A pattern has not been looked for since the last output."""
        self.processors = [Processor(core, cpu, hooks, owner, self._note_stop) for cpu in core.cpus]
        self.turns = Turns(core, self.processors)
        self._lock = threading.RLock()
        self._team = Team(core, self.processors, self._lock)
        self._parallel = False

    @property
    def exits(self) -> Counter[Exit]:
        """Exits of all processors by reason."""
        return sum((processor.exits for processor in self.processors), Counter[Exit]())

    @property
    def thread_seconds(self) -> Sequence[float]:
        """CPU time that each processor took in threads of its own."""
        return self._team.seconds

    @property
    def waiting(self) -> bool:
        """Every processor waits for something."""
        return all(cpu.idle for cpu in self.core.cpus)

    @waiting.setter
    def waiting(self, value: bool) -> None:
        self.core.current.waiting = value

    def ask_to_stop(self) -> None:
        """Have the run end at the next instruction; from any thread."""
        self.core.inbox.post(self._note_stop)

    def _note_stop(self) -> None:
        if self._team.inside:
            self._team.end(Stop(Reason.STOPPED, cpu=self.core.current.number))
        else:
            self.stopping = True

    def stop_here(self) -> None:
        """As `ask_to_stop`; a processor whose callback this is does nothing more."""
        if self._team.inside:
            self._note_stop()
        else:
            self.ask_to_stop()

    def pause(self) -> None:
        """Have the run end at the next instruction for the debugger; from a thread that has the machine for itself."""
        if self._team.inside:
            self._team.end(Stop(Reason.DEBUGGER, cpu=self.core.current.number))
        else:
            self._pausing = True
            self.core.state.request = 1

    def hold(self, numbers: Collection[int]) -> None:
        """Have these processors stand still from the next run on, all others run."""
        for cpu in self.core.cpus:
            cpu.held = cpu.number in numbers

    def lend(self, numbers: Collection[int], steps: int) -> Stop | None:
        """Have each of these processors, that do not wait, do up to so many steps; until there is a reason to stop."""
        core, current = self.core, self.core.current
        for processor in (self.processors[number] for number in numbers):
            state = processor.cpu.state
            goal, finished = int(state.instructions) + steps, False
            while not finished and processor.cpu.ready(core.clock.now()) and core.switch.stop is None:
                core.current = processor.cpu
                core.clock.turn_to(state)
                finished, stop = processor.go(goal, False)
                if stop is None and self._pausing:
                    stop = Stop(Reason.DEBUGGER, cpu=processor.cpu.number)
                if stop is not None:
                    self._pausing = False
                    return stop
                if core.switch.restarting:
                    return None
        core.current = current
        core.clock.turn_to(current.state)
        return None

    def run(self, budget: int | None, timeout: float | None, until: Wanted | None) -> Stop:
        """Run until something is a reason to stop; see `Machine.run`."""
        if self.ended is not None:
            return self.ended
        limit = None if budget is None else self.core.steps + budget
        deadline = None if timeout is None else time.monotonic() + timeout
        self._until = until
        self.core.console.changed = True
        stop = None
        try:
            if len(self.processors) > 1 and budget is None and not self.core.in_turns:
                stop = self._run_in_parallel(deadline)
            while stop is None:
                stop = self._turn(limit, deadline)
            if stop.reason in ENDS:
                self.ended = stop
            if stop.reason is Reason.DEBUGGER:
                self._pausing = False
        finally:
            self.core.console.flush()
        return stop

    def _run_in_parallel(self, deadline: float | None) -> Stop | None:
        """Let the processors run in threads of their own, and look at everything else meanwhile."""
        core, team, stop = self.core, self._team, self._look(None, deadline)
        if stop is not None:
            return stop
        self._parallel = True
        team.start()
        try:
            while stop is None and team.failure is None:
                if core.switch.restarting:
                    team.halt()
                    self.restart()
                    team.start()
                if core.work.held:
                    team.halt()
                    while core.work.held and stop is None:
                        self._stand_still()
                        stop = self._look(None, deadline)
                    team.start()
                with self._lock:
                    stop = stop or self._look(None, deadline) or team.stop
                if stop is None and not core.work.held:
                    stop = self._let_run(deadline)
        finally:
            team.halt()  # raises what went wrong in a thread
            self._parallel = False
            core.current = core.cpus[stop.cpu if stop is not None else 0]
        return stop

    def _let_run(self, deadline: float | None) -> Stop | None:
        """Sleep until there may be something to look at."""
        core = self.core
        with self._lock:
            alarm = core.clock.next_alarm()
            if alarm == MASK64 and not self.interactive and not core.expecting and self._team.dormant:
                return Stop(Reason.WAITING)
        limits = [] if alarm == MASK64 else [max(0.0, (alarm - core.clock.now()) / 1e9)]
        limits += [] if deadline is None else [max(0.0, deadline - time.monotonic())]
        looking = self._until is not None and self._unsettled
        limits += [QUICK] if core.htif is not None or looking else []
        core.inbox.wait(min(limits, default=None))
        time.sleep(BATCH)
        return None

    def _turn(self, limit: int | None, deadline: float | None) -> Stop | None:
        """Everything that is to be looked at between two stretches, then one more of them."""
        if self.core.switch.stop is None:
            for processor in self.processors:
                processor.finish_access()
        stop = self._look(limit, deadline)
        if stop is not None:
            return stop
        if self.core.work.held:
            self._stand_still()
        elif self.waiting:
            return self._sleep(deadline)
        else:
            return self._go(limit)
        return None

    def _look(self, limit: int | None, deadline: float | None) -> Stop | None:
        """Everything that is to be looked at between two stretches; the caller has the machine for itself."""
        core = self.core
        core.inbox.serve()
        core.clock.ring()
        for stream in core.inputs.values():
            stream.feed()
        core.console.flush()
        if core.htif is not None:
            if self.waiting or self._parallel:
                core.htif.serve()
            core.htif.look(core.steps)
            if core.htif.status is not None:
                return Stop(Reason.POWER_OFF, core.htif.status)
        if core.switch.stop is not None:
            return core.switch.stop
        if core.switch.restarting and not self._parallel:
            self.restart()
        if (stop := self._asked_for()) is not None:
            return stop
        if limit is not None and core.steps >= limit:
            return Stop(Reason.BUDGET)
        if deadline is not None and time.monotonic() >= deadline:
            return Stop(Reason.TIMEOUT)
        return None

    def _asked_for(self) -> Stop | None:
        console = self.core.console
        if self._until is not None:
            # Output pauses where the guest waits, or computes for a whole stretch; the latter is not repeatable.
            quiet = self.waiting or not (console.changed or self.core.clock.counted)
            text = console.find(self._until, complete=quiet) if console.changed or self._unsettled else None
            self._unsettled = console.changed or not quiet
            console.changed = False
            if text is not None:
                return Stop(Reason.TEXT, text=text)
        if self.stopping:
            self.stopping = False
            return Stop(Reason.STOPPED)
        if self._pausing:
            self._pausing = False
            return Stop(Reason.DEBUGGER)
        return None

    def reset(self) -> None:
        """Start the guest again, at once or, while processors run in threads of their own, soon."""
        if self._parallel:
            self.core.switch.restarting = True
            self.core.inbox.ring()
        else:
            self.restart()

    def restart(self) -> None:
        """Start the guest again; no processor runs."""
        self.restarts += 1
        self.core.switch.restarting, self.core.switch.stop = False, None
        self.core.console.panic = ""
        self.ended = None
        for processor in self.processors:
            processor.restart()
        self.turns.restart()
        self.core.reset()

    def choose(self) -> None:
        """Have as the current processor the one whose turn the next step is, where they take turns."""
        if len(self.processors) > 1:
            self.turns.take()

    # --- one stretch --------------------------------------------------------------------------------------------------

    def _length(self, limit: int | None) -> int:
        """Steps of the next stretch."""
        core, length = self.core, self._stretch
        if limit is not None or core.htif is not None:
            now = core.steps
            if core.htif is not None:
                length = max(1, min(length, core.htif.next_look - now))
            if limit is not None:
                length = min(length, limit - now)
        if core.clock.counted:
            length = min(length, max(1, core.clock.next_alarm() - core.clock.now()))
        return length

    def _go(self, limit: int | None) -> Stop | None:
        """Have the processor whose turn it is run, to the end of the stretch or to what must be looked at before."""
        turns, several = self.turns, len(self.processors) > 1
        processor = turns.take() if several else self.processors[0]
        if processor is None:
            return None
        length = min(self._length(limit), turns.left) if several else self._length(limit)
        began = time.monotonic()
        before = int(processor.cpu.state.instructions)
        finished, stop = processor.go(before + length, self._until is not None)
        if several:
            turns.left -= int(processor.cpu.state.instructions) - before
        elif finished:
            self._adapt(time.monotonic() - began)
        return stop

    def _adapt(self, seconds: float) -> None:
        if seconds < QUICK:
            self._stretch = min(self._stretch * 2, LONGEST)
        elif seconds > SLOW:
            self._stretch = max(self._stretch // 2, SHORTEST)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _stand_still(self) -> None:
        """Let the guest stand, and its time, until what it needs may be there."""
        clock = self.core.clock
        now = clock.now()
        self.rest(AGAIN)
        if not clock.counted:
            clock.set(now)
        self.core.work.try_again()

    def _wait(self) -> None:
        self.waiting = True
        self.core.console.changed = True

    def _sleep(self, deadline: float | None) -> Stop | None:
        """Let time pass until an interrupt is due or something comes from outside."""
        clock, cpus = self.core.clock, self.core.cpus
        now = clock.now()
        due = min(clock.next_alarm(), *(cpu.due() for cpu in cpus))
        ahead = due - now
        if ahead <= 0 or any(cpu.ready(now) for cpu in cpus):
            self._wake()
        elif clock.counted and due != MASK64:
            clock.skip(ahead)
            clock.ring()
            self._wake()
        elif due == MASK64 and not self.interactive and not self.core.expecting:
            return Stop(Reason.WAITING)
        elif ahead > SPIN:
            limits = [] if due == MASK64 else [(ahead - SPIN // 2) / 1e9]
            limits += [] if deadline is None else [max(0.0, deadline - time.monotonic())]
            self.rest(min(limits, default=None))
        return None

    def _wake(self) -> None:
        """Have a processor run: who has a reason to, else the one that ran last."""
        now, current = self.core.clock.now(), self.core.current
        if not any(cpu.ready(now) for cpu in self.core.cpus) and current.started and not current.held:
            current.waiting = False
            current.state.attention = 1
