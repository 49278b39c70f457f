"""The double-precision instructions against Spike and unicorn, and what only instructions do."""

import pytest

from guesthouse.virtual.isa.riscv64 import double
from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.spec.words import Trap

from . import outside_float as outside

LOADS_AND_STORES = ("fld", "fsd")
INSTRUCTIONS = [i.name for i in RISCV64.instructions if i.extension == "D" and i.name not in LOADS_AND_STORES]
ROUNDED = [name for name in INSTRUCTIONS if "rm" in RISCV64.by_name[name].parameters]
DIRTY, FS = 3 << 13, 3 << 13


def test_the_extension_is_whole():
    assert len(INSTRUCTIONS) + len(LOADS_AND_STORES) == 32


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_results_and_flags_are_spikes(name, tmp_path):
    cases = outside.cases_for(name, 32 if name == "fcvt_d_s" else 64, 50)
    found = outside.our_outcomes(name, cases)
    for case, ours, theirs in zip(cases, found, outside.spike_outcomes(name, cases, tmp_path), strict=True):
        assert ours == theirs, [hex(v) for v in case]


@pytest.mark.parametrize("name", ROUNDED)
def test_a_static_rounding_mode_counts(name, tmp_path):
    for mode in range(5):
        cases = outside.cases_for(name, 32 if name == "fcvt_d_s" else 64, 4)[mode::5]
        assert outside.our_outcomes(name, cases, mode) == outside.spike_outcomes(name, cases, tmp_path, mode)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_results_and_flags_are_unicorns(name):
    cases = outside.cases_for(name, 32 if name == "fcvt_d_s" else 64, 50)
    if name.startswith(("fmin", "fmax")):  # it follows the rules from before version 2.2 for signaling NaNs
        cases = [
            case for case, (_, _, fcsr) in zip(cases, outside.our_outcomes(name, cases), strict=True) if not fcsr & 16
        ]
    found, theirs = outside.our_outcomes(name, cases), outside.unicorn_outcomes(name, cases)
    if name == "fcvt_s_d":  # it boxes only what it loads
        found = [(f & 0xFFFF_FFFF, x, fcsr) for f, x, fcsr in found]
    assert found == theirs


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_off_is_illegal_and_a_write_is_recorded(name):
    semantics, operands = RISCV64.by_name[name].semantics, dict(outside.operands(name, 0))
    hart = outside.state((1, 1, 1, 1, 0))
    hart.mstatus = ~FS & outside.MASK
    with pytest.raises(Trap) as trap:
        semantics(hart, **operands)
    assert trap.value.cause == Cause.ILLEGAL_INSTRUCTION
    assert (hart.f[10], hart.x[15], hart.float_flags, hart.mstatus) == (0, 0, 0, ~FS & outside.MASK)
    hart.mstatus = 1 << 13 | 0x1800
    semantics(hart, **operands)
    only_reads = name in ("fclass_d", "fmv_x_d")
    assert hart.mstatus == (1 << 13 if only_reads else DIRTY) | 0x1800


@pytest.mark.parametrize("name", ROUNDED)
def test_reserved_rounding_modes_are_illegal(name):
    semantics = RISCV64.by_name[name].semantics
    for field, frm in ((5, 0), (6, 0), (7, 5), (7, 6), (7, 7)):
        hart = outside.state((1, 1, 1, 1, frm << 5))
        with pytest.raises(Trap) as trap:
            semantics(hart, **dict(outside.operands(name, field)))
        assert trap.value.cause == Cause.ILLEGAL_INSTRUCTION
        assert (hart.f[10], hart.x[15], hart.float_flags, hart.mstatus) == (0, 0, 0, 2 << 13)
    semantics(outside.state((1, 1, 1, 1, 7 << 5)), **dict(outside.operands(name, 0)))  # a static mode needs no frm


class Memory:
    """Memory of one word, or of none."""

    def __init__(self, content=None):
        self.content = content
        self.asked = None

    def load(self, address, size):
        if self.content is None:
            raise Trap(Cause.LOAD_PAGE_FAULT, address)
        self.asked = address, size
        return self.content

    def store(self, address, size, value):
        if self.content is None:
            raise Trap(Cause.STORE_PAGE_FAULT, address)
        self.asked, self.content = (address, size), value & ((1 << 8 * size) - 1)


def test_load_and_store():
    hart = outside.state((0, 0x1122_3344_5566_7788, 0, 0x1000, 0))
    hart.environment = Memory(0xFFF0_0000_0000_0001)
    double.fsd(hart, 2, 13, -8)
    assert (hart.environment.content, hart.environment.asked) == (0x1122_3344_5566_7788, (0xFF8, 8))
    assert hart.mstatus == 2 << 13
    double.fld(hart, 1, 13, 16)
    assert (hart.f[1], hart.environment.asked, hart.mstatus) == (0x1122_3344_5566_7788, (0x1010, 8), DIRTY)


def test_moves_keep_the_bits_of_a_signaling_nan():
    hart = outside.state((0x7FF0_0000_0000_0001, 0x8000_0000_0000_0000, 0, 0, 0))
    double.fmv_x_d(hart, 15, 1)
    double.fsgnjn_d(hart, 10, 1, 2)
    assert (hart.x[15], hart.f[10], hart.float_flags) == (0x7FF0_0000_0000_0001, 0x7FF0_0000_0000_0001, 0)


def test_a_failing_access_changes_nothing():
    hart = outside.state((5, 0, 0, 0x1000, 0))
    hart.environment = Memory()
    with pytest.raises(Trap):
        double.fld(hart, 1, 13, 0)
    with pytest.raises(Trap):
        double.fsd(hart, 1, 13, 0)
    assert (hart.f[1], hart.mstatus) == (5, 2 << 13)
