"""Jobs that take long, done by threads beside the machine's; and the machine standing still for want of the host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

import msgspec

from guesthouse.virtual.machine.inbox import Inbox

THREADS = 4
QUICK = 100e-6
"""Seconds: jobs that take less are done at once, as handing them over costs about as much."""
WEIGHT = 0.125
"""Of the newest job, in how long those of a lane take."""

Job = Callable[[], None]
Done = Callable[[OSError | None], None]


class Held(msgspec.Struct, frozen=True):
    """Something without which the machine can't go on: a sentence, and what tries it again."""

    why: str
    again: Callable[[], bool]


class Lane:
    """Jobs of one sort; does them at once as long as they are quick, or always where the machine's time is counted."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pace = 0.0

    def do(self, job: Job, done: Done) -> None:
        """Have `job` done, and `done` called with what it raised; see `wires.Lane`."""
        if self._work.at_once or self._pace < QUICK:
            done(self.attempt(job))
        else:
            self._work.hand_over(self, job, done)

    def attempt(self, job: Job) -> OSError | None:
        """Do a job, and learn how long such jobs take."""
        began = time.perf_counter()
        try:
            job()
        except OSError as error:
            return error
        finally:
            self._pace += (time.perf_counter() - began - self._pace) * WEIGHT
        return None


class Work:
    """All lanes of one machine; `do`, `wait` and `hold` are called by the machine's thread."""

    def __init__(self, inbox: Inbox, at_once: bool) -> None:
        """`at_once`: never by another thread, so that a run is repeatable."""
        self.at_once = at_once
        self.notice: Callable[[str], object] = lambda text: None
        """Gets sentences for the user."""
        self.held: list[Held] = []
        self._inbox = inbox
        self._threads: list[threading.Thread] = []
        self._waiting: SimpleQueue[tuple[Lane, Job, Done] | None] = SimpleQueue()
        self._finished: SimpleQueue[tuple[Done, OSError | None]] = SimpleQueue()
        self._under_way = 0

    def lane(self) -> Lane:
        """A lane for jobs of one more sort."""
        return Lane(self)

    @property
    def busy(self) -> bool:
        """Whether a job is under way whose end the machine has not heard of."""
        return self._under_way > 0

    def hand_over(self, lane: Lane, job: Job, done: Done) -> None:
        """Have another thread do a job."""
        if len(self._threads) < min(THREADS, self._under_way + 1):
            thread = threading.Thread(target=self._serve_jobs, name=f"work{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._under_way += 1
        self._waiting.put((lane, job, done))

    def _serve_jobs(self) -> None:
        while (entry := self._waiting.get()) is not None:
            lane, job, done = entry
            self._finished.put((done, lane.attempt(job)))
            self._inbox.post(self._hear)

    def _hear(self) -> None:
        """Call back for the jobs that are done."""
        try:
            while True:
                self._end(*self._finished.get_nowait())
        except Empty:
            pass

    def _end(self, done: Done, error: OSError | None) -> None:
        self._under_way -= 1
        done(error)

    def wait(self) -> None:
        """Come back when all jobs are done."""
        while self._under_way:
            self._end(*self._finished.get())

    # --- standing still -----------------------------------------------------------------------------------------------

    def hold(self, why: str, again: Callable[[], bool]) -> None:
        """Have the machine stand still until `again` says that it can go on."""
        if not self.held:
            self.notice(why)
        self.held.append(Held(why, again))
        self._inbox.ring()

    def try_again(self) -> None:
        """Look whether what the machine stands still for is there now."""
        while self.held and self.held[0].again():
            self.held.pop(0)
        if not self.held:
            self.notice("There is room again: the guest goes on.")

    def close(self) -> None:
        """Let the threads end; what is under way is waited for."""
        self.wait()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
