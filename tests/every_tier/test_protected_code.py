"""Code on pages that protection cuts up: every parcel of an instruction must be executable."""

from __future__ import annotations

import random

import pytest

from .cases import SEED
from .engines import ENGINES, RISCV64, Rig, isa_of
from .lockstep import compare
from .riscv_loops import structured
from .riscv_program import BASE, CODE, SIZE, Generator, Program

ISA = isa_of(RISCV64)
NAPOT, NA4 = 3 << 3, 2 << 3
ALL = (1 << 54) - 1


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("mode", (0, 1, 3))
@pytest.mark.parametrize("offset", (0x100, 0x102, 0xFFC, 0xFFE))
@pytest.mark.parametrize("half", (0, 1))
def test_an_instruction_half_of_which_may_not_run(name: str, mode: int, offset: int, half: int) -> None:
    rig = Rig(name, RISCV64, BASE, SIZE)
    s, pc = rig.state, CODE + offset
    rig.memory.write(pc, ISA.by_name["addi"].pattern.encode({"rd": 5, "rs1": 0, "imm": 7}).to_bytes(4, "little"))
    s.mode, s.pc, s.mtvec = mode, pc, CODE + 0x800
    closed = pc + 2 * half
    locked = 1 << 7  # so that it holds for machine mode too
    s.pmpaddr[0], s.pmpcfg[0] = closed >> 2, NA4 | locked | 1
    s.pmpaddr[1], s.pmpcfg[1] = ALL, NAPOT | 7
    rig.run(1)
    # Addresses of protection are multiples of four: an aligned instruction is closed as a whole.
    first = closed & ~3 <= pc < (closed & ~3) + 4
    assert (s.pc, s.mcause, s.mepc, s.x[5]) == (CODE + 0x800, 1, pc, 0)
    assert s.mtval == (pc if first else pc + 2)
    rig.close()


@pytest.mark.parametrize("seed", range(4))
def test_programs_on_a_page_in_pieces(seed: int) -> None:
    rng = random.Random(seed + 100 * SEED)
    rigs = [Rig(name, RISCV64, BASE, SIZE) for name in ENGINES]
    lent = Rig("reference", RISCV64, BASE, SIZE)
    for shape in (structured, None):
        generator = Generator(rng, lent, shape)
        program = generator.program()
        lent.load(program.image)
        s = lent.state
        for entry in range(4):
            s.pmpaddr[entry] = CODE + rng.randrange(0, 0x3000, 4) >> 2
            s.pmpcfg[entry] = NA4 | rng.choice((1, 5, 3, 7)) | (rng.getrandbits(1) << 7)
        s.pmpaddr[4], s.pmpcfg[4] = ALL, NAPOT | 7
        compare(rigs, Program(lent.image(), program.memory, 1 << 14), rng, 400, 400)
        assert rigs[0].state.instructions > s.instructions
    for rig in rigs:
        rig.close()
