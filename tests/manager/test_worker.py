"""The worker, spoken to as `run` speaks to it."""

import os
from collections.abc import Iterator

import pytest

from guesthouse.host.channels import Messages
from guesthouse.host.loop import Loop
from guesthouse.host.worker_process import WorkerProcess
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
    Stop,
    ToWorker,
)
from guesthouse.manager.run import WORKER


class Caller:
    """This side of the conversation."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.worker = WorkerProcess(WORKER)
        self.heard: list[FromWorker] = []
        take = self.heard.append
        self.messages = Messages(
            self.loop, self.worker.control, lambda data: take(FROM_WORKER.decode(data)), lambda: None
        )

    def say(self, message: ToWorker) -> None:
        self.messages.send(ENCODER.encode(message))

    def hear(self) -> FromWorker:
        """The next message that is no note."""
        while True:
            while not self.heard:
                assert not self.messages.ended
                self.loop.turn(30)
            if not isinstance(message := self.heard.pop(0), Note):
                return message


@pytest.fixture
def caller() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.worker.kill()
    caller.worker.wait(10)
    for descriptor in (caller.worker.control, caller.worker.input, caller.worker.output, caller.worker.errors):
        os.close(descriptor)


def test_a_run_from_plan_to_verdict(caller: Caller) -> None:
    caller.say(Plan(builtin="hello", engine="interpreter"))
    ready = caller.hear()
    assert isinstance(ready, Ready) and ready.confinement["no new privileges"] == ""
    caller.say(Begin())
    ended = caller.hear()
    assert isinstance(ended, Ended) and ended.status == 0 and ended.statistics["steps"] > 1000
    assert caller.worker.wait(10) == 0
    assert b"Powering off" in os.read(caller.worker.output, 1 << 16)


def test_the_guest_waits_for_begin(caller: Caller) -> None:
    caller.say(Plan(builtin="hello", engine="interpreter"))
    assert isinstance(caller.hear(), Ready)
    caller.say(Stop())
    assert caller.hear() == Ended(0)
    assert os.read(caller.worker.output, 100) == b""


def test_what_the_user_got_wrong_comes_back_as_a_sentence(caller: Caller) -> None:
    caller.say(Plan(kernel="/nonexistent/kernel", engine="interpreter"))
    failed = caller.hear()
    assert isinstance(failed, Failed) and "/nonexistent/kernel" in failed.text and failed.traceback == ""


def test_a_worker_whose_caller_is_gone_ends(caller: Caller) -> None:
    os.close(caller.worker.control)
    caller.worker.control = os.dup(0)
    assert caller.worker.wait(10) == 0
