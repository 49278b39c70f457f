"""The compile service: one process per user that has native code made for all guests, and keeps it on disk.

It begins as the sleeper of the run that first needs it, and serves that run; where it gets the place for itself, it
takes other clients too, and ends when there has been none for a while. It believes no client: what code is made from,
and where it is kept, is settled when it starts, and it names what it keeps by itself. Workers, forked from it, do the
work (`compile_worker`).
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from guesthouse.host.cache import AuthenticatedCache
from guesthouse.host.channels import Messages
from guesthouse.host.forked import Forked
from guesthouse.host.loop import Loop
from guesthouse.host.messages import LARGEST
from guesthouse.host.service_socket import Listener, ServicePlace
from guesthouse.host.sleeper import take_standard_input
from guesthouse.virtual.engine.code_names import AHEAD, region_name
from guesthouse.virtual.engine.compile_queue import CompileQueue, Job
from guesthouse.virtual.engine.compile_worker import (
    LARGEST_REQUEST,
    CompileWorker,
    Made,
    MadeRegion,
    RegionRequest,
)
from guesthouse.virtual.engine.region_store import get_region, put_region

IDLE_VARIABLE = "GUESTHOUSE_COMPILE_IDLE"
IDLE = 300.0
"""Seconds without a client after which the service ends, where the variable doesn't say others."""

LOOK = 5.0
"""Seconds after which it looks at its socket and its workers."""

NOBODY = 0
"""The client of what is made for the next time."""

MOST_LATER = 256
"""Regions that wait until nobody is there; of more, those that were asked for first are forgotten."""

MOST_WORKERS = 8
PROCESSOR_TIME = {"region": 30.0, "runtime": 600.0, "stencils": 600.0}
"""Seconds of processor time that a request may take."""

ANSWERS = {"region": MadeRegion, "runtime": Made, "stencils": Made}

PATIENCE = 1800.0
"""Seconds that a request may take in all: workers have only the time that nobody else wants."""

MOST_UNREAD = 64 << 20
"""Bytes of answers that a client may leave unread."""

ENCODE = msgspec.msgpack.encode
DECODE = msgspec.msgpack.decode


class Peer(Messages):
    """A process that speaks to the service; one that sends what can't be read counts as gone."""

    def __init__(
        self, loop: Loop, descriptor: int, take: Callable[[dict[str, Any]], None], end: Callable[[], None], largest: int
    ) -> None:
        super().__init__(loop, descriptor, lambda data: take(DECODE(data, type=dict[str, Any])), end, largest)
        self._gone = end

    def _collect(self, data: bytes) -> None:
        try:
            super()._collect(data)
        except (ValueError, KeyError):  # msgspec's errors are ValueErrors
            self._gone()


class Worker:
    """A forked process at work on at most one job; `finished` gets the job and its answer, {} where it died."""

    def __init__(self, service: CompileService, compiler: CompileWorker) -> None:
        self._service = service
        self._process = Forked(compiler.serve)
        self._peer = Peer(service.loop, self._process.descriptor, self._finish, self.end, LARGEST)
        self.job: Job | None = None
        self._deadline = 0.0

    def begin(self, job: Job) -> None:
        """Do a job; it must be idle."""
        self.job = job
        self._deadline = time.monotonic() + PATIENCE
        self._process.allow_processor_time(PROCESSOR_TIME[job.request["kind"]])
        self._peer.send(ENCODE(job.request))

    @property
    def late(self) -> bool:
        """Whether it has worked on its job for too long."""
        return self.job is not None and time.monotonic() > self._deadline

    def end(self) -> None:
        """End it, or take notice that it has ended; its job is answered with an error."""
        if self._peer.closed:
            return
        self._peer.close()
        self._process.end()
        self._service.workers.remove(self)
        if self.job is not None:
            self._service.finish(self.job, {"error": "the compiler ran out of time or memory, or crashed"})

    def _finish(self, answer: dict[str, Any]) -> None:
        job = self.job
        if job is None:
            raise ValueError("an answer to nothing")
        if "error" not in answer:
            msgspec.convert(answer, ANSWERS[job.request["kind"]])
        self.job = None
        self._service.finish(job, answer)


class CompileService:
    """Clients, the queue and workers. Only `run` waits; nothing blocks in between."""

    def __init__(self, isa: str, digest: str, folder: Path, listener: Listener | None, idle: float) -> None:
        self.loop = Loop()
        self.queue = CompileQueue()
        self.workers: list[Worker] = []
        self._compiler = CompileWorker(isa)
        self._compiler.warm()
        gc.freeze()  # workers share this memory as long as nobody, the collector neither, writes to it
        self._folder = folder
        self._cache = AuthenticatedCache(folder)
        self._digest = digest
        self._idle = idle
        self._clients: dict[int, Peer] = {}
        self._later: deque[Job] = deque(maxlen=MOST_LATER)
        self._numbers = 0
        self._since = time.time()
        self._regions = 0
        self._free_since = time.monotonic()
        self._limit = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        self._listener = listener
        if listener is not None:
            self.loop.on_readable(listener.descriptor, self._welcome)

    def run(self) -> None:
        """Serve until there is no client, and none has come for a while."""
        while self._clients or (self._listener and time.monotonic() - self._free_since < self._idle):
            self.loop.turn(LOOK if self._clients else min(LOOK, self._idle))
            self._look()
        if self._listener is not None:
            self._listener.close()
        for worker in list(self.workers):
            worker.end()

    def _look(self) -> None:
        """What needs a look now and then."""
        for worker in [worker for worker in self.workers if worker.late]:
            worker.end()
        if self._listener is not None and not self._listener.in_place():
            self.loop.on_readable(self._listener.descriptor, None)
            self._listener.close()
            self._listener = None  # nobody finds it any more: only those that are here are served

    # --- clients ------------------------------------------------------------------------------------------------------

    def _welcome(self) -> None:
        assert self._listener is not None
        end = self._listener.accept()
        if end is not None:
            self._cache = AuthenticatedCache(self._folder)  # it may have been removed, with its key
            self.add_client(end.detach())

    def add_client(self, descriptor: int) -> None:
        """Serve whoever is on the other end of a socket."""
        self._numbers += 1
        number = self._numbers
        self._clients[number] = Peer(
            self.loop, descriptor, lambda request: self._asked(number, request), lambda: self._left(number),
            LARGEST_REQUEST,
        )  # fmt: skip

    def _left(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            client.close()
            self.queue.forget(number)
            self._free_since = time.monotonic()
            self._dispatch()

    def _tell(self, number: int, answer: dict[str, Any]) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        client.send(ENCODE(answer))
        if client.waiting > MOST_UNREAD:
            self._left(number)

    def _asked(self, number: int, request: dict[str, Any]) -> None:
        """A request of a client: `status`, `region` or what is made ahead; raises ValueError for any other."""
        kind = request["kind"]
        if kind == "status":
            self._tell(number, self.status())
            return
        if kind in AHEAD:
            job = Job(AHEAD[kind](self._digest), {"kind": kind}, sys.maxsize)
        else:
            later = request.pop("later", False)
            wanted = msgspec.convert(request, RegionRequest)
            name = region_name(self._digest, wanted.page, wanted.entry)
            job = Job(name, {"kind": "region", **msgspec.structs.asdict(wanted)}, wanted.heat)
            if later is True:
                self._later.append(job)
                return
        known = self._known(job)  # another client's
        if known is not None:
            self._tell(number, {**known, "name": job.name, "seconds": 0.0})
        elif self.queue.add(number, job):
            self._dispatch()
        else:
            self._tell(number, {"name": job.name, "error": "too many requests at once", "seconds": 0.0})

    def status(self) -> dict[str, Any]:
        """What `doctor` tells: process, start (seconds since 1970), clients, regions made, workers."""
        return {
            "pid": os.getpid(),
            "since": self._since,
            "clients": len(self._clients),
            "regions": self._regions,
            "workers": len(self.workers),
            "later": len(self._later),
        }

    # --- work ---------------------------------------------------------------------------------------------------------

    def _begin_later(self) -> None:
        """While nobody is there, make what those that left have wished for, one at a time."""
        while self._later and not self._clients and not len(self.queue):
            job = self._later.popleft()
            if self._known(job) is None:
                self.queue.add(NOBODY, job)

    def _dispatch(self) -> None:
        """Give jobs to workers that are free, and fork more as long as there are fewer than processors."""
        self._begin_later()
        while self.queue.waits:
            free = next((worker for worker in self.workers if worker.job is None), None)
            if free is None:
                if len(self.workers) >= self._limit:
                    return
                free = Worker(self, self._compiler)
                self.workers.append(free)
            job = self.queue.take()
            if job is None:
                return
            free.begin(job)

    def finish(self, job: Job, answer: dict[str, Any]) -> None:
        """A worker has answered: keep what it made, and tell who asked."""
        self.queue.finish(job)
        if "error" not in answer:
            made = {name: value for name, value in answer.items() if name != "seconds"}
            if job.request["kind"] == "region":
                put_region(self._cache, self._digest, job.request["page"], job.name, made)
                self._regions += 1
            else:
                self._cache.put(job.name, made["object"])
        first = {"name": job.name, "seconds": 0.0, **answer}
        for number in job.askers:
            self._tell(number, first)
            first = {**first, "seconds": 0.0}  # its time is counted once
        self._dispatch()

    def _known(self, job: Job) -> dict[str, Any] | None:
        """What was made before for the same request."""
        if job.request["kind"] == "region":
            return get_region(self._cache, job.name)
        data = self._cache.get(job.name)
        return None if data is None else {"object": data}


def main() -> None:
    """Become the service for: instruction set, cache folder, digest, and the place's folder ("" for none) and name."""
    first = take_standard_input()
    isa, folder, digest, place, name = sys.argv[1:6]
    listener = ServicePlace(Path(place), name).listen() if place else None
    service = CompileService(isa, digest, Path(folder), listener, _idle_seconds(os.environ.get(IDLE_VARIABLE, "")))
    service.add_client(first.detach())
    service.run()


def _idle_seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return IDLE


if __name__ == "__main__":
    main()
