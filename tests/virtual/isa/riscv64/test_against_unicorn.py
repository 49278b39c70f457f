"""The integer instructions against unicorn: registers, memory and program counter after each."""

import random

import pytest

from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.spec.words import Trap

from ..fake import EDGES, MEMORY, PC, SIZE, Fault, execute, hart, random_word
from .unicorn_hart import UnicornHart

LEFT_OUT = ("fence_i", "pause", "ecall", "ebreak", "c_ebreak", "c_fld", "c_fsd", "c_fldsp", "c_fsdsp")
TESTED = [i for i in RISCV64.instructions if i.extension in ("I", "M", "A", "C") and i.name not in LEFT_OUT]
CASES = 40


@pytest.fixture(scope="module")
def oracle():
    return UnicornHart()


def registers_for(instruction, values, rng):
    """Edge values in every register; a pointer into memory where the instruction takes one."""
    registers = {number: rng.choice(EDGES) if rng.random() < 0.6 else rng.getrandbits(64) for number in range(1, 32)}
    parts = instruction.syntax.replace("(sp)", "(2)")
    if "(" in parts:
        base = values.get("rs1", 2)
        size = 8 if instruction.extension == "A" else 1
        pointer = MEMORY + rng.randrange(0, SIZE - 16, size)
        registers[base] = pointer - values.get("offset", values.get("uimm", 0))
    if instruction.name in ("jalr", "c_jr", "c_jalr"):
        registers[values["rs1"]] = PC + 0x100 + rng.randrange(4096)
    return registers


@pytest.mark.parametrize("instruction", TESTED, ids=lambda i: i.name)
def test_effects_are_unicorns(instruction, oracle):
    rng = random.Random(instruction.name)
    compared = 0
    for _ in range(CASES):
        word = random_word(instruction, rng)
        values = instruction.pattern.decode(word)
        if values.get("rs1") == 0 and "(" in instruction.syntax:
            continue
        if "fm" in values:
            word = instruction.pattern.encode(values := values | {"fm": 0, "rs1": 0, "rd": 0})
        registers = registers_for(instruction, values, rng)
        memory = rng.randbytes(SIZE)
        ours = hart(registers, memory)
        try:
            execute(ours, instruction, **values)
        except (Trap, Fault):
            continue
        oracle.step(word, instruction.pattern.length, registers, memory)
        if instruction.name.startswith("sc_"):  # without a reservation it fails
            assert ours.x[values["rd"]] == (1 if values["rd"] else 0)
        assert [ours.x[n] for n in range(32)] == oracle.registers(), values
        assert ours.pc == oracle.pc(), values
        assert bytes(ours.environment.bytes) == oracle.memory(), values
        compared += 1
    assert compared > CASES // 3
