"""Address spaces kept side by side: which one a value of satp gets, what is forgotten and what stays."""

from guesthouse.virtual.isa.riscv64.paging import data_context, fetch_context
from guesthouse.virtual.isa.riscv64.translations import SPACES, enter_space, forget_identified

from .hart import Hart

SV39 = 8 << 60


def satp(identifier: int, root: int) -> int:
    return SV39 | identifier << 44 | root


def test_a_space_entered_again_has_its_translations_still():
    hart = Hart()
    hart.mode = 1
    enter_space(hart, satp(1, 100))
    first, forgotten = data_context(hart), len(hart.environment.forgotten)
    enter_space(hart, satp(2, 200))
    assert data_context(hart) != first and fetch_context(hart) >> 3 == data_context(hart) >> 3
    hart.environment.forgotten.clear()
    enter_space(hart, satp(1, 100))
    assert forgotten and (data_context(hart), hart.environment.forgotten) == (first, [])


def test_the_same_identifier_with_another_root_is_another_space():
    hart = Hart()
    enter_space(hart, satp(1, 100))
    space = hart.space
    enter_space(hart, satp(1, 101))
    assert hart.space != space


def test_one_more_than_there_is_room_for_drops_the_oldest():
    hart = Hart()
    for number in range(SPACES + 1):
        enter_space(hart, satp(number, number))
    hart.environment.forgotten.clear()
    enter_space(hart, satp(0, 0))
    assert hart.environment.forgotten == [("context", hart.space * 8 + i) for i in range(8)]


def test_a_fence_for_an_identifier_drops_every_space_that_has_it():
    hart = Hart()
    for identifier, root in ((1, 100), (2, 200), (1, 101)):
        enter_space(hart, satp(identifier, root))
    hart.environment.forgotten.clear()
    forget_identified(hart, 1)
    spaces = {context >> 3 for _, context in hart.environment.forgotten}
    assert len(spaces) == 2 and hart.space in spaces
    forget_identified(hart, 7)
    assert len(hart.environment.forgotten) == 16
