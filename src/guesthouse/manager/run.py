"""`run`: a throw-away machine in a worker process, connected to the user's terminal or pipes until it ends."""

import contextlib
import signal
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.channels import CHUNK, Inlet, Messages, Outlet
from guesthouse.host.loop import Loop
from guesthouse.host.signals import CaughtSignals
from guesthouse.host.terminal import is_terminal, raw_terminal
from guesthouse.host.worker_process import WorkerProcess
from guesthouse.manager.escape import HELP, Action, EscapeKeys
from guesthouse.manager.profile import Profile
from guesthouse.manager.protocol import (
    ENCODER,
    FROM_WORKER,
    Begin,
    Ended,
    Failed,
    FromWorker,
    Note,
    Plan,
    Ready,
    Signal,
    Stop,
    ToWorker,
)

WORKER = "guesthouse.manager.worker"
GUEST_SOCKETS = "guesthouse.host.guest_sockets"  # imported where it is asked for: sockets cost time at every start
TIMED_OUT, BROKEN_OUTPUT = 124, 128 + signal.SIGPIPE
GRACE = 2.0
"""Seconds that a worker told to stop, and output that nobody takes, are waited for."""

HOLD_TIME, HOLD_BYTES = 0.2, 1 << 20
"""With a counted clock, input that comes at the start is collected so long, to be there at instruction 0."""

TYPED_AHEAD = 1 << 20
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class WorkerCrash(Exception):
    """The worker failed by a defect of ours: one sentence, and its traceback in `details`."""

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text)
        self.details = details


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended: its status, what to tell the user ("" for nothing), and statistics."""

    status: int
    text: str = ""
    statistics: dict[str, Any] = msgspec.field(default_factory=dict)
    signature: str | None = None
    profile: Profile | None = None


class Streams(msgspec.Struct, frozen=True):
    """Descriptors of the caller's standard streams, and where sentences for the user go."""

    input: int = 0
    output: int = 1
    errors: int = 2
    say: Callable[[str], None] = lambda text: None


def run_guest(plan: Plan, streams: Streams, timeout: float | None = None) -> Outcome:
    """Run a guest until it ends, the user quits, a signal comes, or `timeout` seconds have passed.

    Raises UserError for what the user can mend, and `WorkerCrash` for a defect of ours.
    """
    loop = Loop()
    with contextlib.ExitStack() as stack:
        run = _Run(plan, streams, timeout, loop, stack)
        stack.enter_context(CaughtSignals(loop, ENDING, run.on_signal))
        while not run.finished():
            loop.turn(run.patience())
            run.check_time()
        return run.outcome()


class _Run:
    """One run seen from the caller's side: keys and pipes in, output out, messages both ways."""

    def __init__(
        self, plan: Plan, streams: Streams, timeout: float | None, loop: Loop, stack: contextlib.ExitStack
    ) -> None:
        self._plan = plan
        self._streams = streams
        self._timeout = timeout
        self._loop = loop
        self._stack = stack
        self._terminal = is_terminal(streams.input)
        self._raw = self._terminal and plan.command is None
        self._keys = EscapeKeys()
        self._verdict: FromWorker | None = None
        self._forced: int | None = None
        self._ready = False
        self._started = False
        self._interrupted = False
        self._held = bytearray()
        self._deadline = float("inf")
        self._begin_by = float("inf")
        self._give_up = float("inf")
        self._worker = WorkerProcess(WORKER)
        stack.callback(self._worker.kill)
        self._control = Messages(loop, self._worker.control, self._on_message, lambda: None)
        self._to_guest = Outlet(loop, self._worker.input, CHUNK)
        self._stdout = Outlet(loop, streams.output)
        self._stderr = Outlet(loop, streams.errors)
        self._stdin = Inlet(loop, streams.input, self._on_input, self._on_input_end)
        self._output = Inlet(loop, self._worker.output, self._stdout.write, lambda: None)
        self._errors = Inlet(loop, self._worker.errors, self._stderr.write, lambda: None)
        self._send(plan)

    def _send(self, message: ToWorker) -> None:
        self._control.send(ENCODER.encode(message))

    # The guest starts.

    def _on_message(self, data: bytes) -> None:
        message = FROM_WORKER.decode(data)
        if isinstance(message, Ready):
            self._on_ready()
        elif isinstance(message, Note):
            self._say(f"guesthouse: {message.text}")
        elif self._verdict is None:
            self._verdict = message

    def _on_ready(self) -> None:
        self._ready = True
        if self._plan.vsock:
            self._stack.callback(import_module(GUEST_SOCKETS).Presence(self._plan.vsock).remove)
        now = time.monotonic()
        if self._timeout is not None:
            self._deadline = now + self._timeout
        if self._plan.clock == "instructions" and not self._terminal and self._plan.command is None:
            self._begin_by = now + HOLD_TIME
        else:
            self._begin()

    def _begin(self) -> None:
        self._begin_by = float("inf")
        if self._raw:
            self._stack.enter_context(raw_terminal(self._streams.input))
            self._say("Ctrl-A x quits, Ctrl-A h helps.")
        self._send(Begin(bytes(self._held)))
        self._held.clear()
        self._started = True
        if self._stdin.ended:
            self._to_guest.end()

    # What the user types or pipes in.

    def _on_input(self, data: bytes) -> None:
        if self._raw:
            data, actions = self._keys.feed(data)
            for action in actions:
                self._act(action)
            data = data[: max(0, TYPED_AHEAD - len(self._to_guest.buffer))]
        if self._started:
            self._to_guest.write(data)
        else:
            self._held += data

    def _on_input_end(self) -> None:
        if self._started:
            self._to_guest.end()
        elif self._ready:
            self._begin()

    def _act(self, action: Action) -> None:
        if action is Action.QUIT:
            self._stop(0)
        else:
            self._say(HELP.rstrip("\n"))

    def _say(self, text: str) -> None:
        """Raw output needs the carriage to return."""
        raw = self._raw and self._started
        for line in text.splitlines():
            self._streams.say(line + "\r" if raw else line)

    # The end.

    def on_signal(self, number: int) -> None:
        """SIGINT goes to a command in the guest first; everything else, and a second one, ends the run."""
        if number == signal.SIGINT and self._plan.command is not None and self._started and not self._interrupted:
            self._interrupted = True
            self._send(Signal("INT"))
        else:
            self._stop(128 + number)

    def _stop(self, status: int) -> None:
        if self._forced is None and self._verdict is None:
            self._forced = status
            self._send(Stop())
        self._give_up = min(self._give_up, time.monotonic() + GRACE)

    def patience(self) -> float | None:
        """How long the loop may wait, in seconds; decides beforehand what is to be waited for."""
        self._stdin.want(self._wants_input())
        self._output.want(len(self._stdout.buffer) < CHUNK)
        self._errors.want(len(self._stderr.buffer) < CHUNK)
        if self._stdout.broken:
            self._stop(BROKEN_OUTPUT)
        until = min(self._deadline if self._forced is None else float("inf"), self._begin_by, self._give_up)
        return None if until == float("inf") else max(0.0, until - time.monotonic())

    def _wants_input(self) -> bool:
        if not self._ready or self._to_guest.broken:
            return False
        if not self._started:
            return len(self._held) < HOLD_BYTES
        return self._raw or len(self._to_guest.buffer) < CHUNK

    def check_time(self) -> None:
        """Do what its time has come for."""
        now = time.monotonic()
        if now >= self._begin_by:
            self._begin()
        if now >= self._deadline and self._forced is None and self._verdict is None:
            self._stop(TIMED_OUT)
            self._say(f"guesthouse: the time limit of {self._timeout:g} s has passed.")

    def finished(self) -> bool:
        """Whether the worker is gone and all its output is written, or nobody waits for either any more."""
        if time.monotonic() >= self._give_up:
            return True
        gone = self._control.ended and self._output.ended and self._errors.ended
        return gone and not self._stdout.buffer and not self._stderr.buffer

    def outcome(self) -> Outcome:
        """The verdict; see `run_guest` for what is raised."""
        died = self._worker.wait(0 if time.monotonic() >= self._give_up else GRACE)
        verdict = self._verdict
        if isinstance(verdict, Ended):
            status = verdict.status if self._forced is None else self._forced
            text = verdict.text if self._forced is None else ""
            return Outcome(status, text, verdict.statistics, verdict.signature, verdict.profile)
        if isinstance(verdict, Failed):
            if verdict.traceback:
                raise WorkerCrash(verdict.text, verdict.traceback)
            raise UserError(verdict.text)
        if self._forced is not None:
            return Outcome(self._forced)
        how = f"by signal {-died}" if died < 0 else f"with status {died}"
        raise WorkerCrash(f"the guest's process ended unexpectedly {how}", "")
