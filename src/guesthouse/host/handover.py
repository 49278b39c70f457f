"""Bytes from the thread that runs a guest to the thread that does the worker's input and output."""

import os
import threading

from guesthouse.host.channels import CHUNK, Outlet
from guesthouse.host.loop import Callback, Loop


class Bell:
    """Wakes a loop from another thread."""

    def __init__(self, loop: Loop, woken: Callback) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._woken = woken
        self._loop = loop
        self._lock = threading.Lock()  # a descriptor that is closed may soon be another file's
        loop.on_readable(self._descriptor, self._hear)

    def ring(self) -> None:
        """Have the loop call `woken`; from any thread."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def _hear(self) -> None:
        os.eventfd_read(self._descriptor)
        self._woken()

    def close(self) -> None:
        """Give the descriptor back; ringing does nothing from now on."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        self._loop.on_readable(descriptor, None)
        os.close(descriptor)


class Handover:
    """Bounded: who writes faster than the outlet takes waits in `write`, until `abandon`."""

    def __init__(self, bell: Bell, outlet: Outlet) -> None:
        self._bell = bell
        self._outlet = outlet
        self._bytes = bytearray()
        self._changed = threading.Condition()
        self._abandoned = False

    def write(self, data: bytes) -> None:
        """Take all of `data`; called by the machine's thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._bytes) < CHUNK)
            if self._abandoned or self._outlet.broken:
                return
            first = not self._bytes
            self._bytes += data
        if first:
            self._bell.ring()

    def move(self) -> None:
        """Give the outlet what waits, where it has room; called by the loop's thread."""
        if self._bytes and len(self._outlet.buffer) < CHUNK:
            with self._changed:
                data = bytes(self._bytes)
                self._bytes.clear()
                self._changed.notify_all()
            self._outlet.write(data)

    def abandon(self) -> None:
        """Throw away what is written from now on, so that nobody waits."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Whether everything has been written out, or can't be."""
        return not self._bytes and not self._outlet.buffer


class LineLog:
    """Lines of text into a file, or onto standard error where there is no path; opened before confinement."""

    def __init__(self, path: str, newline: str) -> None:
        """Raises OSError where the file can't be written."""
        self._file = open(path or 2, "w", encoding="utf-8", newline="", closefd=bool(path), buffering=1 << 16)  # noqa: SIM115
        self._end = newline if not path else "\n"
        self._standing = not path

    def put(self, line: str) -> None:
        """Write one line; where the file takes no more (a full disk), the rest is lost."""
        try:
            self._file.write(line + self._end)
            if self._standing:
                self._file.flush()
        except OSError:
            return

    def close(self) -> None:
        """Write what is left."""
        try:
            self._file.flush()
        except OSError:
            return
