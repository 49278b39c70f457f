"""A Python module run as a worker: a process with a socket for messages and three pipes for bytes."""

import os
import socket
import subprocess
import sys
from contextlib import suppress


class WorkerProcess:
    """Starts `python -m module` with four descriptors as its arguments: socket, input, output, error output.

    `control`, `input`, `output` and `errors` are this side's ends. The worker leads its own session, so that keys like
    Ctrl-C do not reach it; its standard error output is ours. The folder it starts in is no place to import from (-P).
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        input_reader, self.input = os.pipe()
        self.output, output_writer = os.pipe()
        self.errors, errors_writer = os.pipe()
        given = (theirs.fileno(), input_reader, output_writer, errors_writer)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *map(str, given)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=given,
                start_new_session=True,
            )
        finally:
            theirs.close()
            for descriptor in given[1:]:
                os.close(descriptor)
        self.control = ours.detach()
        os.set_blocking(self.input, False)

    def wait(self, timeout: float) -> int:
        """The worker's status once it has ended, -n for signal n; it is killed after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End the worker at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
