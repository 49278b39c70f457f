import pytest

from guesthouse.virtual.isa.riscv64.paging import translate
from guesthouse.virtual.isa.riscv64.translations import forget_page, forget_pages

from .hart import Hart
from .test_paging import ROOT, hart_for, table_for

SV39 = 8 << 60 | ROOT >> 12


@pytest.mark.parametrize("address", (0x4020_3000, 0xFFFF_FFC0_4020_3000))
@pytest.mark.parametrize(("level", "size"), [(1, 1 << 21), (2, 1 << 30)])
def test_a_fence_for_one_address_of_a_large_leaf_is_for_all(address, level, size):
    hart = hart_for(SV39, 0, 1, 0, 0, table_for(3, level, address, 0x8_0000 << 10 | 0xCF))
    translate(hart, address, 8, 0, 2)
    first = address & ~(size - 1)
    all_of_it = (first, 512) if level == 1 else None
    for inside in (first, first + size - 1):
        forget_page(hart, inside)
        assert hart.environment.forgotten.pop() == all_of_it
        translate(hart, address, 8, 0, 2)
    for outside in (first - 1, first + size, address ^ 1 << 63):
        forget_page(hart, outside)
        assert hart.environment.forgotten.pop() == (outside, 1)
    forget_pages(hart)
    forget_page(hart, address)
    assert hart.environment.forgotten == [None, (address, 1)]


def test_small_leaves_are_forgotten_one_by_one():
    hart = hart_for(SV39, 0, 1, 0, 0, table_for(3, 0, 0x5000, 0x8_0000 << 10 | 0xCF))
    translate(hart, 0x5000, 8, 0, 2)
    forget_page(hart, 0x5123)
    assert hart.environment.forgotten == [(0x5123, 1)]


def test_a_contiguous_range_counts_as_large():
    hart = hart_for(SV39, 0, 1, 0, 0, table_for(3, 0, 0x15000, 1 << 63 | 0x8_0008 << 10 | 0xCF))
    assert translate(hart, 0x15000, 8, 0, 2) == 0x8000_5007
    forget_page(hart, 0x1FFFF)
    assert hart.environment.forgotten == [(0, 512)]


def test_nothing_is_large_at_first():
    hart = Hart()
    for address in (0, (1 << 64) - 1, 1 << 63):
        forget_page(hart, address)
    assert None not in hart.environment.forgotten
