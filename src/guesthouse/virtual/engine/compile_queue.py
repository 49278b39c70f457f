"""The queue of the compile service: the hottest first, and clients in turn. What two of them want is made once."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

MOST_WAITING = 256
"""Requests of one client that may wait at a time."""


class Job(msgspec.Struct):
    """Something to compile: its name in the cache, the request for a worker, how hot it is, and who asked."""

    name: str
    request: dict[str, Any]
    heat: int = 0
    askers: list[int] = msgspec.field(default_factory=list)


class CompileQueue:
    """Jobs that wait and jobs that are being done, by name. Clients are numbers."""

    def __init__(self) -> None:
        self._waiting: dict[str, Job] = {}
        self._running: dict[str, Job] = {}
        self._turns: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    @property
    def waits(self) -> bool:
        """Whether a job waits for somebody to do it."""
        return bool(self._waiting)

    def add(self, client: int, job: Job) -> bool:
        """Take a request of a client; False where it has too many waiting."""
        known = self._waiting.get(job.name) or self._running.get(job.name)
        if known is None:
            if sum(client in other.askers for other in self._waiting.values()) >= MOST_WAITING:
                return False
            self._waiting[job.name] = known = job
        known.heat = max(known.heat, job.heat)
        known.askers.append(client)
        if client not in self._turns:
            self._turns.append(client)
        return True

    def take(self) -> Job | None:
        """The next job to be done: the hottest of the client whose turn it is."""
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            own = [job for job in self._waiting.values() if self._turns[-1] in job.askers]
            if own:
                job = max(own, key=lambda job: job.heat)
                self._running[job.name] = self._waiting.pop(job.name)
                return job
        return None

    def finish(self, job: Job) -> None:
        """A job is done, well or not."""
        self._running.pop(job.name, None)

    def forget(self, client: int) -> None:
        """A client is gone: what only it wanted needs no longer be begun."""
        for job in [*self._waiting.values(), *self._running.values()]:
            job.askers = [asker for asker in job.askers if asker != client]
        self._waiting = {name: job for name, job in self._waiting.items() if job.askers}
        if client in self._turns:
            self._turns.remove(client)
