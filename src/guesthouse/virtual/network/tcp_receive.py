"""What the guest sends over a connection: in order, once each, and no more than there is room for."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable

from guesthouse.virtual.network.addresses import Buffer

MOST_PIECES = 256
"""Pieces out of order that are kept."""


class Budget:
    """The memory that all connections share for what is on its way, in bytes."""

    def __init__(self, total: int, least: int, most: int) -> None:
        """A connection gets between `least` and `most`, by what is left of `total`."""
        self.total = total
        self.used = 0
        self.least = least
        self._most = most

    def share(self) -> int:
        """What one connection may have on its way now."""
        return max(self.least, min(self._most, (self.total - self.used) >> 3))


class Receiver:
    """The stream from the guest; `put` is given what is in order and says how much of it was taken.

    `next` is the sequence number that is awaited, `edge` the first one that we have not allowed. Both count on
    beyond 32 bits.
    """

    def __init__(self, budget: Budget, first: int, window: int, put: Callable[[Buffer], int]) -> None:
        self._budget = budget
        self._put = put
        self.next = first
        self.edge = first + window
        self.finish: int | None = None
        """The sequence number of the guest's FIN, once that is known."""
        self._pieces: list[tuple[int, bytes]] = []
        self._held = 0
        self._waiting: deque[Buffer] = deque()
        self.waiting = 0
        """Bytes in order that nobody has taken yet."""

    @property
    def ended(self) -> bool:
        """Whether everything up to the FIN has come (it may still be waiting)."""
        return self.finish is not None and self.next > self.finish

    def take(self, at: int, payload: memoryview, fin: bool) -> None:
        """A segment, `at` bytes behind `next` (or before it)."""
        start = self.next + at
        if fin and self.finish is None and start + len(payload) <= self.edge:
            self.finish = start + len(payload)
        if at < 0:
            payload = payload[-at:]
            start = self.next
        room = (self.edge if self.finish is None else min(self.edge, self.finish)) - start
        if len(payload) > room:
            payload = payload[: max(0, room)]
        if start > self.next:
            self._keep(start, payload)
        elif payload:
            self.next += self._pass_on(payload)
            if self._pieces:
                self._follow()
        if self.next == self.finish:
            self.next += 1
            self._drop_pieces()

    def _pass_on(self, data: Buffer) -> int:
        """How much of what is in order was taken, or kept. Where memory is short the rest comes again."""
        taken = 0 if self.waiting else self._put(data)
        if taken < len(data):
            room = max(self._budget.total - self._budget.used, self._budget.least - self.waiting)
            rest = bytes(data[taken : taken + max(0, room)])
            if rest:
                self._waiting.append(rest)
                self.waiting += len(rest)
                self._budget.used += len(rest)
            taken += len(rest)
        return taken

    def drain(self) -> bool:
        """Offer what waits once more; whether all of it was taken."""
        while self._waiting:
            piece = self._waiting.popleft()
            taken = self._put(piece)
            self.waiting -= taken
            self._budget.used -= taken
            if taken < len(piece):
                self._waiting.appendleft(memoryview(piece)[taken:])
                return False
        return True

    def window(self) -> int:
        """How much the guest may send from `next` on; moves the edge, never back, and not by little steps."""
        if self.finish is not None:
            return max(0, self.edge - self.next)
        share = self._budget.share()
        edge = self.next + max(0, share - self.waiting)
        if edge - self.edge >= min(share >> 1, 16384):
            self.edge = edge
        return self.edge - self.next

    def _keep(self, start: int, payload: memoryview) -> None:
        """Keep what came too early, without what is there already."""
        pieces = self._pieces
        if not payload or len(pieces) >= MOST_PIECES or self._budget.used > self._budget.total:
            return
        index = bisect_left(pieces, start, key=_start)
        if index and (over := pieces[index - 1][0] + len(pieces[index - 1][1]) - start) > 0:
            payload = payload[over:]
            start += over
        if index < len(pieces):
            payload = payload[: max(0, pieces[index][0] - start)]  # what lies beyond it comes again
        if payload:
            pieces.insert(index, (start, bytes(payload)))
            self._held += len(payload)
            self._budget.used += len(payload)

    def _follow(self) -> None:
        """Pass on what was kept and is in order now."""
        pieces = self._pieces
        done = 0
        for start, data in pieces:
            if start > self.next:
                break
            done += 1
            self._held -= len(data)
            self._budget.used -= len(data)
            if fresh := data[self.next - start :]:
                self.next += self._pass_on(fresh)
        del pieces[:done]

    def _drop_pieces(self) -> None:
        self._budget.used -= self._held
        self._held = 0
        self._pieces.clear()

    def drop(self) -> None:
        """Let go of everything."""
        self._drop_pieces()
        self._budget.used -= self.waiting
        self.waiting = 0
        self._waiting.clear()


def _start(piece: tuple[int, bytes]) -> int:
    return piece[0]
