"""Loops that go over memory by pointers which only move by numbers: across pages that are unlike one another."""

from __future__ import annotations

import pytest

from .engines import ENGINES
from .page_tables import PAGE
from .two_pages import DATA, SECONDS, does_as_the_reference

COPY = """
again:  lbu     a0, 0(s0)
        addi    a0, a0, 1
        sb      a0, {apart}(s0)
        addi    s0, s0, {step}
        addi    s2, s2, -1
        bnez    s2, again
        wfi
"""
TWO = """
again:  ld      a0, 0(s0)
        ld      a1, 0(s1)
        add     a0, a0, a1
        sd      a0, 0(s1)
        addi    s0, s0, {step}
        addi    s1, s1, {apart}
        andi    a2, s2, 7
        bnez    a2, over
        ld      a3, -16(s0)
        sd      a3, 24(s0)
over:   addi    s2, s2, -1
        bnez    s2, again
        wfi
"""
NESTED = """
again:  mv      t0, s0
        li      t1, 5
inner:  lhu     a0, 0(t0)
        sh      t1, {apart}(t0)
        addi    t0, t0, {step}
        addi    t1, t1, -1
        bnez    t1, inner
        lw      a1, 0(t0)
        addi    s0, s0, {step}
        addi    s2, s2, -1
        bnez    s2, again
        wfi
"""
LOOPS = {"copy": COPY, "two": TWO, "nested": NESTED}
MOVES = ((8, 8), (-8, 16), (2, 0), (1000, -8), (4, 2000))  # step, apart


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_each_round_finds_what_it_would_by_itself(engine: str, loop: str, second: str) -> None:
    for step, apart in MOVES:
        way = max(-PAGE + 64, min(PAGE - 64, 40 * step))
        start = DATA + PAGE - way if way > 0 else DATA + PAGE - way - 8
        does_as_the_reference(engine, LOOPS[loop].format(step=step, apart=apart), second, (start, DATA + PAGE - 64))
