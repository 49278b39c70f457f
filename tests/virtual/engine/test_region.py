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


def entries(blocks: list[Block]) -> list[int]:
    return [block.offset for block in blocks if block.entry]


def test_a_call_comes_back_into_the_region_if_it_has_run() -> None:
    text = "again: jal function\n addi a0, a0, -1\n bnez a0, again\n ret\n .balign 64\n function: addi a1, a1, 1\n ret"
    busy = {0: 60000, 64: 60000}
    assert entries(blocks_of(text, jumps=busy | {4: 60000})) == [0, 4]
    assert offsets(blocks_of(text, jumps=busy | {4: 60000})) == [0, 4, 8, 12, 64, 68]
    assert offsets(blocks_of(text, jumps=busy)) == [0, 64, 68]


def test_loops_in_a_region_are_entries_that_count_as_cycles() -> None:
    text = "again: addi a1, a1, 1\n inner: addi a0, a0, -1\n bnez a0, inner\n bnez a1, again\n ret"
    found = blocks_of(text, jumps={0: 60000, 4: 60000})
    assert entries(found) == [0, 4]
    assert all(block.header for block in found if block.entry)
    assert entries(blocks_of(text, jumps={0: 60000, 4: 60000}, entry=8)) == [0, 4, 8]


@pytest.mark.parametrize("count", (BUSY - 1, 60000))
def test_who_comes_in_is_taken_along_if_as_hot(count: int) -> None:
    text = "function: addi a1, a1, 1\n ret\n .balign 64\n caller: addi a0, a0, 1\n jal function\n li a2, 1\n ret"
    found = blocks_of(text, jumps={0: 60000, 64: count, 72: 60000})
    assert entries(found) == ([0, 64, 72] if count > BUSY else [0])


def test_the_block_that_control_comes_from_alone() -> None:
    text = "again: beqz a0, out\n addi a0, a0, -1\n bgez a1, over\n addi a2, a2, 1\n over: j again\n out: ret"
    found = blocks_of(text, jumps={0: 60000, 16: 60000, 20: 60000})
    assert Translator(ISA)._only_ways(found) == {4: 0, 12: 4, 20: 0}
