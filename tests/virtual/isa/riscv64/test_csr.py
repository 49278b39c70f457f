"""Who may access which CSR, and what each can hold."""

import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.csr import csr_check, csr_read, csr_update_base, csr_write
from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES, Csr
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

FS, TVM, STCE = 3 << 13, 1 << 20, 1 << 63
KNOWN = set(CSR_NAMES.values())


def allowed(hart, number, writes=0):
    hart.environment.word = 0x1234_5073
    try:
        csr_check(hart, number, writes)
    except Trap as trap:
        assert (trap.cause, trap.value) == (Cause.ILLEGAL_INSTRUCTION, 0x1234_5073)
        return False
    return True


def open_hart(mode):
    hart = Hart()
    hart.mode, hart.mstatus, hart.menvcfg = mode, FS, STCE
    hart.mcounteren = hart.scounteren = (1 << 32) - 1
    return hart


@pytest.mark.parametrize("mode", (0, 1, 3))
def test_every_number(mode):
    hart = open_hart(mode)
    for number in range(4096):
        level, read_only = number >> 8 & 3, number >> 10 == 3
        assert allowed(hart, number) == (number in KNOWN and mode >= level), hex(number)
        assert allowed(hart, number, 1) == (number in KNOWN and mode >= level and not read_only), hex(number)
        if number in KNOWN:
            before = vars(hart).copy()
            assert 0 <= csr_read(hart, number) <= MASK
            assert vars(hart) == before


def test_names():
    assert len(KNOWN) == len(CSR_NAMES)
    assert CSR_NAMES["mstatus"] == 0x300 and CSR_NAMES["hpmcounter31"] == 0xC1F and CSR_NAMES["pmpaddr63"] == 0x3EF
    assert "pmpcfg1" not in CSR_NAMES and "mhpmevent2" not in CSR_NAMES


def test_floating_point_registers_need_fs():
    for number in (Csr.FFLAGS, Csr.FRM, Csr.FCSR):
        for fs in range(4):
            hart = open_hart(3)
            hart.mstatus = fs << 13
            assert allowed(hart, number) == (fs != 0)


def test_satp_is_the_machines_under_tvm():
    for mode, tvm in ((1, 0), (1, TVM), (3, TVM)):
        hart = open_hart(mode)
        hart.mstatus = tvm
        assert allowed(hart, Csr.SATP, 1) == (mode == 3 or not tvm)


@pytest.mark.parametrize("counter", (0, 1, 2, 3, 31))
def test_counters_are_granted_mode_by_mode(counter):
    for mode in (0, 1, 3):
        for machine in (0, 1 << counter):
            for supervisor in (0, 1 << counter):
                hart = open_hart(mode)
                hart.mcounteren, hart.scounteren = machine, supervisor
                expected = mode == 3 or (machine and (mode == 1 or supervisor))
                assert allowed(hart, 0xC00 + counter) == bool(expected)


def test_stimecmp_is_granted_by_machine_mode():
    for mode, stce, tm in ((1, STCE, 2), (1, 0, 2), (1, STCE, 5), (3, 0, 0)):
        hart = open_hart(mode)
        hart.menvcfg, hart.mcounteren = stce, tm
        assert allowed(hart, Csr.STIMECMP, 1) == (mode == 3 or bool(stce and tm & 2))


# What reads back after all ones and after zero.
MASKS = {
    Csr.SSTATUS: (1 << 63 | 2 << 32 | 0xC_6122, 2 << 32),
    Csr.MSTATUS: (1 << 63 | 0xA << 32 | 0x7E_79AA, 0xA << 32),
    Csr.MISA: (0x8000_0000_0014_112F, 0x8000_0000_0014_112F),
    Csr.MEDELEG: (0xC_B3FE, 0),
    Csr.MIDELEG: (0x222, 0),
    Csr.MIE: (0xAAA, 0),
    Csr.MIP: (0x222, 0),
    Csr.MTVEC: (MASK ^ 2, 0),
    Csr.STVEC: (MASK ^ 2, 0),
    Csr.MEPC: (MASK ^ 1, 0),
    Csr.SEPC: (MASK ^ 1, 0),
    Csr.MCOUNTEREN: ((1 << 32) - 1, 0),
    Csr.SCOUNTEREN: ((1 << 32) - 1, 0),
    Csr.MCOUNTINHIBIT: (5, 0),
    Csr.MENVCFG: (7 << 61 | 0xF1, 0),
    Csr.SENVCFG: (0xF1, 0),
    **{getattr(Csr, n): (MASK, 0) for n in ("MSCRATCH", "MCAUSE", "MTVAL", "SSCRATCH", "SCAUSE", "STVAL", "STIMECMP")},
    **{getattr(Csr, n): (0, 0) for n in ("MSECCFG", "TSELECT", "TDATA1", "TDATA2", "TDATA3", "SIE", "SIP")},
    Csr.TINFO: (1, 1),
}


@pytest.mark.parametrize("number", MASKS, ids=lambda n: n.name)
def test_what_can_be_held(number):
    hart = Hart()
    for value, expected in zip((MASK, 0), MASKS[number], strict=True):
        csr_write(hart, number, value)
        assert csr_read(hart, number) == expected


def test_every_register_that_can_be_written_is_tried_somewhere():
    elsewhere = {Csr.FFLAGS, Csr.FRM, Csr.FCSR, Csr.SATP, Csr.MCYCLE, Csr.MINSTRET}
    assert {n for n in Csr if n >> 10 != 3} == set(MASKS) | elsewhere


def test_reserved_values():
    hart = Hart()
    csr_write(hart, Csr.MSTATUS, 2 << 11)
    assert csr_read(hart, Csr.MSTATUS) >> 11 & 3 == 0
    for number in (Csr.MENVCFG, Csr.SENVCFG):
        csr_write(hart, number, 2 << 4)
        assert csr_read(hart, number) == 0
        csr_write(hart, number, 1 << 4)
        assert csr_read(hart, number) == 1 << 4


def test_satp_takes_the_modes_there_are():
    hart, value = Hart(), 0x1234_5000_0008_0000
    for mode in range(16):
        csr_write(hart, Csr.SATP, 0)
        hart.environment.forgotten.clear()
        csr_write(hart, Csr.SATP, mode << 60 | value & (1 << 60) - 1)
        taken = mode in (0, 8, 9, 10)
        assert csr_read(hart, Csr.SATP) == (mode << 60 | value & (1 << 60) - 1 if taken else 0)
        assert all(what[0] == "context" for what in hart.environment.forgotten), "what other spaces have is kept"
        assert not hart.environment.forgotten or taken
    csr_write(hart, Csr.SATP, csr_read(hart, Csr.SATP))
    assert hart.environment.forgotten == []


def test_floating_point_registers_are_one():
    hart = Hart()
    hart.mstatus = 1 << 13
    assert csr_read(hart, Csr.FCSR) == 0 and hart.mstatus == 1 << 13
    csr_write(hart, Csr.FCSR, MASK)
    assert (csr_read(hart, Csr.FCSR), csr_read(hart, Csr.FFLAGS), csr_read(hart, Csr.FRM)) == (0xFF, 31, 7)
    assert hart.mstatus == FS
    csr_write(hart, Csr.FFLAGS, 0b00101)
    csr_write(hart, Csr.FRM, 0b11010)
    assert csr_read(hart, Csr.FCSR) == 0b010_00101


def test_supervisor_views():
    hart = Hart()
    csr_write(hart, Csr.MIE, MASK)
    csr_write(hart, Csr.MIP, MASK)
    for delegation in (0, 0x222, 0x20):
        csr_write(hart, Csr.MIDELEG, delegation)
        assert csr_read(hart, Csr.SIE) == csr_read(hart, Csr.SIP) == delegation
    csr_write(hart, Csr.SIE, 0)
    assert csr_read(hart, Csr.MIE) == 0xAAA ^ 0x20
    csr_write(hart, Csr.MIDELEG, 0x222)
    csr_write(hart, Csr.SIP, 0)
    assert csr_read(hart, Csr.MIP) == 0x220  # software's own bit is all that a supervisor can clear
    csr_write(hart, Csr.MSTATUS, MASK)
    csr_write(hart, Csr.SSTATUS, 0)
    assert csr_read(hart, Csr.MSTATUS) == 0xA << 32 | 0x72_1888


def test_the_external_signal_is_not_written_back():
    hart = Hart()
    hart.external = 1 << 9 | 1 << 11
    value = csr_read(hart, Csr.MIP)
    assert value == 1 << 9 | 1 << 11
    csr_write(hart, Csr.MIP, csr_update_base(hart, Csr.MIP, value) | 2)
    hart.external = 0
    assert csr_read(hart, Csr.MIP) == 2
    csr_write(hart, Csr.MIP, 1 << 9)
    assert csr_update_base(hart, Csr.MIP, csr_read(hart, Csr.MIP)) == 1 << 9
    assert csr_update_base(hart, Csr.MIE, MASK) == MASK


def test_with_sstc_the_timer_bit_is_the_comparators():
    hart = Hart()
    csr_write(hart, Csr.MIP, 1 << 5)
    csr_write(hart, Csr.MENVCFG, STCE)
    assert csr_read(hart, Csr.MIP) == 0
    csr_write(hart, Csr.MIP, 0)
    csr_write(hart, Csr.STIMECMP, 0)
    assert csr_read(hart, Csr.MIP) == 1 << 5
    csr_write(hart, Csr.MENVCFG, 0)
    assert csr_read(hart, Csr.MIP) == 1 << 5  # as it was left


def synchronized(hart, number, value):
    """Whether a write has the engine look again."""
    before = hart.environment.synchronized
    csr_write(hart, number, value)
    return hart.environment.synchronized > before


def test_what_the_engine_must_know():
    hart = Hart()
    for bit in (11, 17, 18, 19):
        assert synchronized(hart, Csr.MSTATUS, 1 << bit)
        assert not synchronized(hart, Csr.MSTATUS, 1 << bit)
    csr_write(hart, Csr.MSTATUS, 0)
    for number in ("MSCRATCH", "SSCRATCH", "MEPC", "SEPC", "MCAUSE", "SCAUSE", "MTVAL", "STVAL", "MTVEC", "STVEC"):
        assert not synchronized(hart, getattr(Csr, number), MASK)
    assert synchronized(hart, Csr.MENVCFG, 1 << 61) and hart.environment.forgotten == [None]
    assert not synchronized(hart, Csr.MIE, MASK)
    assert synchronized(hart, Csr.MIP, 2) and hart.attention
    hart.attention = 0
    assert synchronized(hart, Csr.SSTATUS, 2) and hart.attention
    hart.attention = 0
    assert not synchronized(hart, Csr.SSTATUS, 0) and not hart.attention
    csr_write(hart, Csr.MIP, 0)
    assert not synchronized(hart, Csr.SSTATUS, 2)
