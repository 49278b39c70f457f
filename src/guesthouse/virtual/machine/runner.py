"""The run loop: enters the engine, answers its exits, lets time pass, and knows when to stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from guesthouse.virtual.isa.riscv64.interrupts import next_timer
from guesthouse.virtual.machine.bus import AccessFault
from guesthouse.virtual.machine.console import Wanted
from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.foresight import Foresight
from guesthouse.virtual.machine.hooks import Access, Hooks
from guesthouse.virtual.machine.stop import ENDS, Reason, Stop
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import MASK64

SHORTEST, LONGEST = 1 << 12, 1 << 32  # instructions of a stretch
QUICK, SLOW = 0.010, 0.030
"""Seconds between which a stretch should take: how soon alarms, time-outs and Ctrl-C are seen."""
BREAKPOINTS, WATCHES = 1, 2  # of what is passed once
SPIN = 50_000
"""Nanoseconds of waiting that are not worth a sleep."""


class Runner:
    """Runs one machine, in whatever thread calls `run`."""

    def __init__(self, core: Core, hooks: Hooks, owner: object) -> None:
        self.core = core
        self.hooks = hooks
        self.owner = owner
        """What callbacks get: the public machine."""
        self.interactive = False
        self.waiting = False
        """The guest has executed a wait for interrupt and nothing has woken it."""
        self.exits: Counter[Exit] = Counter()
        self.ended: Stop | None = None
        self.enter = core.engine.run
        """Runs native code; with `rest` what a sampler puts itself in the place of."""
        self.rest = core.inbox.wait
        self.restarts = 0
        self.stopping = False
        """A stop has been asked for that no run has answered yet."""
        self._sampling = False
        self._pausing = False
        self._stretch = SHORTEST
        self._passing = 0
        self._passed: tuple[int, ...] = ()  # what the passing is about
        self._reported: tuple[int, ...] = ()  # reported, but a trap came before its instruction
        self._foresight = Foresight(core.memory, core.state)
        self._until: Wanted | None = None
        self._unsettled = False
        """A pattern has not been looked for since the last output."""
        slot = core.state.layout.slot
        self._places = [slot[f"exit_{name}"] for name in ("address", "size", "value", "answered")]
        self._answers: dict[Exit, Callable[[], Stop | None]] = {
            Exit.WAIT: self._wait,
            Exit.BREAKPOINT: self._breakpoint,
            Exit.WATCH: self._watch,
        }

    def ask_to_stop(self) -> None:
        """Have the run end at the next instruction; from any thread."""
        self.core.inbox.post(self._note_stop)

    def _note_stop(self) -> None:
        self.stopping = True

    def pause(self) -> None:
        """Have the run end at the next instruction for the debugger; from the machine's thread."""
        self._pausing = True
        self.core.state.request = 1

    def ask_for_sample(self) -> None:
        """Have the run end with SAMPLE at the next look at what was posted; from any thread."""
        self.core.inbox.post(self._note_sample)

    def _note_sample(self) -> None:
        self._sampling = True

    def run(self, budget: int | None, timeout: float | None, until: Wanted | None) -> Stop:
        """Run until something is a reason to stop; see `Machine.run`."""
        if self.ended is not None:
            return self.ended
        limit = None if budget is None else self.core.state.instructions + budget
        deadline = None if timeout is None else time.monotonic() + timeout
        self._until = until
        self.core.console.changed = True
        stop = None
        try:
            while stop is None:
                stop = self._turn(limit, deadline)
            if stop.reason in ENDS:
                self.ended = stop
        finally:
            self.core.console.flush()
        return stop

    def _turn(self, limit: int | None, deadline: float | None) -> Stop | None:
        """Everything that is to be looked at between two stretches, then one more of them."""
        core = self.core
        if core.switch.stop is None:
            self._finish_access()
        core.inbox.serve()
        core.clock.ring()
        for stream in core.inputs.values():
            stream.feed()
        core.console.flush()
        if core.htif is not None:
            if self.waiting:
                core.htif.serve()
            core.htif.look(core.state.instructions)
            if core.htif.status is not None:
                return Stop(Reason.POWER_OFF, core.htif.status)
        if core.switch.stop is not None:
            return core.switch.stop
        if core.switch.restarting:
            self.restart()
        if (stop := self._asked_for()) is not None:
            return stop
        if limit is not None and core.state.instructions >= limit:
            return Stop(Reason.BUDGET)
        if deadline is not None and time.monotonic() >= deadline:
            return Stop(Reason.TIMEOUT)
        if self.waiting:
            return self._sleep(deadline)
        return self._go(self._goal(limit))

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
        if self._sampling:
            self._sampling = False
            return Stop(Reason.SAMPLE)
        return None

    def restart(self) -> None:
        """Start the guest again."""
        self.restarts += 1
        self.core.switch.restarting, self.core.switch.stop = False, None
        self.core.console.panic = ""
        self.ended, self.waiting = None, False
        self._passing, self._reported = 0, ()
        self.core.reset()

    # --- one stretch --------------------------------------------------------------------------------------------------

    def _goal(self, limit: int | None) -> int:
        """Count of steps at which the next stretch ends."""
        now = int(self.core.state.instructions)
        length = self._stretch
        if self.core.htif is not None:
            length = max(1, min(length, self.core.htif.next_look - now))
        if self.core.clock.counted:
            length = min(length, max(1, self.core.clock.next_alarm() - self.core.clock.now()))
        return now + length if limit is None else min(now + length, limit)

    def _go(self, goal: int) -> Stop | None:
        """Run to the goal, or to what must be looked at before."""
        core, state = self.core, self.core.state
        switch, console, exits = core.switch, core.console, self.exits
        began = time.monotonic()
        slots, steps = state.slots, state.layout.slot["instructions"]
        while (left := goal - slots[steps]) > 0:
            if self._passing:
                reason = self._pass(left)
            else:
                reason = self.enter(left)
            exits[reason] += 1
            if reason is Exit.DEVICE_READ or reason is Exit.DEVICE_WRITE:
                self._device(reason is Exit.DEVICE_WRITE)
            elif reason is Exit.HYPERCALL:
                if self.hooks.firmware:
                    self._show_call()
                core.sbi.call()
            elif reason is Exit.BUDGET:
                continue
            else:
                answer = self._answers.get(reason)
                return answer() if answer else None
            if switch.stop is not None or switch.restarting or (console.changed and self._until is not None):
                return None
        self._adapt(time.monotonic() - began)
        return None

    def _adapt(self, seconds: float) -> None:
        if seconds < QUICK:
            self._stretch = min(self._stretch * 2, LONGEST)
        elif seconds > SLOW:
            self._stretch = max(self._stretch // 2, SHORTEST)

    def _device(self, write: bool) -> None:
        """Let a device answer the access that left; the engine runs its instruction again with the answer."""
        slots, bus = self.core.state.slots, self.core.devices.bus
        at_address, at_size, at_value, at_answered = self._places
        address, size = slots[at_address], slots[at_size]
        try:
            if write:
                bus.write(address, size, slots[at_value])
            else:
                slots[at_value] = bus.read(address, size) & MASK64
            slots[at_answered] = 1
        except AccessFault:
            slots[at_answered] = 2
        if self.hooks.device or self.hooks.access:
            self._show_device(address, size, write, slots[at_value])

    def _show_device(self, address: int, size: int, write: bool, value: int) -> None:
        region = self.core.devices.bus.find(address)
        access = Access(address, size, write, value, self.core.state.pc, region.name if region else "")
        for hook in (*self.hooks.device, *self.hooks.touching(address, size, write)):
            if hook.callback:
                hook.callback(self.owner, access)
            else:
                self.stopping = True

    def _show_call(self) -> None:
        for hook in self.hooks.firmware:
            if hook.callback:
                hook.callback(self.owner)

    def _finish_access(self) -> None:
        """Let the instruction whose device access has been done come to its end, so that nothing is under way."""
        state, engine = self.core.state, self.core.engine
        if not state.exit_answered:
            return
        engine.passing = BREAKPOINTS | WATCHES
        while state.exit_answered:
            state.request = 0  # the inbox is served next anyway
            engine.run(1)
        engine.passing = self._passing = 0

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        self.waiting = True
        self.core.console.changed = True

    def _sleep(self, deadline: float | None) -> Stop | None:
        """Let time pass until an interrupt is due or something comes from outside."""
        state, clock = self.core.state, self.core.clock
        due = min(int(next_timer(state)), clock.next_alarm())
        ahead = due - clock.now()
        if state.attention or ahead <= 0:
            self._wake()
        elif clock.counted and due != MASK64:
            clock.skip(ahead)
            clock.ring()
            self._wake()
        elif due == MASK64 and not self.interactive and not self.core.inbox.waiting:
            return Stop(Reason.WAITING)
        elif ahead > SPIN:
            limits = [] if due == MASK64 else [(ahead - SPIN // 2) / 1e9]
            limits += [] if deadline is None else [max(0.0, deadline - time.monotonic())]
            self.rest(min(limits, default=None))
        return None

    def _wake(self) -> None:
        self.waiting = False
        self.core.state.attention = 1

    # --- breakpoints and watches --------------------------------------------------------------------------------------

    def _pass(self, left: int) -> Exit:
        """Do the one instruction that has been reported without stopping at it again; elsewhere just go on."""
        state, engine = self.core.state, self.core.engine
        if state.pc != self._passed[0]:
            self._passing = 0
            return engine.run(left)
        steps, trapped = state.instructions, state.trapped
        engine.passing = self._passing
        reason = engine.run(1)
        engine.passing = 0
        if state.instructions != steps:
            self._reported = self._passed if state.trapped != trapped else ()
            self._passing = 0
        return reason

    def _report(self, key: tuple[int, ...], passing: int) -> bool:
        """Note what is to be passed; tells whether it is to be reported: not again after an interrupt only."""
        self._passing |= passing
        self._passed = key
        again, self._reported = key == self._reported, ()
        return not again

    def _breakpoint(self) -> Stop | None:
        pc = int(self.core.state.pc)
        if not self._report((pc,), BREAKPOINTS):
            return None
        stops = False
        for hook in self.hooks.at(pc):
            if hook.callback:
                hook.callback(self.owner)
            else:
                stops = True
        return Stop(Reason.BREAKPOINT, address=pc) if stops else None

    def _watch(self) -> Stop | None:
        state = self.core.state
        address, size, write = int(state.exit_address), int(state.exit_size), bool(state.exit_value)
        if not self._report((int(state.pc), address, size, int(write)), BREAKPOINTS | WATCHES):
            return None
        hooks = self.hooks.touching(address, size, write)
        access = self._foreseen(address, size, write) if any(hook.callback for hook in hooks) else None
        stops = False
        for hook in hooks:
            if hook.callback:
                hook.callback(self.owner, access)
            else:
                stops = True
        return Stop(Reason.WATCH, address=address) if stops else None

    def _foreseen(self, address: int, size: int, write: bool) -> Access:
        """The access to memory that is about to be made."""
        before = self.core.memory.read(address, size)
        after = self._foresight.written(address, size) if write else None
        value = int.from_bytes(before if after is None else after, "little")
        return Access(address, size, write, value, int(self.core.state.pc), before=int.from_bytes(before, "little"))
