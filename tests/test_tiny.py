"""Is anything badly broken? Answers within five seconds: one look at each large part."""

from __future__ import annotations

import random
import struct

import pytest

from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.machine.board import virt
from guesthouse.virtual.spec.disassembly import Disassembler
from tests.every_tier.assembling import assemble
from tests.every_tier.engines import ENGINES, RISCV64, Rig, isa_of
from tests.every_tier.lockstep import compare
from tests.every_tier.riscv_program import BASE, SIZE, Generator

ISA = isa_of(RISCV64)
SUM = """
        li      a0, 0
        li      a1, 1000
next:   add     a0, a0, a1
        addi    a1, a1, -1
        bnez    a1, next
        wfi
"""


def test_every_instruction_has_one_encoding() -> None:
    for instruction in ISA.instructions:
        word = instruction.pattern.match
        assert instruction.pattern.mask & word == word
    assert len(ISA.by_name) == len(ISA.instructions) > 250


def test_what_is_assembled_reads_the_same() -> None:
    code = assemble("amoadd.w a0, a1, (a2)", BASE)
    assert code == struct.pack("<I", 0x00B6252F)
    assert Disassembler(ISA, RISCV64_SYNTAX).text_of(0x00B6252F) == "amoadd.w\ta0,a1,(a2)"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loop_counts(engine: str) -> None:
    rig = Rig(engine, RISCV64, BASE, SIZE)
    rig.memory.write(BASE, assemble(SUM, BASE))
    rig.state.pc = BASE
    assert rig.run(10_000)[0].name == "WAIT"
    assert rig.state.x[10] == 500_500
    rig.close()


def test_engines_agree_on_a_random_program() -> None:
    rng = random.Random(1)
    rigs = [Rig(name, RISCV64, BASE, SIZE) for name in ("reference", "interpreter")]
    generator = Generator(rng, Rig("reference", RISCV64, BASE, SIZE))
    for _ in range(3):
        assert compare(rigs, generator.program(), rng, 500)
    for rig in rigs:
        rig.close()


def test_the_board_has_its_map() -> None:
    bases = {slot.base for slot in virt().slots}
    assert {0x10_0000, 0x200_0000, 0xC00_0000, 0x1000_0000, 0x1000_1000} <= bases
