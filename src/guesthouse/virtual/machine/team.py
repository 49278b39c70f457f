"""Several processors, a host thread each. What a thread does in Python it does with the machine's lock held.

The thread that called `run` is none of them; it looks at everything else, and has them stop. A processor that waits for
an interrupt sleeps until a timer of its own is due or somebody wakes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.processor import Processor
from guesthouse.virtual.machine.stop import Stop
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import MASK64

STRETCH = 1 << 40
"""Steps of a stretch: nearly for ever, as requests end it."""
SPIN = 50_000
"""Nanoseconds of waiting that are not worth a sleep."""
AGAIN = 0.05
"""Seconds after which who has not stopped is asked again."""


class Team:
    """The threads of one machine's processors."""

    def __init__(self, core: Core, processors: Sequence[Processor], lock: AbstractContextManager[bool]) -> None:
        self._core = core
        self._processors = processors
        self._lock = lock
        self._threads: list[threading.Thread] = []
        self._halting = False
        self.stop: Stop | None = None
        """What a processor has come to that ends the run."""
        self.failure: BaseException | None = None
        self.seconds = [0.0] * len(processors)
        """CPU time of each processor's threads that have ended."""

    def start(self) -> None:
        """Let the processors run; who ended the last run begins last, so that all get on however often they stop."""
        last = self.stop.cpu + 1 if self.stop is not None else 0
        self._halting, self.stop = False, None
        self._threads = [
            threading.Thread(target=self._run, args=(processor,), name=f"cpu{processor.cpu.number}", daemon=True)
            for processor in (*self._processors[last:], *self._processors[:last])
        ]
        for processor in self._processors:
            processor.cpu.state.threaded = 1
        for thread in self._threads:
            thread.start()

    def halt(self) -> None:
        """Have all of them stop between two instructions, and come back when they have."""
        self._halting = True
        while self._threads:
            for processor in self._processors:
                processor.cpu.stop_running()
            self._threads[0].join(AGAIN)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
        for processor in self._processors:
            processor.cpu.state.threaded = 0
        self._core.inbox.ring()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    @property
    def inside(self) -> bool:
        """Whether the caller is one of the threads; it then has the machine for itself."""
        return threading.current_thread() in self._threads

    def end(self, stop: Stop) -> None:
        """Have the run end, at once for the thread that calls; where another one was first, this is left out."""
        if self.stop is None:
            self.stop = stop
        self._core.inbox.ring()

    @property
    def dormant(self) -> bool:
        """Whether every processor sleeps and no timer will wake it."""
        return all(processor.cpu.dormant for processor in self._processors)

    def _over(self) -> bool:
        switch = self._core.switch
        return self.stop is not None or switch.stop is not None or switch.restarting or self.failure is not None

    def _run(self, processor: Processor) -> None:
        began = time.thread_time()
        cpu, clock = processor.cpu, self._core.clock
        try:
            while not self._halting:
                cpu.forget_wakes()
                if self._over():
                    self._core.inbox.ring()
                    cpu.sleep(AGAIN)
                elif not cpu.idle or cpu.ready(clock.now()):
                    self._go(processor)
                else:
                    self._sleep(processor)
            if self._core.switch.stop is None and not self._core.switch.restarting and self.failure is None:
                with self._lock:
                    processor.finish_access()
        except BaseException as error:
            self.failure = error
        finally:
            with self._lock:
                self.seconds[cpu.number] += time.thread_time() - began
            self._core.inbox.ring()

    def _go(self, processor: Processor) -> None:
        """One stretch, and the answer to what ended it."""
        core, cpu = self._core, processor.cpu
        reason = processor.enter(STRETCH)
        if reason is Exit.ATTENTION:
            cpu.state.request = 0
            return
        if reason is Exit.BUDGET:
            return
        with self._lock:
            core.current = cpu
            stop = processor.answer(reason)
            if stop is not None and self.stop is not None:
                processor.report_again()
            elif stop is not None:
                self.end(stop)
            unsent = core.console.unsent
            wait = core.engine.fences()
        if wait is not None:
            wait()
        if unsent:
            core.inbox.ring()

    def _sleep(self, processor: Processor) -> None:
        cpu = processor.cpu
        due = cpu.due()
        ahead = due - self._core.clock.now()
        if due == MASK64:
            processor.rest(None, self._core.inbox.ring)
        elif ahead > SPIN:
            processor.rest((ahead - SPIN // 2) / 1e9, None)
