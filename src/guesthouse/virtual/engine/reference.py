"""The reference engine: CPython calls the descriptions. It is the definition, and is never optimised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from guesthouse.virtual.memory.faults import BadAddress
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.memory.shadow import (
    FETCH,
    LOAD,
    PASS_BREAKPOINTS,
    PASS_WATCHES,
    STORE,
    WATCH_READS,
    WATCH_WRITES,
)
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64, Trap

PAGE = 4096


class Suspended(Exception):
    """The instruction cannot go on without the monitor; it changed nothing and runs again."""


class Environment:
    """What the words that touch the machine ask, over guest memory and the instruction set's hooks."""

    def __init__(self, isa: Isa, memory: GuestMemory, state: ProcessorState) -> None:
        self.hooks = isa.hooks
        self.memory = memory
        self.state = state
        self.unit = isa.unit
        self.watches: list[tuple[int, int, int]] = []
        self.passing = 0

    # --- translation --------------------------------------------------------------------------------------------------

    def _physical(self, address: int, size: int, access: int) -> int:
        """Physical address of bytes within one page, or a trap."""
        s = self.state
        context = self.hooks["fetch_context" if access == FETCH else "data_context"](s)
        page: int = self.hooks["translate"](s, address, size, access, context)
        return page & ~0xFFF | address & 0xFFF

    def _pieces(self, address: int, size: int, access: int) -> list[tuple[int, int]]:
        """(physical address, size) of an access, in two pieces where it crosses a page."""
        first = min(size, PAGE - address % PAGE)
        pieces = [(self._physical(address, first, access), first)]
        if first < size:
            pieces.append((self._physical((address + first) & MASK64, size - first, access), size - first))
        return pieces

    def _watch(self, pieces: list[tuple[int, int]], access: int) -> None:
        """Leave before an access to a watched range of RAM, unless watches are passed now."""
        if not self.watches or self.passing & PASS_WATCHES:
            return
        kind = WATCH_WRITES if access == STORE else WATCH_READS
        s = self.state
        for physical, size in pieces:
            for first, end, kinds in self.watches:
                if physical < end and first < physical + size and kinds & kind and self.memory.contains(physical, size):
                    s.exit_reason, s.exit_address, s.exit_size, s.exit_value = Exit.WATCH, physical, size, access
                    raise Suspended

    def _device(self, address: int, physical: int, size: int, access: int, value: int) -> int:
        s = self.state
        answered, s.exit_answered = s.exit_answered, 0
        if answered == 1:
            return int(s.exit_value)
        if answered == 2:
            self.hooks["access_fault"](s, address, access)
        s.exit_reason = Exit.DEVICE_READ if access == LOAD else Exit.DEVICE_WRITE
        s.exit_address, s.exit_size, s.exit_value = physical, size, value
        raise Suspended

    def _outside(self, pieces: list[tuple[int, int]], address: int, access: int) -> bool:
        """Whether a device is meant; an access across pages must be all RAM."""
        if all(self.memory.contains(*piece) for piece in pieces):
            return False
        if len(pieces) > 1:
            self.hooks["access_fault"](self.state, address, access)
        return True

    # --- the words ----------------------------------------------------------------------------------------------------

    def load(self, address: int, size: int) -> int:
        pieces = self._pieces(address, size, LOAD)
        if self._outside(pieces, address, LOAD):
            return self._device(address, pieces[0][0], size, LOAD, 0)
        self._watch(pieces, LOAD)
        return int.from_bytes(b"".join(self.memory.read(*piece) for piece in pieces), "little")

    def store(self, address: int, size: int, value: int) -> None:
        pieces = self._pieces(address, size, STORE)
        value &= (1 << 8 * size) - 1
        if self._outside(pieces, address, STORE):
            self._device(address, pieces[0][0], size, STORE, value)
            return
        self._watch(pieces, STORE)
        data = value.to_bytes(size, "little")
        for physical, length in pieces:
            self.memory.write(physical, data[:length])
            data = data[length:]

    def touch(self, address: int, access: int, size: int) -> None:
        self._physical(address, size, access)

    def zero_block(self, address: int, size: int) -> None:
        physical = self._ram_place(address & -size, size, blamed=address)
        self.memory.write(physical, bytes(size))

    def _atomic_place(self, address: int, size: int) -> int:
        return self._ram_place(address, size, blamed=address)

    def _ram_place(self, address: int, size: int, blamed: int) -> int:
        """Physical address of bytes to be stored to, within one page; a device's fail with the address `blamed`."""
        physical = self._physical(address, size, STORE)
        if not self.memory.contains(physical, size):
            self.hooks["access_fault"](self.state, blamed, STORE)
        self._watch([(physical, size)], STORE)
        return physical

    def atomic(self, address: int, size: int, change: Callable[[int], int]) -> int:
        physical = self._atomic_place(address, size)
        old = self.memory.load(physical, size)
        self.memory.store(physical, size, change(old))
        return old

    def load_reserved(self, address: int, size: int) -> int:
        value = self.load(address, size)
        self.state.reservation_address, self.state.reservation_value = address, value
        return value

    def store_conditional(self, address: int, size: int, value: int) -> int:
        s = self.state
        physical = self._atomic_place(address, size)
        expected = s.reservation_value & ((1 << 8 * size) - 1)
        held = s.reservation_address == address and self.memory.load(physical, size) == expected
        s.reservation_address = MASK64
        if held:
            self.memory.store(physical, size, value)
        return 0 if held else 1

    def fence(self) -> None:
        """One thread sees its own accesses in order."""

    def fetched(self) -> int:
        return self.instruction(self.state.pc)

    def instruction(self, pc: int) -> int:
        """The bits of the instruction at a guest-virtual address, or a trap."""
        word = self._parcel(pc)
        length = self.hooks["length"](word)
        for offset in range(self.unit, length, self.unit):
            word |= self._parcel((pc + offset) & MASK64) << (8 * offset)
        return word

    def _parcel(self, address: int) -> int:
        physical = self._physical(address, self.unit, FETCH)
        if not self.memory.contains(physical, self.unit):
            self.hooks["access_fault"](self.state, address, FETCH)
        return self.memory.load(physical, self.unit)

    def physical_load(self, address: int, size: int) -> int:
        try:
            return self.memory.load(address, size)
        except BadAddress:
            return MASK64

    def physical_compare_exchange(self, address: int, size: int, expected: int, desired: int) -> int:
        if not self.memory.contains(address, size) or self.memory.load(address, size) != expected:
            return 0
        self.memory.store(address, size, desired)
        return 1

    def nanoseconds(self) -> int:
        s = self.state
        now = s.slice_end - s.remaining if s.counted_clock else time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return int(now + s.clock_offset) & MASK64

    def retired(self) -> int:
        s = self.state
        return int(s.slice_end - s.remaining - s.trapped)

    def relax(self) -> None:
        """Processors take turns anyway."""
        self.state.synchronized = True

    def synchronize(self) -> None:
        self.state.synchronized = True

    def forget_translations(self) -> None:
        self.state.synchronized = True

    def forget_translation(self, address: int, pages: int) -> None:
        self.state.synchronized = True

    def forget_context(self, context: int) -> None:
        self.state.synchronized = True

    def leave(self, reason: int) -> None:
        self.state.exit_reason = reason
        self.state.synchronized = True


class ReferenceEngine:
    """Runs one processor by calling its descriptions, one after the other."""

    def __init__(self, isa: Isa, memory: GuestMemory, state: ProcessorState) -> None:
        self.isa = isa
        self.memory = memory
        self.state = state
        self.environment = Environment(isa, memory, state)
        state.environment = self.environment
        self._order = isa.decode_order
        self._breakpoints: frozenset[int] = frozenset()
        self._decoded: dict[int, Instruction | None] = {}

    def run(self, budget: int) -> Exit:
        """Run until something needs the monitor, at most `budget` steps (instructions and traps)."""
        s = self.state
        s.target = s.instructions + budget
        s.slice_end, s.remaining, s.exit_reason = s.instructions, 0, 0
        s.synchronized = True
        try:
            while True:
                try:
                    if s.synchronized or not s.remaining:
                        if self._stops():
                            break
                        s.synchronized = False
                    self._step()
                except Trap as trap:
                    s.remaining -= 1
                    s.trapped += 1
                    s.trap_counts[(trap.cause >> 63) << 5 | trap.cause & 31] += 1
                    self.isa.hooks["take_trap"](s, trap.cause, trap.value)
                    s.synchronized = True
        except Suspended:
            pass
        s.instructions = s.slice_end - s.remaining
        return Exit(s.exit_reason)

    def _stops(self) -> bool:
        """Look at everything else than the next instruction; as `control.find_next` does natively."""
        s = self.state
        if s.exit_reason:
            return True
        if not s.remaining:
            if s.slice_end >= s.target:
                s.exit_reason = Exit.BUDGET
                return True
            if s.slice_end & (s.slice - 1) == 0:
                s.attention = 1
            end = min(s.slice_end | (s.slice - 1), s.target - 1) + 1
            s.remaining, s.slice_end = end - s.slice_end, end
        if s.request:
            s.exit_reason = Exit.ATTENTION
            return True
        if s.attention:
            if s.exit_answered:  # the access that left has been done: its instruction comes first, then the interrupt
                s.remaining, s.slice_end = 1, s.slice_end - s.remaining + 1
            else:
                self.isa.hooks["poll"](s)
        return False

    def _step(self) -> None:
        s = self.state
        if self._breakpoints and s.pc in self._breakpoints and not self.passing & PASS_BREAKPOINTS:
            s.exit_reason = Exit.BREAKPOINT
            raise Suspended
        word = self.environment.instruction(s.pc)
        instruction = self.decode(word)
        if instruction is None:
            self.isa.hooks["illegal"](s)
            return
        pattern = instruction.pattern
        s.next_pc = (s.pc + pattern.length) & MASK64
        instruction.semantics(s, *(pattern.operand(name).extract(word) for name in instruction.parameters))
        s.pc = s.next_pc
        s.remaining -= 1

    def decode(self, word: int) -> Instruction | None:
        """The instruction with these bits, None where there is none."""
        if word not in self._decoded:
            if len(self._decoded) > 65536:
                self._decoded.clear()
            self._decoded[word] = next((i for i in self._order if i.pattern.matches(word)), None)
        return self._decoded[word]

    @property
    def passing(self) -> int:
        """What does not stop now: bit 0 breakpoints, bit 1 watches."""
        return self.environment.passing

    @passing.setter
    def passing(self, value: int) -> None:
        self.environment.passing = value

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        """Stop before the instructions at these guest-virtual addresses, and no others."""
        self._breakpoints = frozenset(addresses)

    def set_watches(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Stop before accesses to these: first address, the one behind, 1 reads | 2 writes; guest-physical."""
        self.environment.watches = list(ranges)

    def fence_code(self, numbers: Iterable[int]) -> None:
        """No processor remembers anything."""

    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None:
        """No processor remembers anything."""

    def fences(self) -> None:
        """Nobody is waited for."""

    def exclusive(self) -> AbstractContextManager[None]:
        """There is no native code."""
        return nullcontext()

    def tier_at(self, physical: int) -> str:
        """All code is run the same way."""
        return "reference"

    def close(self) -> None:
        """Nothing is held."""

    def forget_translations(self) -> None:
        """Nothing is remembered of the guest's page tables."""

    def forget(self) -> None:
        """Nothing is cached that depends on memory."""
