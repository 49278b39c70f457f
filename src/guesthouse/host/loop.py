"""A loop over file descriptors: waits with poll(2), which also takes regular files, and calls back."""

import select
from collections.abc import Callable

Callback = Callable[[], None]
READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL
WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Loop:
    """Callbacks by descriptor; one thread uses it."""

    def __init__(self) -> None:
        self._poll: select.poll | select.epoll = select.poll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}

    def on_readable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back while there is something to read, or its end; None stops that."""
        self._set(self._readers, descriptor, callback)

    def on_writable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back while there is room to write, or nobody to read it; None stops that."""
        self._set(self._writers, descriptor, callback)

    def _set(self, table: dict[int, Callback], descriptor: int, callback: Callback | None) -> None:
        before = self._events(descriptor)
        if callback is None:
            table.pop(descriptor, None)
        else:
            table[descriptor] = callback
        events = self._events(descriptor)
        if events and not before:
            self._poll.register(descriptor, events)
        elif events != before:
            if events:
                self._poll.modify(descriptor, events)
            else:
                self._poll.unregister(descriptor)

    def _events(self, descriptor: int) -> int:
        return (select.POLLIN if descriptor in self._readers else 0) | (
            select.POLLOUT if descriptor in self._writers else 0
        )

    def turn(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds (None: for ever) and call back for everything that is ready."""
        ready = self._poll.poll(None if timeout is None else max(0, timeout * 1000))
        for descriptor, events in ready:
            if events & READABLE and (reader := self._readers.get(descriptor)):
                reader()
            if events & WRITABLE and (writer := self._writers.get(descriptor)):
                writer()
