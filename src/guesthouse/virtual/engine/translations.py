"""The code cache: which regions are wanted, on their way, and installed.

A hot place is asked for from the persistent cache or the compile service; when the object comes, it is linked into the
arena and its address put into the region's first slot. The guest runs on meanwhile, unless the engine waits for each.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.engine.code_names import beside, page_digest
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.objects import ArenaFull, decoded
from guesthouse.virtual.engine.wishes import Wishes
from guesthouse.virtual.memory import code_page as layout
from guesthouse.virtual.spec.host_words import Handler

if TYPE_CHECKING:
    from guesthouse.virtual.engine.native import NativeEngine

PAGE = 4096
ROUND = 256  # jumps with which the byte that counts them comes round: a place is warm (first: see `COUNTED`)
HOT = 160 * ROUND  # a counter's value at which the translator hears of a place (again with each 65536 more)
ROUNDS = 256  # that a counter of jumps tells apart
OFTEN = 12  # reports that a place is hot until a region is worth what it costs to make
LONGEST_QUEUE = 8  # regions asked for at once: the guest must never wait for the compile service to read

NO_REGION: dict[str, Any] = {"count": 0}


class Wanted(msgspec.Struct, frozen=True):
    """A hot place: its code page (host address), the offset of its first instruction, the bytes seen there."""

    engine: NativeEngine  # whose code page it is
    code_page: int
    entry: int
    page: bytes
    name: str


class Counts(msgspec.Struct):
    """What translating has come to."""

    translated: int = 0  # regions made by the compile service
    instructions: int = 0  # guest instructions in them
    seconds: float = 0.0  # of its processor time
    from_cache: int = 0
    installed: int = 0
    refused: int = 0


class Translations:
    """The regions of one engine, or of all that share it: each installs in its own code pages, in its own thread."""

    def __init__(self, engine: NativeEngine, source: NativeCode, waits: bool) -> None:
        self.engine = engine
        self.engines = [engine]
        self._serving = engine
        self._lock = threading.Lock()
        self._ready: list[Wanted] = []  # come while another engine served; they are known
        self.source = source
        self.waits = waits
        self.counts = Counts()
        self._known: dict[str, dict[str, Any]] = {}  # by name; with `address` once it is in the arena
        self._placed: dict[int, dict[int, dict[str, Any]]] = {}  # regions by code page and slot, also undone ones
        self._heard: dict[bytes, dict[int, int]] = {}  # by page's content and offset: how often a place was hot
        self._kept = {} if waits else source.regions_by_page()
        self._wishes = Wishes()
        self._asked: dict[str, Wanted] = {}  # by name: answers come in any order
        self._arrived: deque[dict[str, Any] | None] = deque()  # None: the service is gone
        self._requests = threading.Semaphore(0)
        self._listener: threading.Thread | None = None
        unit = engine.isa.unit
        self._words = PAGE // unit * layout.SLOT + layout.SENTINELS * layout.SLOT
        self._map = self._words + layout.WORDS

    @property
    def pages_kept(self) -> int:
        """Pages of which there was a translation in the persistent cache at the start."""
        return len(self._kept)

    def serve(self, engine: NativeEngine | None = None) -> None:
        """What a service exit is for: install what has arrived, ask for what has become hot."""
        with self._lock:
            self._serving = engine or self.engine
            s = self._serving.state
            if s.asks:
                s.asks = 0
                self._install_kept(s.code_page)
            elif s.arrived:
                s.arrived = 0
                while self._arrived:
                    self._take(self._arrived.popleft())
                self._install_ready()
            else:
                self._want(s.code_page, s.pc & 0xFFF)

    def _install_ready(self) -> None:
        waiting, self._ready = self._ready, []
        for wanted in waiting:
            self._install(wanted, self._known[wanted.name])

    # --- asking -------------------------------------------------------------------------------------------------------

    def _want(self, code_page: int, entry: int) -> None:
        if not _read(code_page + self._words + layout.FRAME_PAGE):
            return  # the lonely page: what runs there may not stay decoded
        host = _read(code_page + self._words + layout.HOST_PAGE)
        page = ctypes.string_at(host, PAGE)
        name = self.source.region_name(page, entry)
        wanted = Wanted(self._serving, code_page, entry, page, name)
        heard = self._heard.setdefault(page, {})
        # On disk is looked for only once: what is made meanwhile for other guests, the service has.
        known = self._known.get(name) if entry in heard else self._found(wanted)
        if known is not None:
            self._install(wanted, known)
            return
        heard[entry] = heard.get(entry, 0) + 1
        self._wishes.report(name, code_page, entry, page)
        if not self.waits and heard[entry] < OFTEN:
            return
        if len(self._asked) >= LONGEST_QUEUE or any(asked.code_page == code_page for asked in self._asked.values()):
            # A region on its way from this page may hold this place too; and the queue must stay short. It comes back
            # when it has been jumped to as often again; what is hotter comes sooner.
            counter = code_page + entry // self.engine.isa.unit * layout.SLOT + layout.COUNTER
            ctypes.c_uint16.from_address(counter).value = self._serving.state.heat_start
            return
        if not self.source.request_region(page, entry, self._jumps_to(code_page, heard), heard[entry]):
            if not self._asked:
                self._lost()
            return
        self._asked[wanted.name] = wanted
        self._wishes.granted(name)
        if self.waits:
            self._take(self._answer())
        else:
            self._listen()

    def _install_kept(self, code_page: int) -> None:
        """Install what the persistent cache has of a page whose code begins to be warm."""
        if not _read(code_page + self._words + layout.FRAME_PAGE):
            return
        page = ctypes.string_at(_read(code_page + self._words + layout.HOST_PAGE), PAGE)
        entries = self._kept.get(page_digest(page), ())
        first = self.source.region_name(page, entries[0]) if entries else ""
        for entry in entries:
            wanted = Wanted(self._serving, code_page, entry, page, beside(first, entry))
            known = self._found(wanted)
            if known is not None and known["object"]:
                self._install(wanted, known)

    def _found(self, wanted: Wanted) -> dict[str, Any] | None:
        """A region that is known, or in the persistent cache."""
        known = self._known.get(wanted.name)
        if known is None and (known := self.source.known_region(wanted.name)) is not None:
            self.counts.from_cache += 1
            self._remember(wanted, known)
        return known

    def _remember(self, wanted: Wanted, region: dict[str, Any]) -> None:
        """Know a region by each of its entries."""
        self._known[wanted.name] = region
        for entry in region["entries"]:
            self._known.setdefault(beside(wanted.name, entry), region)

    def leave_wishes(self) -> None:
        """Have what was hot translated for the next run; the guest has ended."""
        if not self.waits:
            self._wishes.hand_in(
                self.source, lambda code_page, page: self._jumps_to(code_page, self._heard[page]), self._seen
            )

    def _seen(self, code_page: int) -> bytes:
        """The bytes that a code page is for, none where it was given back."""
        words = code_page + self._words
        return ctypes.string_at(_read(words + layout.HOST_PAGE), PAGE) if _read(words + layout.FRAME_PAGE) else b""

    def _jumps_to(self, code_page: int, heard: dict[int, int]) -> list[int]:
        """How often each place of a page was jumped to, -1 where no instruction has run.

        Where the engine translates sooner than it usually does, a jump counts for more.
        """
        slots = PAGE // self.engine.isa.unit
        words = (ctypes.c_uint64 * (2 * slots)).from_address(code_page)[:]
        state = self.engine.state
        a_round = ROUND - state.heat_start
        counts = [max((w >> 56) * a_round + (w >> 48 & ROUND - 1) - state.heat_first, 0) for w in words[1::2]]
        undecoded = self.engine.arena.symbols[f"handler.{int(Handler.DECODE)}"]
        weight = HOT // (a_round * state.hot)
        jumps = [-1 if handler == undecoded else weight * n for handler, n in zip(words[::2], counts, strict=True)]
        for offset, times in heard.items():
            jumps[offset // self.engine.isa.unit] += weight * times * ROUNDS * a_round
        return jumps

    def _listen(self) -> None:
        """Have a thread wait for the answer; it does nothing else."""
        if self._listener is None:
            self._listener = threading.Thread(target=self._hear, daemon=True)
            self._listener.start()
        self._requests.release()

    def _hear(self) -> None:
        while self._requests.acquire():
            answer = self._answer()
            self._arrived.append(answer)
            for engine in self.engines:
                engine.state.arrived = 1
            if answer is None:
                return

    def _answer(self) -> dict[str, Any] | None:
        """Wait for the next answer; None where the service is gone, or nobody wants to wait any more."""
        try:
            return self.source.receive()
        except (UserError, OSError, ValueError):
            return None

    def _lost(self) -> None:
        """The service is gone: what is still hot is asked for again, of another one if there is one."""
        if self._listener is not None:
            self._requests.release()
            self._listener.join()
            self._listener = None
        self._requests = threading.Semaphore(0)
        self._asked.clear()
        self._arrived.clear()
        self.source.lost()

    def holds(self, code_page: int, offset: int) -> bool:
        """Whether an installed region holds the instruction at an offset of a code page."""
        placed = self._placed.get(code_page, {})
        for slot, region in list(placed.items()):
            if _read(slot) != region.get("address"):
                del placed[slot]  # undone
            elif any(start <= offset < end for start, end in region["extents"]):
                return True
        return False

    def close(self) -> None:
        """End the thread; the source of native code must be closed next."""
        if self._listener is not None:
            self.source.interrupt()
            self._requests.release()
            self._listener.join()
            self._listener = None

    # --- installing ---------------------------------------------------------------------------------------------------

    def _take(self, answer: dict[str, Any] | None) -> None:
        if answer is None:
            self._lost()
            return
        wanted = self._asked.pop(answer["name"], None)
        if wanted is None:
            return
        self.counts.seconds += answer["seconds"]
        if "error" in answer:
            self.counts.refused += 1
            self._known[wanted.name] = {"object": b""}
            return
        self.counts.translated += 1
        self.counts.instructions += answer["count"]
        self._remember(wanted, answer)
        self._install(wanted, answer)

    def _install(self, wanted: Wanted, region: dict[str, Any]) -> None:
        if not region["object"]:
            self.counts.refused += 1
            return
        engine = wanted.engine
        if engine is not self._serving:
            self._ready.append(wanted)
            engine.state.arrived = 1
            return
        if engine.state.breakpoint_count:
            return  # code stays with the interpreter, which stops at them
        page, host = wanted.code_page, _read(wanted.code_page + self._words + layout.HOST_PAGE)
        frame = _read(page + self._words + layout.FRAME_PAGE)
        if not frame or engine.code_page_of(frame) != page:
            return  # the page was given back
        seen = ctypes.string_at(host, PAGE)
        if seen != wanted.page and any(seen[a:b] != wanted.page[a:b] for a, b in region["extents"]):
            return  # rewritten meanwhile; it becomes hot again
        if "address" not in region:
            try:
                region["address"] = self.engine.arena.place(decoded(region["object"]))["region"]
            except ArenaFull:
                self._start_over()
                return
        unit = self.engine.isa.unit
        slots = {entry: page + entry // unit * layout.SLOT for entry in region["entries"]}
        if _read(slots[wanted.entry]) == region["address"]:
            return  # its counter came round
        placed = self._placed.setdefault(page, {})
        taken = {
            entry: slot
            for entry, slot in slots.items()
            if entry == wanted.entry or self._placed_at(placed, slot)["count"] < region["count"]
        }
        for entry, slot in taken.items():
            # The region hands back to the interpreter through this slot's operands, so it must be decoded.
            word = int.from_bytes(wanted.page[entry : entry + self.engine.isa.longest], "little")
            if engine.decode(slot, word) == 0:
                return
        for start, end in region["extents"]:
            ctypes.memset(page + self._map + start // unit, 1, (end - start + unit - 1) // unit)
        for slot in taken.values():
            ctypes.c_uint64.from_address(slot).value = region["address"]
            placed[slot] = region
        self.counts.installed += 1

    def _placed_at(self, placed: dict[int, dict[str, Any]], slot: int) -> dict[str, Any]:
        """The region that is entered through a slot; what is longer stays within itself for longer."""
        region = placed.get(slot, NO_REGION)
        return region if _read(slot) == region.get("address") else NO_REGION

    def _start_over(self) -> None:
        """The arena is full: drop every translation; what is hot comes back."""
        with self.engine.crew.exclusive():
            for engine in self.engines:
                engine.forget()
            self.engine.arena.drop()
        self._placed.clear()
        for region in self._known.values():
            region.pop("address", None)


def _read(address: int) -> int:
    return int(ctypes.c_uint64.from_address(address).value)
