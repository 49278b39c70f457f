"""The layout of state, and a state that follows it."""

import pytest

from guesthouse.virtual.spec.layout import CONTROL, Field, RegisterFile, StateLayout
from guesthouse.virtual.spec.state import ProcessorState

REGISTERS = RegisterFile("r", 4, zero=0, names=("zero", "a", "b", "c"))
LAYOUT = StateLayout(REGISTERS, Field("narrow", bits=4, reset=7), Field("hidden", saved=False))


def test_fields_follow_each_other():
    first = len(CONTROL)
    # The register file has one slot more, for what is written to its zero register.
    assert [LAYOUT.slot[name] for name in ("pc", "r", "narrow", "hidden")] == [0, first, first + 5, first + 6]
    assert LAYOUT.slots == first + 7
    assert LAYOUT.offset("narrow") == 8 * (first + 5)
    assert REGISTERS.index("b") == 2


def test_an_engine_adds_its_own_behind():
    longer = LAYOUT.extended(Field("private"))
    assert longer.slot == {**LAYOUT.slot, "private": LAYOUT.slots}


def test_a_name_is_declared_once():
    with pytest.raises(ValueError, match="pc is declared twice"):
        StateLayout(Field("pc"))


def test_what_is_saved_is_the_guests():
    names = [field.name for field in LAYOUT.saved()]
    assert "r" in names and "narrow" in names and "hidden" not in names


def test_a_state_truncates_and_resets():
    state = ProcessorState(LAYOUT)
    state.reset()
    assert (state.narrow, state.r[1]) == (7, 0)
    state.narrow, state.r[0], state.r[1] = 0x1F, 5, 1 << 64 | 9
    assert (state.narrow, state.r[0], state.r[1]) == (15, 0, 9)
    assert state.address % 64 == 0


def test_a_state_is_saved_and_loaded():
    state, other = ProcessorState(LAYOUT), ProcessorState(LAYOUT)
    state.reset()
    state.r[3], state.pc, state.hidden = 8, 0x1234, 1
    other.load(state.save())
    assert (other.r[3], other.pc, other.narrow, other.hidden) == (8, 0x1234, 7, 0)
    with pytest.raises(ValueError, match="'unknown'"):
        other.load({"unknown": 1})
