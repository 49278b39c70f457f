"""Which instructions become a region."""

import pytest

from guesthouse.virtual.engine.region import BUSY, PAGE, SHORT, SMALL, Block
from guesthouse.virtual.engine.translator import Translator
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler

SLOTS = PAGE // ISA.unit


def blocks_of(text: str, entry: int = 0, jumps: dict[int, int] | None = None) -> list[Block]:
    """The region of a page that holds this program; `jumps` has counts by page offset, elsewhere code has just run."""
    page = Assembler(ISA, RISCV64_SYNTAX).assemble(text).ljust(PAGE, b"\0")
    translator = Translator(ISA)
    counts = [0] * SLOTS
    for offset, count in (jumps or {}).items():
        counts[offset // ISA.unit] = count
    return translator.former.form(page, entry, translator, counts)


def offsets(blocks: list[Block]) -> list[int]:
    return [step.offset for block in blocks for step in block.steps]


def test_a_loop_is_taken_whole_and_what_follows_it_if_that_is_little() -> None:
    loop = "again: addi a0, a0, -1\n bnez a0, again\n"
    assert offsets(blocks_of(loop + "addi a1, a1, 1\n ret", jumps={0: 60000})) == [0, 4, 8, 12]
    found = blocks_of(loop + "addi a1, a1, 1\n" * SMALL + "ret", jumps={0: 60000})
    assert offsets(found) == [0, 4]
    assert found[0].header


@pytest.mark.parametrize("distance", [2 * PAGE, -2 * PAGE])
def test_a_long_way_may_leave_the_page(distance: int) -> None:
    length = SHORT + 6
    text = "addi a0, a0, 1\n" * length + f"j . + {distance}"
    assert offsets(blocks_of(text)) == [4 * i for i in range(length + 1)]


def test_a_long_way_ends_where_a_busy_place_begins() -> None:
    text = "addi a0, a0, 1\n" * SMALL + "j busy\n.balign 64\nbusy: addi a1, a1, 1\n ret"
    busy = (4 * (SMALL + 1) + 63) // 64 * 64
    assert busy in offsets(blocks_of(text, jumps={busy: BUSY - 1}))
    assert busy not in offsets(blocks_of(text, jumps={busy: BUSY}))


def test_a_side_that_hardly_ever_runs_is_left_out() -> None:
    text = "again: beqz a0, rare\n addi a0, a0, -1\n j again\n rare: addi a1, a1, 1\n j again"
    assert offsets(blocks_of(text, jumps={0: 60000, 12: 3})) == [0, 4, 8]
    assert offsets(blocks_of(text, jumps={0: 60000, 12: 30000})) == [0, 4, 8, 12, 16]
