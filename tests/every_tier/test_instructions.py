"""Every instruction of RV64GC on every engine, generated from its encoding; see `riscv_world` for the states.

Each case runs one instruction from a whole state, on the definition and on another engine, and compares the whole
saved state, the exit and memory.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from guesthouse.virtual.engine.stitching import NONE
from guesthouse.virtual.spec.description import Instruction

from .cases import CASES, SEED, Comparison, Runner, step_native, step_reference, words_of
from .engines import RISCV64, STEPPED, Rig, isa_of, native_code
from .riscv_world import BASE, CODE, SIZE, TABLES, WINDOW, WINDOW_END, Worlds, base_of

ISA = isa_of(RISCV64)
PER_INSTRUCTION = CASES // len(ISA.instructions) if CASES else 4000
STATES = 40  # of one word in one world
STEPS = step_reference, step_native
BLOCKS, WORDS, RUNS = max(1, PER_INSTRUCTION // 4000), 8, 120  # of the translator: blocks, their instructions, states
HALT = CODE + 0x100
CSR_INSTRUCTIONS = [i for i in ISA.instructions if i.extension == "Zicsr"]


def prepared(engines: tuple[str, str], runners: tuple[Runner, Runner], seed: int) -> tuple[Comparison, Worlds]:
    """Two engines with the same memory."""
    rigs = Rig(engines[0], RISCV64, BASE, SIZE), Rig(engines[1], RISCV64, BASE, SIZE)
    both = Comparison(rigs, runners, (WINDOW, WINDOW_END), TABLES)
    worlds = Worlds(random.Random(seed), both.expected)
    for address, word in worlds.outside.items():
        both.fill(address, word.to_bytes(8, "little"))
    both.fill(WINDOW, bytes(worlds.content))
    return both, worlds


def run_word(both: Comparison, worlds: Worlds, instruction: Instruction, word: int, states: int) -> None:
    """Run one word in one new world, from several states."""
    worlds.new()
    both.forget()
    offset = worlds.pc & 0xFFF
    both.place(CODE + offset, word.to_bytes(instruction.pattern.length, "little"))
    values = instruction.pattern.decode(word)
    operands = [values[name] for name in instruction.parameters]
    base, displacement = base_of(instruction, values)
    content = bytes(worlds.content)
    for _ in range(states):
        both.check(instruction, operands, worlds.state(base, displacement), content)


@pytest.mark.parametrize("engine", STEPPED)
@pytest.mark.parametrize("instruction", ISA.instructions, ids=lambda i: i.name)
def test_every_engine_is_the_reference(instruction: Instruction, engine: str) -> None:
    seed = zlib.crc32(instruction.name.encode()) + SEED
    both, worlds = prepared(("reference", engine), STEPS, seed)
    for word in words_of(instruction, random.Random(seed), max(1, PER_INSTRUCTION // STATES)):
        run_word(both, worlds, instruction, word, STATES)
    assert both.count >= PER_INSTRUCTION // STATES * STATES
    both.close()


@pytest.mark.parametrize("engine", STEPPED)
@pytest.mark.parametrize("instruction", CSR_INSTRUCTIONS, ids=lambda i: i.name)
def test_every_number_of_a_csr(instruction: Instruction, engine: str) -> None:
    rng = random.Random(7 + SEED)
    both, worlds = prepared(("reference", engine), STEPS, 7 + SEED)
    third = "rs1" if "rs1" in instruction.parameters else "uimm"
    for number in range(4096):
        values = {"csr": number, "rd": rng.randrange(32), third: rng.choice((0, 31, rng.randrange(32)))}
        run_word(both, worlds, instruction, instruction.pattern.encode(values), 2)
    assert both.count == 8192
    both.close()


def run_block(rig: Rig, instruction: Instruction, values: list[int]) -> tuple[Any, ...]:
    """Run until WFI, which is behind the block and where traps go; far enough from the budget to run translated."""
    return rig.run(700)


@pytest.mark.parametrize("engine", ("stitcher", "translator"))
@pytest.mark.parametrize("instruction", ISA.instructions, ids=lambda i: i.name)
def test_blocks_are_the_interpreters(instruction: Instruction, engine: str) -> None:
    seed = zlib.crc32(instruction.name.encode()) + SEED
    rng = random.Random(seed)
    both, worlds = prepared(("interpreter", engine), (run_block, run_block), seed)
    wfi = ISA.by_name["wfi"].pattern.encode({}).to_bytes(4, "little")
    jump = ISA.by_name["jal"].pattern.encode({"rd": 0, "offset": 4}).to_bytes(4, "little")
    content = bytes(worlds.content)
    for _ in range(BLOCKS):
        words = list(words_of(instruction, rng, WORDS))
        code = jump + b"".join(word.to_bytes(instruction.pattern.length, "little") for word in words) + wfi
        values = instruction.pattern.decode(words[0])
        operands = [values[name] for name in instruction.parameters]
        base, displacement = base_of(instruction, values)
        for number in range(RUNS):
            if number % 30 == 0:
                worlds.new(HALT)
                both.forget()
                both.place(HALT, wfi + jump)
                both.place(CODE + (worlds.pc & 0xFFF), code)
            both.check(instruction, operands, worlds.state(base, displacement), content)
    if engine == "stitcher":
        stencils = {group[0].name: group[0].ending for group in native_code(RISCV64).stencils().instructions}
        assert both.found.state.stitched_blocks or stencils[f"handler.{instruction.name}"] == NONE
    else:
        counts = both.found.engine.translations.counts
        assert counts.installed or counts.refused
    both.close()
