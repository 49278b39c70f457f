"""Which requests are under way in an image, so that nobody reuses what one of them still reads or writes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Guard:
    """The image's lock, the requests under way by the epoch they began in, and the clusters being allocated."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.epoch = 1
        self.active: dict[int, int] = {}
        self.allocating: set[int] = set()
        self.alone = False

    def enter(self) -> int:
        """Begin a request, with the lock held; returns what `leave` takes."""
        while self.alone:
            self.changed.wait()
        epoch = self.epoch
        self.active[epoch] = self.active.get(epoch, 0) + 1
        return epoch

    def leave(self, epoch: int) -> None:
        """End a request."""
        with self.lock:
            self.active[epoch] -= 1
            if not self.active[epoch]:
                del self.active[epoch]
                if self.alone:
                    self.changed.notify_all()

    def stamp(self) -> int:
        """The epoch of something dropped now: requests that begin later do not know of it."""
        self.epoch += 1
        return self.epoch - 1

    @property
    def oldest(self) -> int:
        """The epoch the oldest request under way began in."""
        return min(self.active, default=self.epoch + 1)

    def claim(self, clusters: range) -> None:
        """Wait, with the lock held, until nobody allocates any of a disk's clusters."""
        while not self.allocating.isdisjoint(clusters):
            self.changed.wait()

    def release(self, clusters: range) -> None:
        """Say, with the lock held, that clusters are allocated."""
        self.allocating.difference_update(clusters)
        self.changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock with no request under way."""
        with self.lock:
            while self.alone:
                self.changed.wait()
            self.alone = True
            try:
                while self.active:
                    self.changed.wait()
                yield
            finally:
                self.alone = False
                self.changed.notify_all()
