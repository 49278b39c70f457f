"""Samples of where a running guest's time goes: cheap enough to leave the guest as fast as it was.

With the host's clock a thread asks, some hundred times a second, that a processor's engine come out; several are asked
in turn. It does so at the end of a slice, or where the guest enters and leaves its kernel: never in the middle of a
loop. So the guest then goes on for a random number of steps, and where it is after these is the sample; its weight is
the time spent in the engine since the last one. Time spent in Python is measured, and sampled each time it has come to
a period. With a counted clock a sample is taken every so many steps, weighs these, and does not depend on the host.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.devices.wires import BadAddress
from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.inspection import VirtualMemory
from guesthouse.virtual.machine.processor import Processor
from guesthouse.virtual.machine.runner import Runner
from guesthouse.virtual.machine.stack_walk import StackWalker
from guesthouse.virtual.machine.stop import Reason, Stop
from guesthouse.virtual.spec.exits import Exit

PAGE = 4096
RATE = 250.0
"""Samples a second."""
EVERY = 500_009
"""Steps between two samples; a prime, so that no loop of the guest's keeps step with it."""
SPREAD = 1 << 14  # steps to go on at random: those of a slice
MONITOR = "monitor"
MOST_PLACES, MOST_PAGES, MOST_TASKS = 20_000, 1024, 64
TASK = 8192
"""Bytes of a kernel's record of a process that are kept."""


class Place(msgspec.Struct, frozen=True):
    """Where a sample was taken.

    mode: 0 user, 1 supervisor, 3 machine. space: the root of the page tables, 0 where there are none. tier: what runs
    the code there, or MONITOR, where Python answered the engine's exit `cause`. physical: guest-physical address of the
    pc, -1 where it can't be told. stack: the pc, then the places to return to, innermost first.
    """

    mode: int
    space: int
    tier: str
    cause: str
    physical: int
    stack: tuple[int, ...]


class Samples(msgspec.Struct):
    """All samples of a run. Weights are nanoseconds, or steps where the clock is counted."""

    counted: bool
    weights: Counter[Place] = msgspec.field(default_factory=Counter)
    counts: Counter[Place] = msgspec.field(default_factory=Counter)
    pages: dict[int, bytes] = msgspec.field(default_factory=dict)
    """Code as it was when first sampled, by guest-physical address of the page."""
    tasks: dict[int, bytes] = msgspec.field(default_factory=dict)
    """By address space of user mode: what sscratch pointed to, which is where Linux has the process's `task_struct`."""
    engine: int = 0
    """Nanoseconds in native code (or in the reference engine), of all processors."""
    waiting: int = 0
    """Nanoseconds that processors waited for something to happen."""
    answering: Counter[Exit] = msgspec.field(default_factory=Counter)
    """Nanoseconds of Python between an exit and the next entry, by the exit's reason."""

    def of_all(self, parts: Sequence[Samples]) -> None:
        """Become the sum of what was sampled of each processor."""
        self.weights, self.counts, self.answering = Counter(), Counter(), Counter()
        self.engine = sum(part.engine for part in parts)
        self.waiting = sum(part.waiting for part in parts)
        for part in parts:
            self.weights += part.weights
            self.counts += part.counts
            self.answering += part.answering
            self.pages = part.pages | self.pages
            self.tasks = part.tasks | self.tasks


class Timeline(msgspec.Struct):
    """What one host thread does; `left` is when it came out of native code, in nanoseconds."""

    left: int = 0


class ProcessorSampler:
    """Samples one processor; for the thread that runs it."""

    def __init__(self, core: Core, processor: Processor, timeline: Timeline, rate: float, counted: bool) -> None:
        """`timeline` is that of the thread."""
        self.samples = Samples(counted)
        self._core = core
        self._processor = processor
        self._cpu = processor.cpu
        self._timeline = timeline
        self._rate = rate
        self._virtual = VirtualMemory(core, self._cpu)
        self._walker = StackWalker(self._cpu.state, self._virtual)
        self._dice = random.Random(self._cpu.number)
        self._wanted = False
        self._goal: int | None = None  # its count of steps at which the sample is taken
        self._reason = Exit.BUDGET
        self._engine_since = 0  # engine time and Python time not sampled yet
        self._answer_since = 0

    def ask(self) -> bool:
        """Have a sample taken soon; from any thread. Tells whether it runs at all."""
        if self._cpu.idle:
            return False
        self._wanted = True
        self._cpu.state.request = 1
        return True

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Stand between the processor and its engine, and its sleep."""
        before = self._processor.run, self._processor.rest
        self._processor.run, self._processor.rest = self._enter, self._rest
        self._timeline.left = time.perf_counter_ns()
        try:
            yield
        finally:
            self._processor.run, self._processor.rest = before

    def _enter(self, budget: int) -> Exit:
        samples, state = self.samples, self._cpu.state
        began = time.perf_counter_ns()
        answered = began - self._timeline.left
        samples.answering[self._reason] += answered
        self._answer_since += answered
        if self._answer_since * self._rate > 1e9 and not samples.counted:
            self.take(self._answer_since, self._cause())
            self._answer_since = 0
            began = time.perf_counter_ns()
        steps = budget if self._goal is None else max(1, min(budget, self._goal - int(state.instructions)))
        self._reason = reason = self._cpu.engine.run(steps)
        self._timeline.left = left = time.perf_counter_ns()
        samples.engine += left - began
        self._engine_since += left - began
        if self._goal is not None and state.instructions >= self._goal:
            self.take(self._engine_since)
            self._engine_since, self._goal = 0, None
        elif self._wanted and self._goal is None:
            self._wanted = False
            self._goal = int(state.instructions) + self._dice.randint(1, SPREAD)
        return reason

    def _rest(self, seconds: float | None, falling_asleep: Callable[[], None] | None = None) -> None:
        began = time.perf_counter_ns()
        self._cpu.sleep(seconds, falling_asleep)
        self.rested(time.perf_counter_ns() - began)

    def rested(self, waited: int) -> None:
        """Its thread slept for so many nanoseconds."""
        self.samples.waiting += waited
        self._timeline.left += waited

    def _cause(self) -> str:
        """What Python has been busy with."""
        name = self._reason.name.lower()
        if self._reason in (Exit.DEVICE_READ, Exit.DEVICE_WRITE):
            region = self._core.devices.bus.find(int(self._cpu.state.exit_address))
            return f"{name} {region.name}" if region else name
        return name

    # --- one sample ---------------------------------------------------------------------------------------------------

    def take(self, weight: int, cause: str = "") -> None:
        """Note where the guest is; the time that takes is nobody's."""
        began = time.perf_counter_ns()
        place = self._place(cause)
        if place not in self.samples.weights and len(self.samples.weights) >= MOST_PLACES:
            place = Place(place.mode, 0, place.tier, place.cause, -1, place.stack[:1])
        self.samples.weights[place] += weight
        self.samples.counts[place] += 1
        self._timeline.left += time.perf_counter_ns() - began

    def _place(self, cause: str) -> Place:
        state, samples = self._cpu.state, self.samples
        stack = self._walker.walk()
        physical = self._walker.physical(stack[0])
        tier = MONITOR if cause else self._cpu.engine.tier_at(physical)
        if physical >= 0:
            page = physical & -PAGE
            if page not in samples.pages and len(samples.pages) < MOST_PAGES:
                samples.pages[page] = self._core.memory.read(page, PAGE)
        space = self._walker.root()
        if state.mode == 0 and space not in samples.tasks and len(samples.tasks) < MOST_TASKS:
            samples.tasks[space] = self._task()
        return Place(int(state.mode), space, tier, cause, physical, stack)

    def _task(self) -> bytes:
        """The kernel's record of the process that runs now; empty where sscratch leads to none."""
        state = self._cpu.state
        mode, state.mode = state.mode, 1
        try:
            return self._virtual.read(int(state.sscratch), TASK)
        except (UserError, BadAddress):
            return b""
        finally:
            state.mode = mode


class Sampler:
    """Runs a machine and samples its processors; for the machine's own thread.

    `samples` is of all processors, `by_cpu` of each; both are whole when `run` has come back.
    """

    def __init__(self, core: Core, runner: Runner, rate: float = RATE, every: int | None = None) -> None:
        """`rate`: samples a second. `every`: steps between two, in place of time; always so with a counted clock."""
        self.samples = Samples(core.clock.counted or every is not None)
        self._core = core
        self._runner = runner
        self._rate = rate
        self._every = every or EVERY
        timelines = [Timeline()] * len(core.cpus) if core.in_turns else [Timeline() for _ in core.cpus]
        self._each = [
            ProcessorSampler(core, processor, timeline, rate, self.samples.counted)
            for processor, timeline in zip(runner.processors, timelines, strict=True)
        ]
        self.by_cpu = [each.samples for each in self._each]
        self._ended = threading.Event()

    def run(self) -> Stop:
        """Run until the machine stops for a reason of its own, sampling it meanwhile."""
        runner = self._runner
        before = runner.rest
        runner.rest = self._rest
        try:
            with ExitStack() as stack:
                for each in self._each:
                    stack.enter_context(each.in_place())
                return self._run_by_steps() if self.samples.counted else self._run_by_time()
        finally:
            runner.rest = before
            self.samples.of_all(self.by_cpu)

    def _run_by_steps(self) -> Stop:
        while True:
            stop = self._runner.run(self._every, None, None)
            if stop.reason is not Reason.BUDGET:
                return stop
            self._current.take(self._every)

    def _run_by_time(self) -> Stop:
        self._ended.clear()
        clock = threading.Thread(target=self._tick, name="sampling clock", daemon=True)
        clock.start()
        try:
            return self._runner.run(None, None, None)
        finally:
            self._ended.set()
            clock.join()

    def _tick(self) -> None:
        """What the clock's thread does."""
        dice, turn = random.Random(1), 0
        while not self._ended.wait(dice.uniform(0.5, 1.5) / self._rate):
            for number in range(turn, turn + len(self._each)):
                if self._each[number % len(self._each)].ask():
                    turn = number + 1
                    break

    @property
    def _current(self) -> ProcessorSampler:
        return self._each[self._core.current.number]

    def _rest(self, seconds: float | None) -> None:
        """Sleep in the one thread that runs all processors, or the only one."""
        began = time.perf_counter_ns()
        self._core.inbox.wait(seconds)
        self._current.rested(time.perf_counter_ns() - began)
