"""Accesses by one pointer, near one another: across pages that lie apart, are protected, missing or a device."""

from __future__ import annotations

import pytest

from .engines import ENGINES
from .page_tables import PAGE
from .two_pages import DATA, SECONDS, does_as_the_reference

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
        {move}
        addi    s2, s2, -1
        bnez    s2, again
        wfi
"""
FIRSTS = ("ld a0, 0(s0)", "sd s2, 0(s0)", "lbu a0, 1(s0)", "sw s2, 4(s0)")
STARTS = ((DATA + PAGE - 40 * 8, 8), (DATA + PAGE - 48, 0), (DATA + PAGE - 120, 4), (DATA + 64, 0))  # and strides


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("first", FIRSTS)
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_they_do_what_each_does_by_itself(engine: str, first: str, second: str) -> None:
    for start, stride in STARTS:
        source = LOOP.format(first=first, move="add s0, s0, s1")
        does_as_the_reference(engine, source, second, (start, stride))


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_they_do_so_where_the_pointer_moves_by_a_number(engine: str, second: str) -> None:
    for start, stride in STARTS:
        source = LOOP.format(first=FIRSTS[1], move=f"addi s0, s0, {stride}")
        does_as_the_reference(engine, source, second, (start, 0))
