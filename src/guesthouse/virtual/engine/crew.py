"""What the native engines of one machine share, and how all of them are kept out of native code for a moment.

See `memory.crew` for what the processors do about it natively.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from guesthouse.host.memory import Mapping
from guesthouse.virtual.memory import peers
from guesthouse.virtual.memory.frames import FRAME, PAGE
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.layout import StateLayout
from guesthouse.virtual.spec.state import ProcessorState

A_MOMENT = 50e-6  # seconds: the others come out at the end of their slices
LONGEST_MOMENT = 400e-6
SPINS = 20

Enter = Callable[[int], None]
Asked = tuple[int, int]
"""A processor's number, and how often it had looked around when it was asked."""


class Crew:
    """Lines and rings of `count` processors, and one more writer: the machine, whose state is `monitor`."""

    def __init__(self, memory: GuestMemory, layout: StateLayout, count: int) -> None:
        self.count = count
        self.states: list[ProcessorState] = []
        self._lines = Mapping((count + 1) * peers.LINE, "the processors' lines")
        self._rings = Mapping(count * (count + 1) * peers.RING, "the processors' rings")
        self._seen = Mapping(count * count * 8, "the processors' lines")
        self._table = memory.size // PAGE * FRAME
        self._frames = Mapping(count * self._table, "the frame table")
        self._words = self._lines.view.cast("Q")
        self._asked: list[Asked] = []
        self._closed = False
        self._opened = threading.Event()
        self._exclusion = threading.RLock()
        self.monitor = ProcessorState(layout)
        self._share(self.monitor, count)

    def _share(self, s: ProcessorState, number: int) -> None:
        s.peers, s.peer_count = self._lines.address, self.count
        s.own_line, s.own_number = self._lines.address + number * peers.LINE, number

    def connect(self, s: ProcessorState) -> int:
        """Give a processor, with its shadow page table, its place; gives its number."""
        number = len(self.states)
        self.states.append(s)
        self._share(s, number)
        s.own_code = 1 << (32 + number)
        s.own_frames = self._frames.address + number * self._table
        s.looks_seen = self._seen.address + number * self.count * 8
        self._set(number, peers.BANKS, s.banks)
        self._set(number, peers.BANKS_USED, s.address + s.layout.offset("banks_used"))
        self._set(number, peers.OWN_FRAMES, s.own_frames)
        self._set(number, peers.RINGS, self._rings.address + number * (self.count + 1) * peers.RING)
        return number

    def _set(self, number: int, what: int, value: int) -> None:
        self._words[(number * peers.LINE + what) // 8] = value

    def _get(self, number: int, what: int) -> int:
        return self._words[(number * peers.LINE + what) // 8]

    def entering(self, number: int, enter: Enter) -> Enter:
        """`enter` as it is for a processor among others."""
        words, at = self._words, (number * peers.LINE + peers.NATIVE) // 8

        def go(address: int) -> None:
            words[at] = 1
            while self._closed:
                words[at] = 0
                self._opened.wait()
                words[at] = 1
            try:
                enter(address)
            finally:
                words[at] = 0

        return go

    # --- asking others ------------------------------------------------------------------------------------------------

    def note_refetch(self, number: int) -> int:
        """Ask a processor to fetch code afresh; `peers.ask` must follow. Gives its line's address."""
        self._set(number, peers.REFETCH, 1)
        return self._lines.address + number * peers.LINE

    def note_forget(self, number: int, address: int, pages: int, space: int) -> int:
        """Ask a processor to forget a range of the guest's page tables; else as `note_refetch`.

        Only one thread may do so at a time.
        """
        if self._get(number, peers.FORGET):
            self._set(number, peers.FORGET, peers.FORGET_ALL)
        else:
            self._set(number, peers.FIRST, address)
            self._set(number, peers.PAGES, pages)
            self._set(number, peers.SPACE, space)
            self._set(number, peers.FORGET, peers.FORGET_RANGE)
        return self._lines.address + number * peers.LINE

    def note_asked(self, number: int) -> None:
        """Note whom to wait for: who has just been asked in native code. Who is outside looks before it enters."""
        if self._get(number, peers.NATIVE):
            self._asked.append((number, self._get(number, peers.LOOKS)))

    def take_asked(self) -> Sequence[Asked]:
        """Who has been asked since the last call and is to be waited for."""
        asked, self._asked = self._asked, []
        return asked

    def wait_for(self, asked: Sequence[Asked]) -> None:
        """Wait until each of these has looked around again, or is out of native code."""
        for number, looks in asked:
            spins, moment = 0, A_MOMENT
            while self._get(number, peers.NATIVE) and self._get(number, peers.LOOKS) == looks:
                spins += 1
                if spins > SPINS:
                    time.sleep(moment)
                    moment = min(2 * moment, LONGEST_MOMENT)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Have no processor in native code meanwhile; called by a thread that is in none itself."""
        with self._exclusion:
            self._opened.clear()
            self._closed = True
            try:
                for number, state in enumerate(self.states):
                    while self._get(number, peers.NATIVE):
                        state.request = 1
                        time.sleep(A_MOMENT)
                yield
            finally:
                self._closed = False
                self._opened.set()

    def close(self) -> None:
        """Give the memory back to the host."""
        self._words.release()
        for mapping in (self._lines, self._rings, self._seen, self._frames):
            mapping.close()
