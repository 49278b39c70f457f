"""Random programs in lock-step on every engine: traps, interrupts, self-modified code, pages that move."""

from __future__ import annotations

import random

import pytest

from .cases import CASES, SEED
from .engines import ENGINES, RISCV64, Rig
from .lockstep import compare
from .riscv_interrupts import disturb, interrupts_taken
from .riscv_loops import structured
from .riscv_program import BASE, SIZE, Generator

BATCHES = 8
STEPS, LONG_STEPS = 700, 4000
PROGRAMS = max(8, CASES // (2 * BATCHES * STEPS)) if CASES else 8
LONG_PROGRAMS = max(12, CASES // (2 * BATCHES * LONG_STEPS)) if CASES else 12


def run_programs(
    names: tuple[str, ...],
    seed: str,
    programs: int,
    steps: int,
    longest: int,
    loops: bool = False,
    outside: bool = False,
) -> list[Rig]:
    """Run programs on engines in lock-step, with or without interrupts from outside; gives the processors."""
    rng = random.Random(f"{seed} {SEED}")
    rigs = [Rig(name, RISCV64, BASE, SIZE) for name in names]
    generator = Generator(rng, Rig("reference", RISCV64, BASE, SIZE), structured if loops else None)
    trapped = interrupts = 0
    for number in range(programs):
        program = generator.program()
        try:
            compare(rigs, program, rng, steps, longest, disturb if outside else None)
        except AssertionError as error:
            raise AssertionError(f"program {number} of '{seed}': {error}") from None
        trapped += rigs[0].state.trapped
        interrupts += interrupts_taken(rigs[0])
    assert trapped > programs  # or the programs do nothing
    assert interrupts > 2 * programs or not outside
    return rigs


@pytest.mark.parametrize("loops", (False, True), ids=("random", "loops"))
@pytest.mark.parametrize("seed", range(BATCHES))
def test_every_engine_goes_the_same_way(seed: int, loops: bool) -> None:
    programs = PROGRAMS // 2 if loops else PROGRAMS
    for rig in run_programs(ENGINES, f"all {seed}", programs, STEPS, 600, loops):
        rig.close()


@pytest.mark.parametrize("loops", (False, True), ids=("random", "loops"))
@pytest.mark.parametrize("seed", range(BATCHES))
def test_native_engines_go_the_same_way_for_longer(seed: int, loops: bool) -> None:
    programs = LONG_PROGRAMS // 4 if loops else LONG_PROGRAMS
    rigs = run_programs(ENGINES[1:], f"native {seed}", programs, LONG_STEPS, 2500, loops)
    translator = next(rig for rig in rigs if rig.name == "translator")
    assert translator.engine.translations.counts.installed > 10
    for rig in rigs:
        rig.close()


@pytest.mark.parametrize("loops", (False, True), ids=("random", "loops"))
@pytest.mark.parametrize("seed", range(BATCHES // 2))
def test_interrupts_at_any_instruction(seed: int, loops: bool) -> None:
    for rig in run_programs(ENGINES, f"interrupted {seed}", PROGRAMS // 2, STEPS, 120, loops, outside=True):
        rig.close()


@pytest.mark.parametrize("seed", range(BATCHES // 2))
def test_native_engines_take_interrupts_alike_for_longer(seed: int) -> None:
    rigs = run_programs(
        ENGINES[1:], f"interrupted for long {seed}", LONG_PROGRAMS // 3, LONG_STEPS, 600, True, outside=True
    )
    for rig in rigs:
        rig.close()
