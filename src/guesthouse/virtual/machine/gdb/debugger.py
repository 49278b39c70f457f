"""A debugger's hold on a machine: stops it, steps it, waits for the debugger's word, lets it go on.

What the client says is brought by another thread through the machine's inbox; everything else happens in the thread
that runs the machine, between two instructions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from guesthouse.errors import UserError
from guesthouse.virtual.machine.console import Wanted
from guesthouse.virtual.machine.gdb.session import INTERRUPTED, Phase, Session, Stopped
from guesthouse.virtual.machine.gdb.target import Kind, Point, Target
from guesthouse.virtual.machine.runner import Runner
from guesthouse.virtual.machine.stop import ENDS, Reason, Stop

if TYPE_CHECKING:
    from guesthouse.virtual.machine.machine import Machine

SYSTEM, FUNCTION = 0x73, 0x7000
INTERRUPT_ENABLES = (0x104, 0x304)  # the CSRs sie and mie
MEANWHILE = 64
"""Steps that a processor goes on for while another one does one."""


class Client(Protocol):
    """A debugger's connection; its methods may be called from any thread and never wait."""

    def send(self, data: bytes) -> None: ...
    def taken(self) -> None: ...
    def hang_up(self) -> None: ...


class Debugger:
    """Serves one debugger after the other. `attach`, `receive` and `leave` may be called from any thread."""

    def __init__(self, machine: Machine, runner: Runner, *, wait: bool) -> None:
        """With `wait` the machine stands still until the first debugger has come and let it go."""
        self._machine = machine
        self._runner = runner
        self._core = runner.core
        self._waits = wait
        self._holding = False
        self._client: Client | None = None
        self._session: Session | None = None
        self._target: Target | None = None
        self._hit: Stopped | None = None
        self._finishing = False
        """The instruction that a watchpoint has seen is still to be done: debuggers look at what it wrote."""

    # --- what another thread brings -----------------------------------------------------------------------------------

    def attach(self, client: Client) -> None:
        """A debugger has come; the machine stops for it."""
        self._core.inbox.post(lambda: self._begin(client))

    def receive(self, client: Client, data: bytes) -> None:
        """It has sent this; `client.taken` is called once it may send more."""
        self._core.inbox.post(lambda: self._take(client, data))

    def leave(self, client: Client) -> None:
        """Its connection is gone; the machine goes on."""
        self._core.inbox.post(lambda: self._end(client))

    def _begin(self, client: Client) -> None:
        self._drop()
        self._target = Target(self._machine, self._met)
        self._client, self._session = client, Session(self._target)
        self._waits = False
        if not self._holding:
            self._runner.pause()

    def _take(self, client: Client, data: bytes) -> None:
        if client is self._client and self._session is not None:
            client.send(self._session.feed(data))
            self._look(self._session)
            if self._session is not None and self._session.wants_interrupt:
                self._runner.pause()
        client.taken()

    def _end(self, client: Client) -> None:
        if client is self._client:
            self._drop()
        client.taken()

    def _look(self, session: Session) -> None:
        """Do what the session has come to, where that ends it."""
        if session.phase in (Phase.DETACHED, Phase.KILLED, Phase.BROKEN):
            client, killed = self._client, session.phase is Phase.KILLED
            self._drop()
            if client is not None:
                client.hang_up()
            if killed:
                self._runner.ask_to_stop()

    def _drop(self) -> None:
        if self._target is not None:
            self._target.clear()
        self._client = self._session = self._target = self._hit = None
        self._runner.hold(())
        self._finishing = False

    def _met(self, point: Point, address: int, done: bool) -> None:
        """The guest has come to a point; `done`: and made the access that it watches."""
        number = self._core.current.number
        if self._hit is None:
            self._hit = Stopped(point=point, address=address, thread=number + 1)
            self._finishing = point.kind >= Kind.WRITE and not done
            self._runner.pause()
        elif self._hit.thread != number + 1:
            self._runner.processors[number].report_again()

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, budget: int | None, timeout: float | None, until: Wanted | None) -> Stop:
        """As `Runner.run`, but that the machine stands still, within it, while the debugger wants that."""
        limit = None if budget is None else self._machine.instructions + budget
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._hold(deadline)
            left = None if limit is None else limit - self._machine.instructions
            seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
            single = self._single and (left is None or left > 0)
            stop = self._step(limit, seconds, until) if single else self._runner.run(left, seconds, until)
            if not self._judge(stop, single) or (limit is not None and self._machine.instructions >= limit):
                return stop if stop.reason is not Reason.DEBUGGER else Stop(Reason.BUDGET)

    @property
    def _held(self) -> bool:
        return self._waits if self._session is None else self._session.phase is Phase.HELD and not self._finishing

    @property
    def _single(self) -> bool:
        return self._session is not None and (self._finishing or self._session.phase is Phase.STEPPING)

    def _hold(self, deadline: float | None) -> None:
        """Wait for the debugger's word; the guest's clock stands still meanwhile."""
        if self._held:
            clock, inbox = self._core.clock, self._core.inbox
            now = clock.now()
            self._holding = True
            while self._held and not self._runner.stopping and (deadline is None or time.monotonic() < deadline):
                inbox.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
                inbox.serve()
            self._holding = False
            clock.set(now)
        if self._target is not None and self._session is not None and self._session.phase is Phase.RUNNING:
            self._target.apply()
            self._runner.hold({thread - 1 for thread in self._session.resting})

    def _judge(self, stop: Stop, single: bool) -> bool:
        """Tell the debugger what happened; whether the run goes on then."""
        session = self._session
        if session is None:
            return stop.reason is Reason.DEBUGGER
        if stop.reason in ENDS:
            self._send(session.exited(stop.status))
            return False
        if stop.reason is Reason.DEBUGGER:
            if not self._finishing:
                self._stopped(session, self._hit or Stopped(INTERRUPTED, thread=stop.cpu + 1))
            return True
        if not single or stop.reason is not Reason.BUDGET:
            return False
        if self._hit is not None:
            self._stopped(session, self._hit)
        elif not self._in_range(session):
            self._stopped(session, Stopped(thread=min(session.stepping)))
        return True

    def _in_range(self, session: Session) -> bool:
        first, end = session.range
        return all(first <= self._machine.cpu(thread - 1).registers["pc"] < end for thread in session.stepping)

    def _stopped(self, session: Session, stopped: Stopped) -> None:
        self._hit, self._finishing = None, False
        if session.phase is not Phase.HELD:  # a session that has just begun is told when it asks
            self._send(session.stopped(stopped))

    def _send(self, data: bytes) -> None:
        if self._client is not None:
            self._client.send(data)
        if self._session is not None:
            self._look(self._session)

    # --- one instruction ----------------------------------------------------------------------------------------------

    def _step(self, limit: int | None, timeout: float | None, until: Wanted | None) -> Stop:
        """One instruction of each processor that steps, and a few of those that go on, so that none waits for ever.

        All in this thread. Where the machine's steps are limited, the others do nothing.
        """
        session, stop = self._session, Stop(Reason.BUDGET)
        stepping = session.stepping if session is not None and not self._finishing else frozenset[int]()
        for thread in sorted(stepping) if self._hit is None else [self._hit.thread]:
            if self._core.cpus[thread - 1].started:
                stop = self._step_one(thread - 1, timeout, until)
            if stop.reason is not Reason.BUDGET or self._hit is not None:
                return stop
        if session is not None and limit is None:
            others = {cpu.number for cpu in self._core.cpus} - {t - 1 for t in stepping | session.resting}
            stop = self._runner.lend(sorted(others), MEANWHILE) or stop
        return stop

    def _step_one(self, number: int, timeout: float | None, until: Wanted | None) -> Stop:
        """One instruction, not an interrupt in its place unless that is wanted or it chooses which are enabled.

        Waiting for an interrupt then does nothing, as when a hardware debugger steps (debug specification, 4.4).
        """
        runner, core = self._runner, self._core
        core.current = cpu = core.cpus[number]
        runner.hold({other.number for other in core.cpus} - {number})
        masked = self._target is not None and self._target.masks_interrupts and not self._enables_interrupts()
        enabled, restarts = int(cpu.state.mie), runner.restarts
        if masked:
            cpu.state.mie = 0
        if masked or len(core.cpus) > 1:
            cpu.waiting = False
        try:
            return runner.run(1, timeout, until)
        finally:
            runner.hold(())
            if masked:
                if runner.restarts == restarts:
                    cpu.state.mie, cpu.waiting = enabled, False
                cpu.state.attention = 1

    def _enables_interrupts(self) -> bool:
        """Whether the next instruction reads or writes which interrupts are enabled."""
        try:
            word = int.from_bytes(self._machine.virtual.read(self._machine.registers["pc"], 4), "little")
        except UserError:
            return False
        return word & 0x7F == SYSTEM and word & FUNCTION != 0 and word >> 20 in INTERRUPT_ENABLES
