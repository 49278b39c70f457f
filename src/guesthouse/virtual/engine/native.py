"""The native engine in the process that runs the guest: loads what the compile service made and enters it.

It knows no LLVM and no instruction set; the set's description is read for names and layout only.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial

from guesthouse.host.memory import Mapping, address_of
from guesthouse.virtual.engine.crew import Crew, Enter
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.objects import Arena, decoded
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.source import symbol_of
from guesthouse.virtual.engine.stitcher import LEAST_ROOM, ROOM, Stitcher
from guesthouse.virtual.engine.translations import HOT, ROUND, Translations
from guesthouse.virtual.memory import code_page, frames, shadow
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.host_words import Handler
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64

ARENA = 256 << 20
CODE_POOL_PAGES = 4096
SLICE = 1 << 14
EXITS = {int(reason): reason for reason in Exit}
NEVER_HOT = 1 << 8  # rounds: more than are counted
STITCHING, TRANSLATING = ("auto", "stitcher"), ("auto", "translator")


def nothing() -> None:
    """Where nobody collects."""


def code_page_size(unit: int) -> int:
    """Bytes of a code page (see `memory.code`)."""
    slots = 4096 // unit
    behind = code_page.SENTINELS * code_page.SLOT + code_page.WORDS
    return slots * (code_page.SLOT + 1) + behind


class NativeEngine:
    """Runs one processor in native code; `run` is the contract that every engine keeps.

    The processors of one machine have an engine each. They share what the first one was made with (`make_native`).
    """

    def __init__(
        self,
        isa: Isa,
        memory: GuestMemory,
        state: ProcessorState,
        code_source: NativeCode,
        mode: str = "auto",
        hot: int | None = None,
        processors: int = 1,
        first: NativeEngine | None = None,
    ) -> None:
        """`mode`: interpreter, stitcher, translator (which waits for each region), or auto, which is all of them.

        hot: jumps that make a place worth translating; then a single one makes it worth stitching.
        processors: how many the machine has; for all but the first, `first` is the first one's engine.
        """
        self.isa = isa
        self._source = code_source
        self._first = first
        self.memory = memory
        self.state = state
        if first is None:
            self.arena = Arena(ARENA)
            self.arena.symbols |= self.arena.place(decoded(code_source.runtime()))
            self.crew = Crew(memory, state.layout, processors)
        else:
            self.arena, self.crew = first.arena, first.crew
        self._banks = Mapping(isa.contexts * shadow.BANK, "the shadow page table")
        self._fetch = Mapping(isa.contexts * shadow.FETCH_BANK, "the shadow page table")
        page = code_page_size(isa.unit)
        self._pool = Mapping((CODE_POOL_PAGES + 1) * page, "decoded code")
        self._symbol = {semantics.__name__: symbol_of(semantics) for semantics in Runtime.SOURCES}
        self._enter: Enter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.arena.symbols["enter"])
        decode = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
        self._decode = decode(self.arena.symbols["decode"])
        names = ("instructions", "target", "slice_end", "remaining", "exit_reason", "collected_count")
        self._places = [state.layout.slot[name] for name in names]
        self._breakpoints = array("Q")
        self._watches = array("Q")
        self._connect(page)
        self.on_collected: Callable[[], object] = nothing
        """Takes what devices were sent while native code ran (see `memory.shortcut`)."""
        self.translations: Translations | None = None
        self.stitcher: Stitcher | None = None
        self._add_tiers(mode, hot)
        if first is None:
            self.arena.keep()

    def _add_tiers(self, mode: str, hot: int | None) -> None:
        first, s = self._first, self.state
        s.heat_first, s.heat_start = (ROUND - 1, ROUND - 1) if hot else (code_page.COUNTED, 0)
        if mode in STITCHING:
            room = max(LEAST_ROOM, ROOM // self.crew.count)
            known = first.stitcher if first else None
            self.stitcher = Stitcher(s, self.arena, room, known or self._source.stencils())
        if mode in TRANSLATING:
            shared = first.translations if first else None
            self.translations = shared or Translations(self, self._source, waits=mode == "translator")
            if shared is not None:
                shared.engines.append(self)
            s.hot = hot or HOT // ROUND
            s.pages_kept = self.translations.pages_kept

    def _connect(self, page: int) -> None:
        s, memory = self.state, self.memory
        s.ram_base, s.ram_size, s.ram_host = memory.base, memory.size, memory.mapping.address
        s.frames = memory.table.address
        s.banks, s.bank_count = self._banks.address, self.isa.contexts
        s.fetch_banks = self._fetch.address
        s.lonely_page = self._pool.address
        s.code_pool = s.code_next = self._pool.address + page
        s.code_end = self._pool.address + (CODE_POOL_PAGES + 1) * page
        s.slice = SLICE
        s.hot = NEVER_HOT
        number = self.crew.connect(s)
        if self.crew.count > 1:
            self._enter = self.crew.entering(number, self._enter)
        s.clock_function = address_of("clock_gettime")
        s.sleep_function = address_of("usleep")
        lookup = self.arena.symbols[f"handler.{int(Handler.LOOKUP)}"]
        self._call("clear_code_page", s.lonely_page, 0, 0, lookup)
        if self._first is None:
            writer = s
            if self.crew.count > 1:
                writer = self.crew.monitor
                writer.ram_base, writer.ram_size, writer.ram_host = s.ram_base, s.ram_size, s.ram_host
                writer.frames = s.frames
            memory.gate = lambda frame, physical, size: self._call("pass_gate", frame, physical, size, state=writer)

    def _call(self, name: str, *arguments: int, state: ProcessorState | None = None) -> None:
        kinds = [ctypes.c_void_p] + [ctypes.c_uint64] * len(arguments)
        function = ctypes.CFUNCTYPE(None, *kinds)(self.arena.symbols[self._symbol[name]])
        function((state or self.state).address, *arguments)

    def run(self, budget: int) -> Exit:
        """Run until something needs the monitor, at most `budget` steps (instructions and traps)."""
        # Slots by number: this runs at every device access.
        slots, enter, address = self.state.slots, self._enter, self.state.address
        instructions, target, slice_end, remaining, exit_reason, collected_count = self._places
        now = slots[instructions]
        slots[target], slots[slice_end], slots[remaining], slots[exit_reason] = now + budget & MASK64, now, 0, 0
        enter(address)
        while slots[exit_reason] == Exit.SERVICE:
            self._serve()
            slots[exit_reason] = 0
            enter(address)
        slots[instructions] = slots[slice_end] - slots[remaining] & MASK64
        if slots[collected_count]:
            self.on_collected()
        return EXITS[slots[exit_reason]]

    def _serve(self) -> None:
        """What a service exit is for: room for blocks, or translations."""
        if self.stitcher is not None and self.state.stitch_full:
            self.forget()
            self.stitcher.empty()
        elif self.translations is not None:
            self.translations.serve(self)

    def code_page_of(self, frame: int) -> int:
        """Host address of the code page for a frame (host address of its entry), 0 for none."""
        entry = self.state.own_frames + (frame - self.state.frames)
        return int(ctypes.c_uint64.from_address(entry + frames.CODE).value)

    def decode(self, slot: int, word: int) -> int:
        """Fill a decoded slot from instruction bits; gives the length, 0 where none matches."""
        return int(self._decode(slot, word))

    @property
    def passing(self) -> int:
        """What does not stop now: bit 0 breakpoints, bit 1 watches."""
        return int(self.state.passing)

    @passing.setter
    def passing(self, value: int) -> None:
        self.state.passing = value

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        """Stop before the instructions at these guest-virtual addresses, and no others."""
        table = array("Q", sorted(addresses))
        if table != self._breakpoints:
            self._breakpoints = table
            self.state.breakpoints, self.state.breakpoint_count = table.buffer_info()
            self.forget()

    def set_watches(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Stop before accesses to these: first address, the one behind, 1 reads | 2 writes; guest-physical."""
        table = array("Q", [word for watch in ranges for word in watch])
        if table != self._watches:
            self._watches = table
            self.state.watches, words = table.buffer_info()
            self.state.watch_count = words * 8 // shadow.WATCH
            self.memory.watch(zip(table[0::3], table[1::3], strict=True))
            self.forget_translations()

    def tier_at(self, physical: int) -> str:
        """Which tier holds the instruction at a guest-physical address: interpreter, stitcher or translator."""
        page = self._code_page(physical) if self.memory.contains(physical) else 0
        offset = physical % frames.PAGE
        if not page or not self._holds(page, offset):
            return "interpreter"
        if self.translations is not None and self.translations.holds(page, offset):
            return "translator"
        return "stitcher"

    def _code_page(self, physical: int) -> int:
        """Host address of the code page of a frame, 0 where it has none."""
        return self.code_page_of(self.state.frames + (physical - self.memory.base) // frames.PAGE * frames.FRAME)

    def _holds(self, page: int, offset: int) -> bool:
        """Whether a block or region holds the instruction at a page offset; it may have been entered in its middle."""
        slots = frames.PAGE // self.isa.unit
        held = page + (slots + code_page.SENTINELS) * code_page.SLOT + code_page.WORDS
        return bool(ctypes.c_uint8.from_address(held + offset // self.isa.unit).value)

    def forget_translations(self) -> None:
        """Drop what is remembered of the guest's page tables."""
        self._call("forget_translations")

    def exclusive(self) -> AbstractContextManager[None]:
        """Have no processor of the machine in native code meanwhile; called by a thread that is in none itself."""
        return self.crew.exclusive()

    def fence_code(self, numbers: Iterable[int]) -> None:
        """Have processors see code written before; who asks must wait for that (`fences`)."""
        self._fence(numbers, self.crew.note_refetch)

    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None:
        """Have processors forget a range of the guest's page tables (see `hooks.fence_range`), likewise."""
        self._fence(numbers, lambda number: self.crew.note_forget(number, address, pages, space))

    def fences(self) -> Callable[[], None] | None:
        """What waits for the fences asked for since the last call; None where nobody is in native code.

        Afterwards none of the processors runs an instruction of the guest's without having done what it was asked.
        They are waited for at the end of their slices only, or longer where the host has others run meanwhile: so the
        waiting is for a thread that holds nothing.
        """
        asked = self.crew.take_asked()
        return partial(self.crew.wait_for, asked) if asked else None

    def _fence(self, numbers: Iterable[int], note: Callable[[int], int]) -> None:
        for number in numbers:
            self._call("ask", note(number), state=self.crew.monitor)
            self.crew.note_asked(number)

    def close(self) -> None:
        """Give everything back to the host; the engine may not be used any more. The first one must be closed last."""
        if self.translations is not None and self._first is None:
            self.translations.close()
        if self.stitcher is not None:
            self.stitcher.close()
        for mapping in (self._banks, self._fetch, self._pool):
            mapping.close()
        if self._first is None:
            self._source.close()
            self.arena.mapping.close()
            self.crew.close()

    def forget(self) -> None:
        """Drop all decoded code and cached translations (the memory under them was replaced)."""
        self._call("drop_all_code")
        self._call("forget_translations")
