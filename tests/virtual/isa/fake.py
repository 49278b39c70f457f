"""One instruction on a hart with flat memory: no translation, no engine."""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable
from types import SimpleNamespace

import guesthouse.virtual.isa.riscv64 as package
from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.spec.description import Instruction
from guesthouse.virtual.spec.layout import RegisterFile
from guesthouse.virtual.spec.words import Trap

MASK = (1 << 64) - 1
MEMORY, SIZE = 0x9000_0000, 0x1000
PC = 0x8020_0000

for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")

UNPRIVILEGED = frozenset(
    (
        *("I", "M", "A", "C", "Zba", "Zbb", "Zbc", "Zbs", "Zicond"),
        *("Zifencei", "Zihintpause", "Zicbom", "Zicbop", "Zicboz"),
    )
)
EDGES = (
    *(0, 1, 2, 3, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF),
    *(1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, MASK - 1, MASK, 0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_7FFF_FFFF),
    *(
        0x0102_0304_0506_0708,
        0x8000_0001_0000_8001,
        0x00FF_0000_FF00_0100,
        0x5555_5555_5555_5555,
        0xAAAA_AAAA_AAAA_AAAA,
    ),
)


class Fault(Exception):
    """An access outside the fake's memory."""


class Registers(list):  # type: ignore[type-arg]
    """Integer or floating-point registers: what is written is truncated, a zero register stays zero."""

    def __init__(self, file: RegisterFile) -> None:
        super().__init__([0] * file.count)
        self.file = file

    def __setitem__(self, index: int, value: int) -> None:  # type: ignore[override]
        assert index >= 0
        if index != self.file.zero:
            super().__setitem__(index, int(value) & ((1 << self.file.bits) - 1))


class Hart(SimpleNamespace):
    """The state of a hart: every field of the layout at its reset value, and the fake's memory."""

    environment: FlatMemory

    def __init__(self) -> None:
        super().__init__(environment=FlatMemory(), next_pc=0)
        for name, field in RISCV64.layout.fields.items():
            setattr(self, name, Registers(field) if isinstance(field, RegisterFile) else field.reset)


class FlatMemory:
    """A page of memory at MEMORY."""

    def __init__(self) -> None:
        self.word = 0  # the instruction's bytes
        self.synchronized = 0
        self.bytes = bytearray(SIZE)
        self.touched: list[tuple[int, int, int]] = []
        self.fences = 0
        self.relaxed = 0
        self.reserved: tuple[int, int] | None = None

    def place(self, address: int, size: int) -> int:
        if not MEMORY <= address <= MEMORY + SIZE - size:
            raise Fault(hex(address))
        return address - MEMORY

    def load(self, address: int, size: int) -> int:
        at = self.place(address, size)
        return int.from_bytes(self.bytes[at : at + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        at = self.place(address, size)
        self.bytes[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def touch(self, address: int, access: int, size: int) -> None:
        self.touched.append((self.place(address, size) + MEMORY, access, size))

    def zero_block(self, address: int, size: int) -> None:
        at = self.place(address & -size, size)
        self.bytes[at : at + size] = bytes(size)

    def atomic(self, address: int, size: int, operation: Callable[[int], int]) -> int:
        assert address % size == 0
        old = self.load(address, size)
        self.store(address, size, operation(old))
        return old

    def load_reserved(self, address: int, size: int) -> int:
        assert address % size == 0
        self.reserved = (address, self.load(address, size))
        return self.reserved[1]

    def store_conditional(self, address: int, size: int, value: int) -> int:
        assert address % size == 0
        held = self.reserved is not None and self.reserved == (address, self.load(address, size))
        self.reserved = None
        if held:
            self.store(address, size, value)
        return 0 if held else 1

    def fetched(self) -> int:
        return self.word

    def synchronize(self) -> None:
        self.synchronized += 1

    def fence(self) -> None:
        self.fences += 1

    def relax(self) -> None:
        self.relaxed += 1


def hart(registers: dict[int, int] | None = None, memory: bytes = b"") -> Hart:
    """A hart in machine mode with these registers, memory filled from its start."""
    made = Hart()
    made.environment.bytes[: len(memory)] = memory
    made.pc = PC
    for number, value in (registers or {}).items():
        made.x[number] = value
    return made


def execute(s: Hart, instruction: Instruction | str, **operands: int) -> Hart:
    """Run one instruction: its operands by name, then the program counter moves on. Traps come through."""
    if isinstance(instruction, str):
        instruction = RISCV64.by_name[instruction]
    s.next_pc = s.pc + instruction.pattern.length
    instruction.semantics(s, *(operands[name] for name in instruction.parameters))
    s.pc = s.next_pc & MASK
    return s


def result(name: str, rs1: int = 0, rs2: int = 0, **operands: int) -> int:
    """What an instruction with registers puts into rd."""
    return execute(hart({11: rs1, 12: rs2}), name, **{"rd": 10, "rs1": 11, "rs2": 12, **operands}).x[10]


def trap(s: Hart, instruction: str, **operands: int) -> tuple[int, int] | None:
    """Cause and value of the trap that an instruction ends in."""
    try:
        execute(s, instruction, **operands)
    except Trap as found:
        return found.cause, found.value
    return None


def random_word(instruction: Instruction, rng: random.Random) -> int:
    """A word that is this instruction."""
    pattern = instruction.pattern
    while True:
        word = pattern.match | rng.getrandbits(8 * pattern.length) & ~pattern.mask
        if pattern.matches(word):
            return word
