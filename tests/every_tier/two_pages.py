"""A loop in a program that goes over two pages, of which the second may be unlike the first."""

from __future__ import annotations

import itertools

from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.exits import Exit

from .engines import RISCV64, Rig, difference, isa_of, memory_difference
from .page_tables import PAGE, A, D, PageTables, R, U, V, W

BASE, SIZE = 0x8000_0000, 0x4_0000
HANDLER, FRAMES, TABLES = BASE + PAGE, BASE + 0x1_0000, BASE + 0x2_0000
DATA, DEVICE = 0x40_0000, 0x1000_0000
BOTH, ONE = V | R | W | U | A | D, V | R | U | A
SECONDS = {"apart": BOTH, "read only": ONE, "missing": 0, "device": BOTH}
ROUNDS = 80


def started(name: str, source: str, second: str, pointers: tuple[int, int]) -> Rig:
    """A processor before the loop, which ends with `wfi`; s0 and s1 are the pointers, s2 counts rounds."""
    rig = Rig(name, RISCV64, BASE, SIZE)
    assembler = Assembler(isa_of(RISCV64), RISCV64_SYNTAX)
    rig.memory.write(BASE, assembler.assemble(source, BASE))
    rig.memory.write(HANDLER, assembler.assemble("wfi", HANDLER))
    rig.memory.write(FRAMES, bytes(itertools.islice(itertools.cycle(range(251)), 4 * PAGE)))
    tables = PageTables(lambda at, word: rig.memory.store(at, 8, word), TABLES)
    tables.map(DATA, FRAMES + 2 * PAGE, BOTH)
    if SECONDS[second]:
        tables.map(DATA + PAGE, DEVICE if second == "device" else FRAMES, SECONDS[second])
    s = rig.state
    s.mtvec, s.satp = HANDLER, tables.satp(39)
    s.pmpaddr[0], s.pmpcfg[0] = (1 << 54) - 1, 0x1F
    start(rig, pointers)
    rig.engine.forget()
    return rig


def start(rig: Rig, pointers: tuple[int, int]) -> None:
    """Go to the loop's beginning."""
    s = rig.state
    s.pc, s.mstatus = BASE, 1 << 17  # MPRV and the mode of programs
    s.x[8], s.x[9] = pointers
    s.x[18] = ROUNDS


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


def does_as_the_reference(engine: str, source: str, second: str, pointers: tuple[int, int]) -> None:
    """Run the loop twice on both; the second time, what was translated runs from the beginning."""
    expected, found = (started(name, source, second, pointers) for name in ("reference", engine))
    for _ in range(2):
        assert ran(found) == ran(expected)
        assert difference(found.isa, expected.saved(), found.saved()) == "nothing"
        assert memory_difference(expected.ram, found.ram, BASE) == ""
        for rig in (expected, found):
            start(rig, pointers)
    expected.close()
    found.close()
