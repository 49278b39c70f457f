"""A Python module run as a worker: a process with a socket for messages and three pipes for bytes."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol

NAME = "guest worker"
"""What `ps -o comm` and `top` call a fork, at most 15 characters."""

SHORTEST_NAP, LONGEST_NAP = 0.0005, 0.05
"""Seconds between two looks whether a fork has ended."""


class WorkerProcess:
    """Has a process call `main` of a module with four descriptors: socket, input, output, error output.

    `control`, `input`, `output` and `errors` are this side's ends. The worker leads its own session, so that keys like
    Ctrl-C do not reach it; its standard error output is ours, and nothing else of ours is open in it. It is a fork of
    this process, which saves it what is imported here already; where this process has several threads, it is a Python
    of its own (`python -m module`, started where no module is imported from the current folder).
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        input_reader, self.input = os.pipe()
        self.output, output_writer = os.pipe()
        self.errors, errors_writer = os.pipe()
        given = (theirs.fileno(), input_reader, output_writer, errors_writer)
        try:
            self._process = start_module(module, given)
        finally:
            theirs.close()
            for descriptor in given[1:]:
                os.close(descriptor)
        self.control = ours.detach()
        os.set_blocking(self.input, False)

    def wait(self, timeout: float) -> int:
        """The worker's status once it has ended, -n for signal n; it is killed after `timeout` seconds."""
        return wait_or_kill(self._process, timeout)

    def kill(self) -> None:
        """End the worker at once."""
        with suppress(ProcessLookupError):
            self._process.kill()


def _started(module: str, given: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, given)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=given,
        start_new_session=True,
    )


class Process(Protocol):
    """A process that runs a module of ours."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """Its status once it has ended, -n for signal n; raises subprocess.TimeoutExpired after `timeout` seconds."""

    def kill(self) -> None:
        """End it at once."""


def start_module(module: str, given: Sequence[int], name: str = NAME) -> Process:
    """Have a process call `main` of a module with these descriptors, as `WorkerProcess` has."""
    return _started(module, given) if threading.active_count() > 1 else _Fork(module, given, name)


def wait_or_kill(process: Process, timeout: float) -> int:
    """A process's status once it has ended, -n for signal n; it is killed after `timeout` seconds."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            process.kill()
        return process.wait()


class _Fork:
    """A fork of this process, to be waited for and killed as `subprocess.Popen` is."""

    def __init__(self, module: str, given: Sequence[int], name: str = NAME) -> None:
        self._status: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _live(module, given, name)

    def wait(self, timeout: float | None = None) -> int:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        nap = SHORTEST_NAP
        while self._status is None:
            pid, status = os.waitpid(self.pid, 0 if timeout is None else os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("the worker", timeout or 0.0)
            else:
                time.sleep(nap)
                nap = min(2 * nap, LONGEST_NAP)
        return self._status

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)


@contextmanager
def whole_life() -> Iterator[None]:
    """Do what the block does and end the process, without ceremony; where it fails, with a traceback and status 1."""
    status = 1
    try:
        yield
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _live(module: str, given: Sequence[int], name: str) -> None:
    """What the fork does, to its end."""
    try:
        gc.freeze()  # what is here already stays shared with the parent, and is never collected
        os.setsid()
        with suppress(OSError):
            Path("/proc/self/comm").write_text(name)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        kept = {0, 1, 2, *given}
        for entry in os.listdir("/proc/self/fd"):
            if int(entry) not in kept:
                with suppress(OSError):  # the listing's own
                    os.close(int(entry))
        import_module(module).main(given)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)
