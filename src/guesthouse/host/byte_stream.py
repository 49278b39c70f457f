"""A connected stream socket as bytes both ways at once, never waiting longer than it is told to."""

from __future__ import annotations

import select
import socket
import time

CHUNK = 1 << 16
MOST_UNSENT = 64 << 20
"""Bytes that the other side may leave unread; then it counts as gone."""


class SocketStream:
    """Bytes through a socket, which becomes this object's own."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._unsent = bytearray()
        self._ended = False

    def exchange(self, data: bytes, timeout: float | None) -> bytes | None:
        """Send `data`, and give what has come within `timeout` seconds (None: wait): b"" for nothing, None at the end.

        What the other side does not take yet is sent with the next calls.
        """
        self._unsent += data
        self._ended = self._ended or len(self._unsent) > MOST_UNSENT
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            readable, writable, _ = select.select([self._socket], [self._socket] if self._unsent else [], [], rest)
            if writable:
                self._write()
            if readable:
                return self._read()
            if not writable and rest is not None and rest <= 0:
                return b""
        return None

    def _write(self) -> None:
        try:
            count = self._socket.send(self._unsent[: 4 * CHUNK])
            del self._unsent[:count]
        except BlockingIOError:
            return
        except OSError:
            self._ended = True

    def _read(self) -> bytes | None:
        try:
            data = self._socket.recv(4 * CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._ended = True
            return None
        return data

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
