"""A child process that speaks in messages over its standard input and output, and is ended by its parent."""

from __future__ import annotations

import socket
import subprocess
import sys

from guesthouse.host.connection import Connection


class Child(Connection):
    """A Python module run as a process of its own, with messages (msgpack) both ways."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],  # -P: no module from the current folder
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,  # Ctrl-C at the terminal is the parent's to handle
            )
        super().__init__(ours)

    def close(self) -> None:
        """End the process and wait for it; nobody may be waiting in `receive`."""
        super().close()
        self._process.terminate()
        self._process.wait()
