"""Workers: what a fork holds, how it ends, and when it is a Python of its own."""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from guesthouse.host.worker_process import NAME, WorkerProcess

FAILED = 7


def main(given: Sequence[int]) -> None:
    """As a worker: tells what is open, its name and its session, waits for the end of its input, and fails."""
    opened = [int(name) for name in os.listdir("/proc/self/fd")]
    assert set(given) < set(opened)
    others = [descriptor for descriptor in opened if descriptor not in (0, 1, 2, *given) and is_open(descriptor)]
    null = [os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in (0, 1)]
    alone = os.getsid(0) == os.getpid()
    os.write(given[2], repr((others, null, alone, Path("/proc/self/comm").read_text().strip())).encode())
    os.read(given[1], 1)
    os._exit(FAILED)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # it was the listing's own
        return False
    return True


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = WorkerProcess(__name__)
    yield worker
    worker.kill()
    worker.wait(10)
    for descriptor in (worker.control, worker.output, worker.errors):
        os.close(descriptor)


def test_a_fork_holds_its_own_descriptors_and_nothing_else(worker: WorkerProcess) -> None:
    assert os.read(worker.output, 1000).decode() == repr(([], ["/dev/null", "/dev/null"], True, NAME))
    os.close(worker.input)
    assert worker.wait(10) == FAILED
    assert worker.wait(10) == FAILED, "asked again"
    worker.kill()  # there is nobody left to be killed


def test_a_worker_that_does_not_end_is_killed(worker: WorkerProcess) -> None:
    assert worker.wait(0.05) == -9
    os.close(worker.input)


def test_beside_other_threads_a_worker_is_a_python_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        worker = WorkerProcess("guesthouse.no_such_worker")
        assert worker.wait(30) == 1
        assert "No module named" in capfd.readouterr().err
    finally:
        stop.set()
        thread.join()
        for descriptor in (worker.control, worker.input, worker.output, worker.errors):
            os.close(descriptor)


def test_a_fork_that_cannot_begin_says_so_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    worker = WorkerProcess("guesthouse.no_such_worker")
    assert worker.wait(30) == 1
    assert "ModuleNotFoundError" in capfd.readouterr().err
    for descriptor in (worker.control, worker.input, worker.output, worker.errors):
        os.close(descriptor)
