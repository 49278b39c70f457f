"""The worker: one confined process that runs one guest for `run`; see `protocol` for what the two say to each other.

It opens everything the guest needs, confines itself, and only then starts the guest in a thread of its own. The main
thread moves bytes and messages and never blocks, so that a guest can always be stopped. Run by `host.worker_process`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from guesthouse.errors import UserError
from guesthouse.host.channels import CHUNK, Inlet, Messages, Outlet
from guesthouse.host.confinement import confine
from guesthouse.host.handover import Bell, Handover, LineLog
from guesthouse.host.loop import Loop
from guesthouse.host.worker_process import whole_life
from guesthouse.manager.guest_command import PORT, GuestCommand
from guesthouse.manager.guest_machine import build_machine, find_compile_service, open_trace
from guesthouse.manager.native_parts import cache_problem, code_folder
from guesthouse.manager.profile_taking import profile_of
from guesthouse.manager.protocol import (
    ENCODER,
    TO_WORKER,
    Begin,
    Ended,
    Failed,
    FromWorker,
    Note,
    Plan,
    Ready,
    Signal,
)
from guesthouse.manager.run_statistics import run_statistics
from guesthouse.manager.tracing import Tracer
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.sampling import Sampler
from guesthouse.virtual.machine.stop import Reason
from guesthouse.virtual.machine.stop import Stop as MachineStop

if TYPE_CHECKING:
    from guesthouse.host.visitors import Visitors
    from guesthouse.manager.agent_relay import AgentRelay
    from guesthouse.manager.guest_network import GuestNetwork
    from guesthouse.virtual.machine.network import Cable

NETWORKS = "guesthouse.manager.guest_network"  # likewise
RELAY = "guesthouse.manager.agent_relay"
DEBUGGERS = "guesthouse.manager.debuggers"  # imported where it is asked for: sockets cost time at every start
RETRY = 0.01
"""Seconds until input that the guest had no room for is offered again."""

LINGER = 5.0
"""Seconds that a guest whose command has ended may take to power off."""


class Worker:
    """One run, from the plan to the verdict."""

    def __init__(self, control: int, source: int, output: int, errors: int) -> None:
        self._loop = Loop()
        self._bell = Bell(self._loop, lambda: None)
        self._messages = Messages(self._loop, control, self._on_message, lambda: None)
        self._inlet = Inlet(self._loop, source, self._on_input, self._on_input_end)
        for descriptor in (output, errors):
            os.set_blocking(descriptor, False)
        self._output = Handover(self._bell, Outlet(self._loop, output, CHUNK))
        self._errors = Handover(self._bell, Outlet(self._loop, errors, CHUNK))
        self._machine: Machine | None = None
        self._command: GuestCommand | None = None
        self._log: LineLog | None = None
        self._tracer: Tracer | None = None
        self._sampler: Sampler | None = None
        self._debuggers: Visitors | None = None
        self._network: GuestNetwork | None = None
        self._relay: AgentRelay | None = None
        self._plan = Plan()
        self._thread: threading.Thread | None = None
        self._notices: deque[str] = deque()
        self._verdict: FromWorker | None = None
        self._told = False
        self._leave_by = float("inf")

    def serve(self) -> None:
        """Do everything until the verdict is told or nobody is there to hear it."""
        while not self._messages.ended and not self._over():
            self._want_input()
            self._loop.turn(self._patience())
            for handover in (self._output, self._errors):
                handover.move()
            while self._notices:
                self._send(Note(self._notices.popleft()))
            if self._verdict is not None and self._debuggers is not None:
                self._debuggers.refresh()  # a debugger hears of the end, if it listens
            if self._verdict is not None and not self._told and self._flushed():
                self._told = True
                self._send(self._verdict)

    def _patience(self) -> float | None:
        """How long the loop may wait; ends a guest that does not power off behind its command."""
        if self._inlet_full():
            return RETRY
        if self._command is None or self._command.status is None or self._verdict is not None:
            return None
        now = time.monotonic()
        self._leave_by = min(self._leave_by, now + LINGER)
        if now >= self._leave_by and self._machine:
            self._machine.stop()
            return None
        return self._leave_by - now

    def _over(self) -> bool:
        return self._told and self._messages.sent

    def _flushed(self) -> bool:
        return self._output.empty and self._errors.empty

    def _send(self, message: FromWorker) -> None:
        self._messages.send(ENCODER.encode(message))

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_message(self, data: bytes) -> None:
        message = TO_WORKER.decode(data)
        if isinstance(message, Plan):
            self._guarded(lambda: self._prepare(message))
        elif isinstance(message, Begin):
            self._begin(message.input)
        elif isinstance(message, Signal):
            if self._command:
                self._command.signal(message.name)
        elif self._machine and self._thread:
            self._machine.stop()
        else:
            self._verdict = Ended(0)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong becomes the verdict."""
        try:
            work()
        except UserError as error:
            self._verdict = Failed(str(error))
        except MemoryError:
            self._verdict = Failed("The host has no memory left; close something, or give the guest less.")
        except Exception as error:
            self._verdict = Failed(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _prepare(self, plan: Plan) -> None:
        self._plan = plan
        if problem := cache_problem():
            self._send(Note(problem))
        if plan.command is not None:
            self._command = GuestCommand(plan.command, self._output, self._errors, self._bell.ring)
        elif plan.agent:
            self._relay = import_module(RELAY).AgentRelay(self._loop, Path(plan.agent))
        teller = self._command or self._relay
        ports = teller.ports if teller else None
        link = self._join_network(plan) if plan.network.mode != "none" else None
        self._machine = machine = build_machine(plan, None if self._command else self._output, ports, link)
        machine.on_notice(self._tell)
        if self._command:
            self._command.attach(machine.ports[PORT])
        if self._relay:
            self._relay.connect(machine.ports[PORT])
        find_compile_service(machine)
        if plan.trace:
            self._log = open_trace(plan)
            self._tracer = Tracer(machine, plan.trace, self._log.put)
        if plan.gdb is not None:
            self._debuggers, sentence = import_module(DEBUGGERS).open_to_debuggers(self._loop, machine, plan.gdb)
            self._send(Note(sentence))
        accepting = (
            plan.gdb is not None or self._relay is not None or (self._network is not None and self._network.listens)
        )
        self._send(Ready(confine([code_folder()], accepting=accepting)))

    def _join_network(self, plan: Plan) -> Cable:
        """Start the network that the plan wants, and be its guest."""
        self._network = network = import_module(NETWORKS).GuestNetwork(plan.network, plan.name, self._loop, self._tell)
        for sentence in network.forwards:
            self._tell(sentence)
        link: Cable = network.link
        return link

    # --- the guest ----------------------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        if self._machine is None or self._thread is not None:
            return
        if data:
            self._machine.console.write(data)
        self._thread = threading.Thread(target=self._guest_thread, name="guest", daemon=True)
        self._thread.start()

    def _guest_thread(self) -> None:
        """What the thread of the guest's processor does."""
        self._guarded(self._run)
        self._bell.ring()

    def _run(self) -> None:
        machine = self._machine
        assert machine is not None
        try:
            stop = self._drive(machine)
        finally:
            if self._log:
                self._log.close()
        self._verdict = self._judge(machine, stop)  # the last thing: the main thread may end the process any time now

    def _drive(self, machine: Machine) -> MachineStop:
        """Run the guest to its end, traced or sampled where the plan asks for it."""
        if self._plan.profile is None:
            return self._tracer.run() if self._tracer else machine.run()
        self._sampler = machine.sampler(self._plan.profile.rate, self._plan.profile.every)
        return self._sampler.run()

    def _judge(self, machine: Machine, stop: MachineStop) -> Ended:
        status = stop.status
        if self._command and self._command.status is not None and stop.reason is not Reason.PANIC:
            status = self._command.status
        text = stop.text if stop.reason is Reason.PANIC else ""
        signature = machine.signature(self._plan.signature_granularity) if self._plan.signature else None
        statistics = run_statistics(machine, time.thread_time() + machine.thread_seconds)
        profile = profile_of(machine, self._sampler) if self._sampler else None
        try:
            machine.write_out()
        except OSError as error:
            self._tell(f"The last that the guest wrote to its disks is lost: {error.strerror or error}.")
        machine.leave_wishes()
        return Ended(status & 0xFF, text, statistics, signature, profile)

    def _tell(self, sentence: str) -> None:
        """Have the user read a sentence; called by the guest's thread."""
        self._notices.append(sentence)
        self._bell.ring()

    # --- input --------------------------------------------------------------------------------------------------------

    def _takes_input(self) -> bool:
        """Whether there is somebody to read it: the console always, a command while it does."""
        return self._command is None or self._command.takes_input

    def _pending(self) -> int:
        machine = self._machine
        assert machine is not None
        return self._command.pending if self._command else machine.console.input.pending

    def _inlet_full(self) -> bool:
        running = self._thread is not None and self._verdict is None
        return running and not self._inlet.ended and self._takes_input() and self._pending() >= CHUNK

    def _want_input(self) -> None:
        running = self._thread is not None and self._verdict is None
        self._inlet.want(running and self._takes_input() and self._pending() < CHUNK)

    def _on_input(self, data: bytes) -> None:
        assert self._machine is not None
        if self._command is None:
            self._machine.console.write(data)
        else:
            self._command.send_input(data)

    def _on_input_end(self) -> None:
        """A serial line has no end; a command's input has."""
        if self._command and self._machine:
            self._command.end_input()


def main(descriptors: Sequence[int]) -> None:
    """Serve the run with these descriptors (socket, input, output, error output), and end without ceremony."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    with whole_life():
        Worker(*descriptors).serve()


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:5]])
