"""Whole programs, run instruction by instruction on the description and compared with Spike's log."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guesthouse.virtual.isa.riscv64 import cache, environment, fences, integer, interrupts, paging, trap, zicsr
from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.isa.riscv64.paging import access_fault, data_context, fetch_context, translate
from guesthouse.virtual.spec.words import Trap

from . import spike
from .hart import Environment, Hart, Registers

MODULES = (cache, environment, fences, integer, interrupts, paging, trap, zicsr)  # importing them records instructions
RAM_SIZE = 1 << 24


def encode(name: str, **operands: int) -> int:
    """The bits of one instruction."""
    return RISCV64.by_name[name].pattern.encode(operands)


def constant(register: int, value: int) -> list[int]:
    """Instructions that put a 64-bit value into a register, by 11 bits at a time."""
    words = [encode("addi", rd=register, rs1=0, imm=value >> 55)]
    for at in (44, 33, 22, 11, 0):
        words.append(encode("slli", rd=register, rs1=register, shamt=11))
        words.append(encode("ori", rd=register, rs1=register, imm=value >> at & 0x7FF))
    return words


class Memory(Environment):
    """An environment with RAM at the usual place, through which the hart loads, stores and fetches."""

    def __init__(self, hart: Hart, image: bytes) -> None:
        super().__init__()
        self.hart = hart
        image = image.ljust(len(image) + 7 & ~7, b"\0")
        for at in range(0, len(image), 8):
            self.memory[spike.BASE + at] = int.from_bytes(image[at : at + 8], "little")

    def physical_load(self, address: int, size: int) -> int:
        if not spike.BASE <= address < spike.BASE + RAM_SIZE:
            return -1
        return self.memory.get(address & ~7, 0) >> 8 * (address & 7) & ((1 << 8 * size) - 1)

    def access(self, address: int, size: int, kind: int, context: int) -> int:
        """The physical address of an access that goes through, or a trap."""
        page = translate(self.hart, address, size, kind, context)
        physical = page & ~0xFFF | address & 0xFFF
        if self.physical_load(physical, size) < 0:
            access_fault(self.hart, address, kind)
        return physical

    def load(self, address: int, size: int) -> int:
        return self.physical_load(self.access(address, size, 0, data_context(self.hart)), size)

    def store(self, address: int, size: int, value: int) -> None:
        physical = self.access(address, size, 1, data_context(self.hart))
        shift, mask = 8 * (physical & 7), (1 << 8 * size) - 1
        old = self.memory.get(physical & ~7, 0)
        self.memory[physical & ~7] = old & ~(mask << shift) | (value & mask) << shift

    def touch(self, address: int, kind: int, size: int) -> None:
        translate(self.hart, address, size, kind, data_context(self.hart))

    def zero_block(self, address: int, size: int) -> None:
        for at in range(address & -size, (address & -size) + size, 8):
            self.store(at, 8, 0)


class Recording(Registers):
    """The integer registers, which remember the last write."""

    written: tuple[int, int] | None = None

    def __setitem__(self, index: int, value: int) -> None:
        super().__setitem__(index, value)
        if index:
            self.written = (index, self.values[index])


class Lockstep:
    """One hart running an image from its first byte."""

    def __init__(self, image: bytes) -> None:
        self.hart = Hart()
        object.__setattr__(self.hart, "environment", Memory(self.hart, image))
        object.__setattr__(self.hart, "x", Recording(self.hart.x.file))
        self.hart.x[5], self.hart.x[11] = spike.BASE, 0x1020  # what Spike's boot code leaves
        self.hart.pc = spike.BASE
        self.hart.mtimecmp = 0  # as Spike's interruptor has it at reset
        self.decoded: dict[int, Any] = {}

    def decode(self, word: int) -> Any:
        if word not in self.decoded:
            self.decoded[word] = next((i for i in RISCV64.decode_order if i.pattern.matches(word)), None)
        return self.decoded[word]

    def step(self) -> spike.Commit | None:
        """One instruction; None where it trapped or an interrupt came first."""
        hart, environment_ = self.hart, self.hart.environment
        hart.x.written = None
        pc = hart.pc
        try:
            interrupts.poll(hart)
            context = fetch_context(hart)
            word = environment_.physical_load(environment_.access(pc, 4, 2, context), 4)
            environment_.word = word
            instruction = self.decode(word)
            if instruction is None:
                environment.illegal(hart)
            hart.next_pc = pc + 4
            instruction.semantics(hart, **instruction.pattern.decode(word))
        except Trap as trap_:
            trap.take_trap(hart, trap_.cause, trap_.value)
            return None
        hart.pc = hart.next_pc
        environment_.count += 1
        return spike.Commit(pc, hart.x.written)


def compare(
    words: list[int], folder: Path, isa: str = spike.ISA, data: bytes = b"", legal: Callable[..., bool] | None = None
) -> int:
    """Run a program of machine mode to its end on both and compare every step; gives the number of steps."""
    done = [encode("addi", rd=29, rs1=0, imm=1), encode("sd", rs2=29, offset=0, rs1=30), encode("jal", rd=0, offset=0)]
    words = [*words, *constant(30, spike.TOHOST), *done]
    image = struct.pack(f"<{len(words)}I", *words).ljust(RAM_DATA, b"\0") + data
    end = spike.BASE + 4 * (len(words) - 1)
    ours, lockstep = [], Lockstep(image)
    for _ in range(100_000):
        if lockstep.hart.pc == end:
            break
        commit = lockstep.step()
        if commit:
            ours.append(commit)
    assert lockstep.hart.pc == end, hex(lockstep.hart.pc)
    theirs = spike.run(image, folder, isa)
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        word = struct.unpack_from("<I", image, our.pc - spike.BASE)[0]
        context = f"step {number} at {our.pc:#x}, {word:#010x} {lockstep.decode(word) and lockstep.decode(word).name}"
        if our != their and not (legal and our.pc == their.pc and legal(word, our, their)):
            raise AssertionError(f"{context}: ours {show(our)}, Spike's {show(their)}")
    assert len(theirs) >= len(ours), f"Spike went {len(theirs)} steps, to {theirs[-1].pc:#x}, ours {len(ours)}"
    return len(ours)


RAM_DATA = 0x10_0000  # offset of `data` in RAM


def show(commit: spike.Commit) -> str:
    """A commit in words."""
    return f"{commit.pc:#x}" + (f" x{commit.written[0]}={commit.written[1]:#x}" if commit.written else "")
