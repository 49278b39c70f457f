"""What the guest gets over a connection: kept until it is acknowledged, sent again where it was lost.

Retransmission as RFC 6298 has it, loss recovery and congestion as RFC 5681 and 6582 (NewReno) do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.tcp_receive import Budget

LEAST_TIMEOUT, MOST_TIMEOUT, FIRST_TIMEOUT = 0.2, 60.0, 1.0
MOST_TRIES = 12
FIRST_CONGESTION_WINDOW = 1 << 20
"""Bytes. The wire is a buffer in memory: it is the guest's queue that may be short, and loss tells that."""

MOST_CHUNKS = 1024
LEAST_QUEUE, WORTHWHILE = 1 << 16, 1 << 15

Send = Callable[[int, Buffer, bool], bool]
"""Sends the payload at a sequence number, with FIN or without; False where the link has no room."""


class Sender:
    """The stream to the guest. Sequence numbers count on beyond 32 bits.

    `una` is the first that is not acknowledged, `nxt` the next to send, `end` the one behind all that is queued.
    """

    def __init__(self, budget: Budget, first: int, send: Send) -> None:
        self._budget = budget
        self._send = send
        self.una = self.nxt = self.end = self.highest = first
        self.window = 0
        self._largest_window = 0
        self._chunks: deque[tuple[int, bytes]] = deque()
        self.finished = False
        self.blocked = False
        """The link had no room: to be tried again when it has."""
        self.mss = self.largest = 536
        self._congestion = FIRST_CONGESTION_WINDOW
        self._threshold = 1 << 30
        self._duplicates = 0
        self._recover: int | None = None
        self._timed: tuple[int, float] | None = None
        self._smoothed = -1.0
        self._variation = 0.0
        self._timeout = FIRST_TIMEOUT
        self.tries = 0
        self.due = float("inf")
        """When something is to be sent again, or a closed window probed."""

    @property
    def done(self) -> bool:
        """Whether everything, FIN included, is acknowledged."""
        return self.finished and self.una == self.end + 1

    def room(self) -> int:
        """How many bytes more to have in the queue: what the guest's window takes, or a frame; 0 for too few."""
        if self.finished or len(self._chunks) >= MOST_CHUNKS:
            return 0
        budget, queued = self._budget, self.end - self.una
        if budget.used >= budget.total:
            return 0 if queued else budget.least
        room = max(LEAST_QUEUE, min(self.window, budget.share())) - queued
        return room if room >= WORTHWHILE else 0

    def add(self, data: bytes) -> None:
        """Queue some bytes."""
        self._chunks.append((self.end, data))
        self.end += len(data)
        self._budget.used += len(data)

    def finish(self) -> None:
        """Nothing comes behind what is queued."""
        self.finished = True

    def set_window(self, window: int) -> None:
        """The guest has said how much it takes behind `una`."""
        if window and not self.window:
            self._timeout = self._base()  # not what the probes had come to
        self.window = window
        self._largest_window = max(self._largest_window, window)

    def transmit(self, now: float) -> None:
        """Send what the windows allow."""
        self.blocked = False
        limit = self.una + min(self.window, self._congestion)
        while self.nxt < self.end:
            usable = limit - self.nxt
            piece, last = self._piece(self.nxt, min(usable, self.largest))
            if not self._worth(len(piece), last):
                break
            if not self._send(self.nxt, piece, last and self.finished):
                self.blocked = True
                break
            self._sent(now, len(piece) + (1 if last and self.finished else 0))
        if self.finished and self.nxt == self.end and not self.blocked:
            if self._send(self.nxt, b"", True):
                self._sent(now, 1)
            else:
                self.blocked = True
        if self.due == float("inf") and (self.nxt > self.una or self.end > self.una):
            self.due = now + self._timeout

    def _sent(self, now: float, size: int) -> None:
        if self._timed is None and self.nxt == self.highest:
            self._timed = (self.nxt + size, now)
        self.nxt += size
        self.highest = max(self.highest, self.nxt)
        if self.due == float("inf"):
            self.due = now + self._timeout

    def _worth(self, size: int, last: bool) -> bool:
        """Whether a segment may go: no small part of what waits, while others are under way (RFC 1122, 4.2.3.4)."""
        if size <= 0:
            return False
        return last or size >= self.mss or self.nxt == self.una or size >= self._largest_window >> 1

    def _piece(self, at: int, most: int) -> tuple[Buffer, bool]:
        """At most `most` bytes from `at` on, out of one chunk (or several small ones); whether they are the last."""
        if most <= 0:
            return b"", False
        chunks = self._chunks
        index = len(chunks) - 1
        while chunks[index][0] > at:
            index -= 1
        start, data = chunks[index]
        offset = at - start
        piece: Buffer
        if offset == 0 and len(data) <= most:
            piece = data
        else:
            piece = memoryview(data)[offset : offset + most]
        if len(piece) < self.mss and len(piece) < most and index + 1 < len(chunks):
            piece = self._gathered(index + 1, bytearray(piece), min(most, self.mss))
        return piece, at + len(piece) == self.end

    def _gathered(self, index: int, piece: bytearray, most: int) -> bytearray:
        """Small chunks make one segment."""
        chunks = self._chunks
        while index < len(chunks) and len(piece) < most:
            piece += chunks[index][1][: most - len(piece)]
            index += 1
        return piece

    def acknowledged(self, ack: int, plain: bool, now: float) -> bool:
        """The guest acknowledges up to `ack`, of `una` to `highest`; whether that is something new.

        `plain` says that the segment brought neither data nor another window.
        """
        if ack == self.una:
            if plain and self.highest > self.una:
                self._duplicate(now)
            return False
        self._measure(ack, now)
        self._timeout = self._base()
        gained = ack - self.una
        self.una = ack
        self.nxt = max(self.nxt, ack)
        self._release()
        self._duplicates = 0
        self.tries = 0
        if self._recover is not None and ack < self._recover:
            self._resend()
        else:
            self._recover = None
            if self._congestion < FIRST_CONGESTION_WINDOW:
                grown = (
                    min(gained, 2 * self.mss)
                    if self._congestion < self._threshold
                    else (max(1, self.mss * self.mss // self._congestion))
                )
                self._congestion += grown
        self.due = now + self._timeout if self.highest > ack or self.end > ack else float("inf")
        return True

    def _measure(self, ack: int, now: float) -> None:
        if self._timed is None or ack < self._timed[0]:
            return
        took = now - self._timed[1]
        self._timed = None
        if self._smoothed < 0:
            self._smoothed, self._variation = took, took / 2
        else:
            self._variation += (abs(self._smoothed - took) - self._variation) / 4
            self._smoothed += (took - self._smoothed) / 8

    def _base(self) -> float:
        """The timeout by what was measured."""
        if self._smoothed < 0:
            return FIRST_TIMEOUT
        return min(MOST_TIMEOUT, max(LEAST_TIMEOUT, self._smoothed + 4 * self._variation))

    def _release(self) -> None:
        chunks = self._chunks
        while chunks and chunks[0][0] + len(chunks[0][1]) <= self.una:
            self._budget.used -= len(chunks.popleft()[1])

    def _duplicate(self, now: float) -> None:
        self._duplicates += 1
        if self._duplicates == 3 and self._recover is None:
            self._recover = self.highest
            self._slow_down()
            self._congestion = self._threshold
            self._resend()
            self.due = now + self._timeout

    def _slow_down(self) -> None:
        self._threshold = max((self.highest - self.una) >> 1, 2 * self.mss)
        self._timed = None

    def _resend(self) -> None:
        """Send the first segment again that is not acknowledged."""
        self._timed = None
        finished = self.highest > self.end
        if self.una >= self.end:
            self._send(self.una, b"", finished)
            return
        most = min(self.largest, max(self.mss, self._congestion >> 1), self.highest - self.una)
        piece, last = self._piece(self.una, most)
        self._send(self.una, piece, last and finished)

    def expired(self, now: float) -> bool:
        """`due` has come: send again from the start; False once that has been tried too often."""
        self.tries += 1
        if self.tries > MOST_TRIES:
            return False
        if self.highest > self.una:
            if self.tries == 1:
                self._slow_down()
            self._congestion = self.mss
            self._recover = None
            self._duplicates = 0
            self.nxt = self.una
        self._timeout = min(MOST_TIMEOUT, self._timeout * 2)
        self.due = now + self._timeout
        self.transmit(now)
        return True

    @property
    def probing(self) -> bool:
        """Whether there is something to send, nothing under way, and no window."""
        return self.window == 0 and self.highest == self.una and self.end > self.una

    def probe(self, now: float) -> None:
        """A probe was sent, and answered or not: the next one comes later."""
        self._timeout = min(MOST_TIMEOUT, self._timeout * 2)
        self.due = now + self._timeout

    def drop(self) -> None:
        """Let go of everything."""
        self._budget.used -= sum(len(data) for _, data in self._chunks)
        self._chunks.clear()
        self.end = self.nxt
