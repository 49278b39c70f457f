"""Accesses by one pointer, near one another: across pages that lie apart, are protected, missing or a device."""

from __future__ import annotations

import itertools

import pytest

from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.exits import Exit

from .engines import ENGINES, RISCV64, Rig, difference, isa_of, memory_difference
from .page_tables import PAGE, A, D, PageTables, R, U, V, W

BASE, SIZE = 0x8000_0000, 0x4_0000
HANDLER, FRAMES, TABLES = BASE + PAGE, BASE + 0x1_0000, BASE + 0x2_0000
DATA, DEVICE = 0x40_0000, 0x1000_0000
BOTH, ONE = V | R | W | U | A | D, V | R | U | A
LOOP = """
again:  {first}
        ld      a1, 8(s0)
        sd      a1, 16(s0)
        lw      a2, 20(s0)
        beqz    a2, over
        sd      s0, -8(s0)
over:   sb      a2, 27(s0)
        lhu     a3, 2(s0)
        sw      a3, 32(s0)
        add     s0, s0, s1
        addi    s2, s2, -1
        bnez    s2, again
        wfi
"""
FIRSTS = ("ld a0, 0(s0)", "sd s2, 0(s0)", "lbu a0, 1(s0)", "sw s2, 4(s0)")
SECONDS = {"apart": BOTH, "read only": ONE, "missing": 0, "device": BOTH}
ROUNDS = 80


def started(name: str, first: str, second: str, start: int, stride: int) -> Rig:
    """A processor before the loop; the second of the two pages it goes over is as said."""
    rig = Rig(name, RISCV64, BASE, SIZE)
    assembler = Assembler(isa_of(RISCV64), RISCV64_SYNTAX)
    rig.memory.write(BASE, assembler.assemble(LOOP.format(first=first), BASE))
    rig.memory.write(HANDLER, assembler.assemble("wfi", HANDLER))
    rig.memory.write(FRAMES, bytes(itertools.islice(itertools.cycle(range(251)), 4 * PAGE)))
    tables = PageTables(lambda at, word: rig.memory.store(at, 8, word), TABLES)
    tables.map(DATA, FRAMES + 2 * PAGE, BOTH)
    if SECONDS[second]:
        tables.map(DATA + PAGE, DEVICE if second == "device" else FRAMES, SECONDS[second])
    s = rig.state
    s.mtvec, s.pc, s.satp = HANDLER, BASE, tables.satp(39)
    s.mstatus = 1 << 17  # MPRV and the mode of programs
    s.pmpaddr[0], s.pmpcfg[0] = (1 << 54) - 1, 0x1F
    s.x[8], s.x[9], s.x[18] = start, stride, ROUNDS
    rig.engine.forget()
    return rig


def ran(rig: Rig) -> list[tuple[object, ...]]:
    """All that the monitor sees until the processor waits; devices read as their address."""
    exits: list[tuple[object, ...]] = []
    for _ in range(20 * ROUNDS):
        exits.append(rig.run(100_000))
        if exits[-1] == (Exit.WAIT,):
            return exits
        s = rig.state
        s.exit_value, s.exit_answered = s.exit_address & ((1 << 8 * s.exit_size) - 1), 1
    raise AssertionError(f"does not come to its end: {exits[-3:]}")


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("first", FIRSTS)
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_they_do_what_each_does_by_itself(engine: str, first: str, second: str) -> None:
    for start, stride in ((DATA + PAGE - 40 * 8, 8), (DATA + PAGE - 48, 0), (DATA + PAGE - 120, 4), (DATA + 64, 0)):
        expected, found = (started(name, first, second, start, stride) for name in ("reference", engine))
        for _ in range(2):  # the second time, what was translated runs from the beginning
            assert ran(found) == ran(expected)
            assert difference(found.isa, expected.saved(), found.saved()) == "nothing"
            assert memory_difference(expected.ram, found.ram, BASE) == ""
            for rig in (expected, found):
                rig.state.x[8], rig.state.x[18], rig.state.pc, rig.state.mstatus = start, ROUNDS, BASE, 1 << 17
        expected.close()
        found.close()
