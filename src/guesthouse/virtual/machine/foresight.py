"""What the instruction that is about to write to memory will put there: its description runs, and is held before.

That answers for every instruction at once (stores, atomics, cleared blocks), from the one source there is.
"""

from __future__ import annotations

from collections.abc import Callable

from guesthouse.virtual.engine.reference import Environment
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.memory.shadow import STORE
from guesthouse.virtual.spec.description import Instruction
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import Trap

REMEMBERED = 4096
"""Instructions that are kept decoded."""


class _Held(Exception):
    """The instruction has come to its write."""


class _Eye(Environment):
    """Notes the write that would come, as (physical address, bytes) pieces, and goes no further."""

    pieces: tuple[tuple[int, bytes], ...] = ()

    def _hold(self, *pieces: tuple[int, bytes]) -> None:
        self.pieces = pieces
        raise _Held

    def store(self, address: int, size: int, value: int) -> None:
        (first, length), *rest = self._pieces(address, size, STORE)
        data = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        self._hold((first, data[:length]), *((physical, data[length:]) for physical, _ in rest))

    def zero_block(self, address: int, size: int) -> None:
        self._hold((self._physical(address & -size, size, STORE), bytes(size)))

    def atomic(self, address: int, size: int, change: Callable[[int], int]) -> int:
        physical = self._atomic_place(address, size)
        new = change(self.memory.load(physical, size)) & ((1 << 8 * size) - 1)
        self._hold((physical, new.to_bytes(size, "little")))
        return 0

    def store_conditional(self, address: int, size: int, value: int) -> int:
        s = self.state
        physical = self._atomic_place(address, size)
        expected = s.reservation_value & ((1 << 8 * size) - 1)
        if s.reservation_address == address and self.memory.load(physical, size) == expected:
            self._hold((physical, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")))
        return 1

    def physical_compare_exchange(self, address: int, size: int, expected: int, desired: int) -> int:
        return 1  # accessed and dirty bits stay as they are


class Foresight:
    """Sees one write ahead in a machine that stands before an instruction; changes nothing."""

    def __init__(self, memory: GuestMemory, state: ProcessorState) -> None:
        self._memory = memory
        self._state = state
        self._decoded: dict[int, Instruction | None] = {}

    def written(self, address: int, size: int) -> bytes | None:
        """What the instruction at the pc writes to these guest-physical bytes, None where it does not write them."""
        state, before, saved = self._state, self._state.environment, bytes(self._state.slots)
        eye = _Eye(ISA, self._memory, state)
        state.environment = eye
        try:
            self._execute(eye)
        except (_Held, Trap):
            pass
        finally:
            state.environment = before
            state.slots.cast("B")[:] = saved
        return next((data for at, data in eye.pieces if (at, len(data)) == (address, size)), None)

    def _execute(self, eye: _Eye) -> None:
        """As the reference engine does it, up to the write."""
        state = self._state
        word = eye.instruction(state.pc)
        instruction = self._decode(word)
        if instruction is not None:
            pattern = instruction.pattern
            state.next_pc = state.pc + pattern.length
            instruction.semantics(state, *(pattern.operand(name).extract(word) for name in instruction.parameters))

    def _decode(self, word: int) -> Instruction | None:
        if word not in self._decoded:
            if len(self._decoded) >= REMEMBERED:
                self._decoded.clear()
            self._decoded[word] = next((i for i in ISA.decode_order if i.pattern.matches(word)), None)
        return self._decoded[word]
