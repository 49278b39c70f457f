"""A child process that speaks in frames over its standard input and output, and never outlives its parent.

A frame is four bytes of little-endian length and a msgpack message.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import msgspec

from guesthouse.errors import UserError

LENGTH = struct.Struct("<I")
GONE = "the compile process ended unexpectedly; run again"

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
        self._interruption = os.eventfd(0)  # readable once nobody wants to wait any more
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
            raise UserError(GONE) from None

    def receive(self) -> Any:
        """Wait for the next message; raises UserError where the process is gone, or the waiting was interrupted."""
        while (message := self.poll(None)) is None:
            pass
        return message

    def poll(self, timeout: float | None = 0.0) -> Any:
        """The next message if one is complete within `timeout` seconds, else None."""
        message = self._take()
        if message is None:
            ready, _, _ = select.select([self._output.fileno(), self._interruption], [], [], timeout)
            if self._interruption in ready:
                raise UserError("nobody waits for the compile process any more")
            if ready:
                data = os.read(self._output.fileno(), 1 << 20)
                if not data:
                    raise UserError(GONE)
                self._buffer += data
                message = self._take()
        return message

    def interrupt(self) -> None:
        """Have whoever waits in `receive`, in another thread, come back with UserError, now and from now on."""
        os.eventfd_write(self._interruption, 1)

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
        """End the process and wait for it; nobody may be waiting in `receive`."""
        with suppress(BrokenPipeError):  # what was not sent yet
            self._input.close()
        with suppress(PermissionError):  # a confined process may not signal: then the child ends with its input
            self._process.terminate()
        self._process.wait()
        self._output.close()
        os.close(self._interruption)


def end_with_input(descriptor: int) -> None:
    """End this process as soon as nobody can write to that pipe any more, whatever it is doing then."""
    threading.Thread(target=_exit_at_hangup, args=(descriptor,), daemon=True).start()


def _exit_at_hangup(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, 0)  # a hangup is reported without being asked for
    waiting.poll()
    os._exit(0)
