"""Bytes on their way from the host to a device, which takes them as the guest makes room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from guesthouse.virtual.machine.inbox import Inbox

PATIENCE = 1 << 16
"""Bytes that may wait before a patient writer is held up."""


class Receiver(Protocol):
    """A device that takes input."""

    def room(self) -> int: ...
    def receive(self, data: bytes) -> int: ...


class Input:
    """The host's side of one stream of input; `write` and `close` may be called from any thread."""

    def __init__(self, inbox: Inbox, receiver: Receiver, at_end: Callable[[], None] | None = None) -> None:
        self._inbox = inbox
        self._receiver = receiver
        self._at_end = at_end
        self._bytes = bytearray()
        self._ending = False
        self._changed = threading.Condition()

    def write(self, data: bytes, *, wait: bool = False) -> None:
        """Send `data` to the guest; with `wait`, sleep while much of it is still to be taken.

        Only a thread that does not run the machine may wait.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: len(self._bytes) < PATIENCE or self._ending)
            self._bytes += data
        self._inbox.post(self.feed)

    def close(self) -> None:
        """Tell the guest that nothing comes behind what has been written, where its device can tell that."""
        self._ending = True
        self._inbox.post(self.feed)

    @property
    def pending(self) -> int:
        """Bytes that the device has not taken."""
        return len(self._bytes)

    def feed(self) -> None:
        """Hand over what the device has room for; called by the machine's thread."""
        if self._bytes:
            with self._changed:
                taken = self._receiver.receive(bytes(self._bytes[: self._receiver.room()]))
                if taken:
                    del self._bytes[:taken]
                    self._changed.notify_all()
        if self._ending and not self._bytes and self._at_end:
            at_end, self._at_end = self._at_end, None
            at_end()

    def save(self) -> bytes:
        """What waits, for a snapshot."""
        return bytes(self._bytes)

    def load(self, data: bytes) -> None:
        """Take over what waited."""
        self._bytes[:] = data
