"""Answers the exits of one processor: device accesses, calls of the firmware, breakpoints and watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from guesthouse.virtual.machine.bus import AccessFault
from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.machine.foresight import Foresight
from guesthouse.virtual.machine.hooks import Access, Hooks
from guesthouse.virtual.machine.stop import Reason, Stop
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import MASK64

BREAKPOINTS, WATCHES = 1, 2  # of what is passed once


class Processor:
    """What a machine does for one of its processors; `owner` is what callbacks get: the public machine."""

    def __init__(self, core: Core, cpu: Cpu, hooks: Hooks, owner: object, ask_to_stop: Callable[[], None]) -> None:
        """`ask_to_stop` is called where a hook has the run end."""
        self.core = core
        self.cpu = cpu
        self.hooks = hooks
        self.owner = owner
        self.exits: Counter[Exit] = Counter()
        self.run: Callable[[int], Exit] = cpu.engine.run
        """Runs native code."""
        self.rest: Callable[[float | None, Callable[[], None] | None], None] = cpu.sleep
        """Sleeps; with `run` what a sampler puts itself in the place of."""
        self._ask_to_stop = ask_to_stop
        self._passing = 0
        self._passed: tuple[int, ...] = ()  # what the passing is about
        self._reported: tuple[int, ...] = ()  # reported, but a trap came before its instruction
        self._foresight = Foresight(core.memory, cpu.state)
        slot = cpu.state.layout.slot
        self._places = [slot[f"exit_{name}"] for name in ("address", "size", "value", "answered")]
        self._shortcuts = slot["shortcuts"]
        self._answers: dict[Exit, Callable[[], Stop | None]] = {
            Exit.WAIT: self._wait,
            Exit.BREAKPOINT: self.breakpoint,
            Exit.WATCH: self.watch,
        }

    def restart(self) -> None:
        """The guest starts again."""
        self._passing, self._reported = 0, ()

    def report_again(self) -> None:
        """What it has just come to is to be reported once more: somebody else's report came first."""
        self._passing, self._reported = 0, ()

    def go(self, goal: int, looked_at: bool) -> tuple[bool, Stop | None]:
        """Run until it has done `goal` steps, or until what must be looked at before; tells whether it came so far.

        `looked_at`: what the console shows is to be looked at.
        """
        core, state = self.core, self.cpu.state
        switch, console = core.switch, core.console
        slots, steps = state.slots, state.layout.slot["instructions"]
        while (left := goal - slots[steps]) > 0:
            slots[self._shortcuts] = not (looked_at or self.hooks.device or self.hooks.access)
            reason = self.enter(left)
            if reason is Exit.DEVICE_READ or reason is Exit.DEVICE_WRITE:
                self.device(reason is Exit.DEVICE_WRITE)
            elif reason is Exit.HYPERCALL:
                if self.hooks.firmware:
                    self.show_call()
                self.cpu.sbi.call()
                if self.cpu.idle:
                    return False, None
            elif reason is Exit.BUDGET:
                continue
            elif reason is Exit.ATTENTION:
                state.request = 0  # whoever asked is served next anyway
                return False, None
            else:
                answer = self._answers.get(reason)
                return False, answer() if answer else None
            if switch.stop is not None or switch.restarting or (looked_at and console.changed):
                return False, None
        return True, None

    def enter(self, budget: int) -> Exit:
        """Run until something needs the machine; `answer` must follow."""
        reason = self._pass(budget) if self._passing else self.run(budget)
        self.exits[reason] += 1
        return reason

    def answer(self, reason: Exit) -> Stop | None:
        """Answer an exit; the caller has the machine for itself."""
        if reason is Exit.DEVICE_READ or reason is Exit.DEVICE_WRITE:
            self.device(reason is Exit.DEVICE_WRITE)
        elif reason is Exit.HYPERCALL:
            if self.hooks.firmware:
                self.show_call()
            self.cpu.sbi.call()
        elif reason in self._answers:
            return self._answers[reason]()
        return None

    def _wait(self) -> None:
        self.cpu.waiting = True
        self.core.console.changed = True

    # --- devices and firmware -----------------------------------------------------------------------------------------

    def device(self, write: bool) -> None:
        """Let a device answer the access that left; the engine runs its instruction again with the answer."""
        slots, bus = self.cpu.state.slots, self.core.devices.bus
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
        access = Access(address, size, write, value, self.cpu.state.pc, region.name if region else "")
        for hook in (*self.hooks.device, *self.hooks.touching(address, size, write)):
            if hook.callback:
                hook.callback(self.owner, access)
            else:
                self._ask_to_stop()

    def show_call(self) -> None:
        for hook in self.hooks.firmware:
            if hook.callback:
                hook.callback(self.owner)

    def finish_access(self) -> None:
        """Let the instruction whose device access has been done come to its end, so that nothing is under way."""
        state, engine = self.cpu.state, self.cpu.engine
        if not state.exit_answered:
            return
        engine.passing = BREAKPOINTS | WATCHES
        while state.exit_answered:
            state.request = 0  # whoever asked is served next anyway
            engine.run(1)
        engine.passing = self._passing = 0

    # --- breakpoints and watches --------------------------------------------------------------------------------------

    def _pass(self, left: int) -> Exit:
        """Do the one instruction that has been reported without stopping at it again; elsewhere just go on."""
        state, engine = self.cpu.state, self.cpu.engine
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

    def breakpoint(self) -> Stop | None:
        pc = int(self.cpu.state.pc)
        if not self._report((pc,), BREAKPOINTS):
            return None
        stops = False
        for hook in self.hooks.at(pc):
            if hook.callback:
                hook.callback(self.owner)
            else:
                stops = True
        return Stop(Reason.BREAKPOINT, address=pc, cpu=self.cpu.number) if stops else None

    def watch(self) -> Stop | None:
        state = self.cpu.state
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
        return Stop(Reason.WATCH, address=address, cpu=self.cpu.number) if stops else None

    def _foreseen(self, address: int, size: int, write: bool) -> Access:
        """The access to memory that is about to be made."""
        before = self.core.memory.read(address, size)
        after = self._foresight.written(address, size) if write else None
        value = int.from_bytes(before if after is None else after, "little")
        return Access(address, size, write, value, int(self.cpu.state.pc), before=int.from_bytes(before, "little"))
