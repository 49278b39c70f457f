"""Generated cases of one instruction: operands from its encoding, edge values first, and the comparison of engines."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

from guesthouse.virtual.engine.reference import Suspended
from guesthouse.virtual.spec.description import Instruction
from guesthouse.virtual.spec.encoding import Operand
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import Trap

from .engines import Rig, difference, memory_difference

CASES = int(os.environ.get("GUESTHOUSE_FUZZ_CASES", "0"))  # 0: as many as continuous integration runs
SEED = int(os.environ.get("GUESTHOUSE_FUZZ_SEED", "0"))  # `make fuzz` has another each round
MASK = (1 << 64) - 1
EDGES = (
    *(0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF),
    *(0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF, 1 << 32, (1 << 32) + 1),
    *((1 << 63) - 1, 1 << 63, (1 << 63) + 1, MASK - 1, MASK, MASK ^ 0x7FFF_FFFF, MASK ^ 0xFFFF_FFFF),
    *(0x0102_0304_0506_0708, 0x8000_0001_0000_8001, 0x00FF_0000_FF00_0100, 0x5555_5555_5555_5555),
)


def edge_values(operand: Operand) -> list[int]:
    """Values of an operand at its ends and in its middle."""
    step, low, high = operand.step, operand.low, operand.high // operand.step * operand.step
    wanted = {low, low + step, high, high - step, 0, step, -step, (low + high) // 2 // step * step}
    return sorted(v for v in wanted if low <= v <= high and v not in operand.excluded)


def random_word(instruction: Instruction, rng: random.Random) -> int:
    """A word that decodes as this instruction."""
    pattern = instruction.pattern
    while True:
        word = pattern.match | rng.getrandbits(8 * pattern.length) & ~pattern.mask
        if decoded(instruction, word):
            return word


def decoded(instruction: Instruction, word: int) -> bool:
    """Whether these bits are this instruction and no more specific one."""
    for other in instruction.isa.decode_order:
        if other.pattern.matches(word):
            return other is instruction
    return False


def words_of(instruction: Instruction, rng: random.Random, count: int) -> Iterator[int]:
    """`count` words of an instruction: combinations of edge values (shuffled), at most half; then random ones."""
    names = [operand.name for operand in instruction.pattern.operands]
    edges = [edge_values(operand) for operand in instruction.pattern.operands]
    total = 1
    for values in edges:
        total *= len(values)
    if total <= 4096:
        combinations = list(itertools.product(*edges))
        rng.shuffle(combinations)
    else:
        combinations = [tuple(rng.choice(values) for values in edges) for _ in range(count)]
    made = 0
    for combination in combinations[: (count + 1) // 2]:
        word = instruction.pattern.encode(dict(zip(names, combination, strict=True)))
        if decoded(instruction, word):
            yield word
            made += 1
    for _ in range(count - made):
        yield random_word(instruction, rng)


def step_reference(rig: Rig, instruction: Instruction, values: list[int]) -> tuple[Any, ...]:
    """One step of the definition without its fetch, which programs test: what `run(1)` does otherwise."""
    s = rig.state
    s.exit_reason = 0
    s.slice_end = s.target = s.instructions + 1
    s.remaining = 1
    s.next_pc = s.pc + instruction.pattern.length & MASK
    try:
        instruction.semantics(s, *values)
        s.pc = s.next_pc
        s.remaining = 0
    except Trap as trap:
        s.remaining = 0
        s.trapped += 1
        rig.isa.hooks["take_trap"](s, trap.cause, trap.value)
    except Suspended:
        pass
    s.instructions = s.slice_end - s.remaining
    return rig.exit(Exit(s.exit_reason or Exit.BUDGET))


Runner = Callable[[Rig, Instruction, list[int]], tuple[Any, ...]]


def step_native(rig: Rig, instruction: Instruction, values: list[int]) -> tuple[Any, ...]:
    """One step by the contract."""
    return rig.run(1)


class Comparison:
    """Two engines beside one another: the same state and memory in, the same out."""

    def __init__(
        self, rigs: tuple[Rig, Rig], runners: tuple[Runner, Runner], window: tuple[int, int], tables: int
    ) -> None:
        self.expected, self.found = rigs
        self.runners = runners
        self.isa = self.expected.isa
        self.base = self.expected.memory.base
        self.window = slice(window[0] - self.base, window[1] - self.base)  # of RAM: what cases write
        self.tables = tables - window[0]  # where in it page tables begin
        self.count = 0

    def place(self, address: int, code: bytes) -> None:
        """Write code, through the gate, on both sides."""
        for rig in (self.expected, self.found):
            rig.memory.write(address, code)

    def fill(self, address: int, data: bytes) -> None:
        """Write data that is no code on both sides."""
        at = address - self.base
        for rig in (self.expected, self.found):
            rig.ram[at : at + len(data)] = data

    def check(self, instruction: Instruction, values: list[int], image: bytes, content: bytes) -> None:
        """Run the instruction at the state's pc from a state and the window's content; both engines must agree."""
        expected, found, window = self.expected, self.found, self.window
        expected.load(image)
        found.load(image)
        first = self.runners[0](expected, instruction, values)
        second = self.runners[1](found, instruction, values)
        self.count += 1
        if first != second or expected.saved() != found.saved():
            raise AssertionError(self.report(instruction, values, image, f"exit {first}, {second}"))
        written = expected.ram[window].tobytes()
        if written != found.ram[window].tobytes():
            raise AssertionError(self.report(instruction, values, image, "memory"))
        if written != content:
            expected.ram[window] = content
            found.ram[window] = content
            if written[self.tables :] != content[self.tables :]:
                self.forget()

    def forget(self) -> None:
        """Page tables or what chooses them have changed behind the engines' backs."""
        self.expected.engine.forget()
        self.found.engine.forget()

    def report(self, instruction: Instruction, values: list[int], image: bytes, what: str) -> str:
        """What differs and how to see it again."""
        a, b = self.expected, self.found
        a_ram, b_ram = a.ram[self.window], b.ram[self.window]
        operands = dict(zip(instruction.parameters, values, strict=True))
        place = self.base + self.window.start
        return (
            f"{instruction.name} {operands} on {b.name}, case {self.count}: {what}; "
            f"state: {difference(self.isa, a.saved(), b.saved())}; "
            f"memory: {memory_difference(a_ram, b_ram, place)}; before: {show(a, image)}"
        )

    def close(self) -> None:
        """Give the memory back."""
        self.expected.close()
        self.found.close()


def show(rig: Rig, image: bytes) -> str:
    """The fields of a state that are not zero."""
    rig.load(image)
    saved = rig.state.save()
    return ", ".join(
        f"{name}={[hex(v) for v in value] if isinstance(value, list) else hex(value)}"
        for name, value in saved.items()
        if (any(value) if isinstance(value, list) else value)
    )
