"""A loop over many sockets: epoll(7), told once about each socket and asked once a turn.

What a socket can do is told when that changes (edge-triggered): so a busy stream costs no calls but its own.
"""

import select
from collections.abc import Callable

from guesthouse.host.loop import READABLE, WRITABLE, Loop

EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
INPUT = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP
OUTPUT = select.EPOLLOUT
ENDED = select.EPOLLRDHUP | select.EPOLLHUP
BROKEN = select.EPOLLERR
MOST_EVENTS = 256


class NetworkLoop(Loop):
    """As `Loop`, but not for regular files; one thread uses it."""

    def __init__(self, woken: Callable[[], None] = lambda: None) -> None:
        """`woken` is called after each waiting, before everything else."""
        super().__init__()
        self._epoll = select.epoll()
        self._poll = self._epoll
        self._edges: dict[int, Callable[[int], None]] = {}
        self.woken = woken

    def watch(self, descriptor: int, callback: Callable[[int], None] | None) -> None:
        """Call back with what has become possible (INPUT, OUTPUT, ENDED, BROKEN); None stops that."""
        if callback is None:
            if self._edges.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)
        else:
            if descriptor not in self._edges:
                self._epoll.register(descriptor, EDGES)
            self._edges[descriptor] = callback

    def turn(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds (None: for ever) and call back for everything that is ready."""
        ready = self._epoll.poll(timeout, MOST_EVENTS)
        self.woken()
        for descriptor, events in ready:
            if callback := self._edges.get(descriptor):
                callback(events)
                continue
            if events & READABLE and (reader := self._readers.get(descriptor)):
                reader()
            if events & WRITABLE and (writer := self._writers.get(descriptor)):
                writer()

    def close(self) -> None:
        """Let go of it."""
        self._epoll.close()
