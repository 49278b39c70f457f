"""A fork of this process that does one kind of work for it: confined, limited, and only with time nobody else wants.

Sources: fork(2), prctl(2), prlimit(2), nice(2).
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from guesthouse.host.confinement import confine
from guesthouse.host.memory import LIBC

PR_SET_PDEATHSIG = 1
NICENESS = 10
MEMORY = 4 << 30
"""Bytes of address space."""


class Forked:
    """A process that calls `work` with a stream to read from and one to write to, and ends when it returns.

    Nothing else is open in it, and it can open nothing. To be started by a process of one thread.
    """

    def __init__(self, work: Callable[[BinaryIO, BinaryIO], None]) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            _live(work, theirs.fileno(), parent)
        theirs.close()
        self.descriptor = ours.detach()

    def allow_processor_time(self, seconds: float) -> None:
        """Have it killed once it has used so many more seconds of processor time."""
        try:
            used = time.clock_gettime(~self.pid << 3 | 2)  # the clock of another process: see clock_getcpuclockid(3)
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (int(used + seconds) + 1, resource.RLIM_INFINITY))
        except OSError:
            return  # it has ended: its socket says so

    def end(self) -> None:
        """Kill it and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _live(work: Callable[[BinaryIO, BinaryIO], None], end: int, parent: int) -> None:
    """What the fork does, to its end."""
    try:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.dup2(end, 3)  # 0 to 2 are the null device
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 3:
                with suppress(OSError):  # the listing's own
                    os.close(int(name))
        os.nice(NICENESS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        confine()
        with open(3, "rb", closefd=False) as reader, open(3, "wb", closefd=False) as writer:
            work(reader, writer)
    finally:
        os._exit(0)
