"""One end of a conversation with a process that answers: messages (msgpack) both ways over a socket, with waiting.

A confined process may use one that was opened before: it takes nothing but reading, writing and waiting.
"""

from __future__ import annotations

import os
import select
import socket
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.messages import Frames, packed

GONE = "the compile process ended unexpectedly; run again"
WAKE = b"go\n"
"""The line that a sleeper waits for (`host.sleeper`)."""


class Connection:
    """Messages to and from whoever holds the other end of `end`; `asleep`: it wants to be woken first."""

    def __init__(self, end: socket.socket, asleep: bool = False) -> None:
        end.setblocking(True)
        self._socket = end
        self._asleep = asleep
        self._frames = Frames()
        self._interruption = os.eventfd(0)  # readable once nobody wants to wait any more

    def wake(self) -> None:
        """Have the other side start, if it sleeps; raises UserError where it is gone."""
        if self._asleep:
            self._asleep = False
            self._write(WAKE)

    def send(self, message: Any) -> None:
        """Send one message; raises UserError where the other side is gone."""
        self.wake()
        self._write(packed(message))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._socket.fileno(), view) :]
        except (BrokenPipeError, ConnectionResetError):
            raise UserError(GONE) from None

    def receive(self) -> Any:
        """Wait for the next message; raises UserError where the other side is gone, or the waiting was interrupted."""
        while (message := self.poll(None)) is None:
            pass
        return message

    def poll(self, timeout: float | None = 0.0) -> Any:
        """The next message if one is complete once `timeout` seconds have passed, or something came; else None."""
        content = self._frames.take()
        if content is None:
            ready, _, _ = select.select([self._socket.fileno(), self._interruption], [], [], timeout)
            if self._interruption in ready:
                raise UserError("nobody waits for the compile process any more")
            if ready:
                self._frames.add(self._read())
                content = self._frames.take()
        return None if content is None else msgspec.msgpack.decode(content)

    def _read(self) -> bytes:
        try:
            data = os.read(self._socket.fileno(), 1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise UserError(GONE)
        return data

    def interrupt(self) -> None:
        """Have whoever waits in `receive`, in another thread, come back with UserError, now and from now on."""
        os.eventfd_write(self._interruption, 1)

    def close(self) -> None:
        """End the conversation; nobody may be waiting in `receive`."""
        self._socket.close()
        os.close(self._interruption)
