import itertools

import pytest

from guesthouse.virtual.isa.riscv64 import zicsr
from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

OLD, NEW = 0xF0F0_F0F0_F0F0_F0F0, 0x00FF_FF00_1234_5678
RESULTS = {"csrrw": NEW, "csrrs": OLD | NEW, "csrrc": OLD & ~NEW}
IMMEDIATE_RESULTS = {"csrrwi": 0b10110, "csrrsi": OLD | 0b10110, "csrrci": OLD & ~0b10110}


def test_registers():
    for name, rd in itertools.product(RESULTS, (0, 5, 6)):
        hart = Hart()
        hart.mscratch, hart.x[6] = OLD, NEW
        getattr(zicsr, name)(hart, rd, Csr.MSCRATCH, 6)
        assert hart.mscratch == RESULTS[name]
        assert hart.x[rd] == (OLD if rd else 0)


def test_immediates():
    for name in IMMEDIATE_RESULTS:
        hart = Hart()
        hart.mscratch = OLD
        getattr(zicsr, name)(hart, 5, Csr.MSCRATCH, 0b10110)
        assert hart.mscratch == IMMEDIATE_RESULTS[name]
        assert hart.x[5] == OLD


@pytest.mark.parametrize("name", ("csrrs", "csrrc", "csrrsi", "csrrci"))
def test_nothing_to_set_or_clear_is_no_write(name):
    hart = Hart()
    hart.mhartid = 7
    getattr(zicsr, name)(hart, 5, Csr.MHARTID, 0)
    assert hart.x[5] == 7
    with pytest.raises(Trap):
        getattr(zicsr, name)(hart, 5, Csr.MHARTID, 1)  # x1 is zero, but it is a write all the same
    hart.mstatus = 1 << 13
    getattr(zicsr, name)(hart, 5, Csr.FCSR, 0)
    assert hart.mstatus == 1 << 13  # not dirty


@pytest.mark.parametrize("name", (*RESULTS, *IMMEDIATE_RESULTS))
def test_a_trap_changes_nothing(name):
    hart = Hart()
    hart.mode, hart.x[5], hart.x[6], hart.mscratch = 1, 1, 2, 3
    with pytest.raises(Trap):
        getattr(zicsr, name)(hart, 5, Csr.MSCRATCH, 6)
    assert (hart.x[5], hart.mscratch) == (1, 3)


def test_disabling_interrupts_needs_no_look_at_them():
    hart = Hart()
    hart.mstatus = MASK & (1 << 1 | 1 << 5 | 1 << 18)
    zicsr.csrrci(hart, 5, Csr.SSTATUS, 0b11111)
    assert hart.mstatus == 1 << 5 | 1 << 18
    assert hart.x[5] == 2 << 32 | 1 << 1 | 1 << 5 | 1 << 18
    assert hart.environment.synchronized == 0
    zicsr.csrrci(hart, 5, Csr.SSTATUS, 0)
    assert hart.mstatus == 1 << 5 | 1 << 18


def test_software_may_set_bits_of_mip_while_the_controller_signals():
    hart = Hart()
    hart.external, hart.x[6] = 1 << 9, 2
    zicsr.csrrs(hart, 5, Csr.MIP, 6)
    assert (hart.x[5], hart.mip) == (1 << 9, 2)
    hart.x[6] = 1 << 9
    zicsr.csrrs(hart, 5, Csr.MIP, 6)
    assert (hart.x[5], hart.mip) == (1 << 9 | 2, 1 << 9 | 2)
