import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.spec.access import Access

from ..fake import MEMORY, execute, hart, trap

INVAL, FLUSH, ZERO = 3 << 4, 1 << 6, 1 << 7
USER, SUPERVISOR, MACHINE = 0, 1, 3
NEEDS = {"cbo_inval": INVAL, "cbo_clean": FLUSH, "cbo_flush": FLUSH, "cbo_zero": ZERO}


def allowed(name, mode, menvcfg, senvcfg):
    s = hart({11: MEMORY + 70}, b"\x11" * 256)
    s.mode, s.menvcfg, s.senvcfg = mode, menvcfg, senvcfg
    found = trap(s, name, rs1=11)
    assert found is None or found[0] == Cause.ILLEGAL_INSTRUCTION
    return found is None


@pytest.mark.parametrize("name", NEEDS)
def test_every_higher_mode_must_allow_it(name):
    field = NEEDS[name]
    others = 0xF0 & ~field
    assert allowed(name, MACHINE, 0, 0)
    assert allowed(name, SUPERVISOR, field, 0)
    assert not allowed(name, SUPERVISOR, others, field)
    assert allowed(name, USER, field, field)
    assert not allowed(name, USER, field, others)
    assert not allowed(name, USER, others, field)


def test_invalidation_may_be_allowed_as_a_flush():
    assert allowed("cbo_inval", USER, 1 << 4, 3 << 4)


def test_management_only_looks():
    s = hart({11: MEMORY + 70}, b"\x11" * 256)
    for name in ("cbo_inval", "cbo_clean", "cbo_flush"):
        execute(s, name, rs1=11)
    assert s.environment.touched == [(MEMORY + 70, Access.MANAGE, 1)] * 3
    assert s.environment.bytes[:256] == b"\x11" * 256


def test_zero_clears_the_block_around_the_address():
    s = execute(hart({11: MEMORY + 70}, b"\x11" * 256), "cbo_zero", rs1=11)
    assert s.environment.touched == [(MEMORY + 70, Access.STORE, 1)]  # so that a trap tells this address
    assert s.environment.bytes[:256] == b"\x11" * 64 + bytes(64) + b"\x11" * 128


@pytest.mark.parametrize("name", ["prefetch_i", "prefetch_r", "prefetch_w"])
def test_prefetches_touch_nothing(name):
    s = hart({11: 3})
    assert trap(s, name) is None
    assert s.environment.touched == []
