"""A child process that speaks in frames over its standard input and output."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
from typing import Any

import msgspec

from guesthouse.errors import UserError

LENGTH = struct.Struct("<I")


# A shell that becomes the program at the first line of input: who never asks for anything never pays for its start.
WAITING = ("/bin/sh", "-c", 'read -r go && exec "$@"', "waiting")


class Child:
    """A Python module run as a process of its own, with messages (msgpack) both ways."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [*WAITING, sys.executable, "-P", "-m", module],  # -P: no module from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is the parent's to handle
        )
        assert self._process.stdin and self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        self._asleep = True
        self._buffer = bytearray()

    def send(self, message: Any) -> None:
        """Send one message; raises UserError where the process is gone."""
        data = msgspec.msgpack.encode(message)
        try:
            if self._asleep:
                self._asleep = False
                self._input.write(b"go\n")
            self._input.write(LENGTH.pack(len(data)) + data)
            self._input.flush()
        except BrokenPipeError:
            raise UserError("the compile process ended unexpectedly; run again") from None

    def receive(self) -> Any:
        """Wait for the next message; raises UserError where the process is gone."""
        while (message := self.poll(None)) is None:
            pass
        return message

    def poll(self, timeout: float | None = 0.0) -> Any:
        """The next message if one is complete within `timeout` seconds, else None."""
        message = self._take()
        if message is None and select.select([self._output], [], [], timeout)[0]:
            data = os.read(self._output.fileno(), 1 << 20)
            if not data:
                raise UserError("the compile process ended unexpectedly; run again")
            self._buffer += data
            message = self._take()
        return message

    def _take(self) -> Any:
        if len(self._buffer) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._buffer)
        if len(self._buffer) < LENGTH.size + size:
            return None
        data = bytes(self._buffer[LENGTH.size : LENGTH.size + size])
        del self._buffer[: LENGTH.size + size]
        return msgspec.msgpack.decode(data)

    def close(self) -> None:
        """End the process and wait for it."""
        for stream in (self._input, self._output):
            stream.close()
        self._process.terminate()
        self._process.wait()
