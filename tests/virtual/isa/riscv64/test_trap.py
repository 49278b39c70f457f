import pytest

from guesthouse.virtual.isa.riscv64.causes import INTERRUPT, Cause
from guesthouse.virtual.isa.riscv64.csr import csr_check, csr_write
from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.isa.riscv64.paging import translate
from guesthouse.virtual.isa.riscv64.trap import mret, reset, sret, start_monitored, take_trap
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

SIE, MIE, SPIE, MPIE, SPP, MPP, MPRV, TSR = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8, 3 << 11, 1 << 17, 1 << 22


def test_reset():
    hart = Hart()
    hart.mode = 0
    reset(hart)
    assert hart.mode == 3
    assert hart.menvcfg == 1 << 62 | 0xF0


@pytest.mark.parametrize("mode", (0, 1, 3))
@pytest.mark.parametrize("enabled", (0, 1))
@pytest.mark.parametrize("delegated", (0, 1))
@pytest.mark.parametrize("cause", (Cause.LOAD_PAGE_FAULT, Cause.SUPERVISOR_TIMER_INTERRUPT))
def test_entry(mode, enabled, delegated, cause):
    hart = Hart()
    hart.mode, hart.pc, hart.reservation_address = mode, 0x1234, 0x5678
    hart.mtvec, hart.stvec = 0x8000_0001, 0xFFFF_FFC0_0000_0000
    hart.mstatus = (SIE | MIE) * enabled | (SPIE | MPIE) * (not enabled) | MPRV
    if delegated:
        hart.medeleg, hart.mideleg = 1 << Cause.LOAD_PAGE_FAULT, 1 << 5
    take_trap(hart, cause, 77)
    assert hart.reservation_address == MASK and hart.attention == 1
    if delegated and mode < 3:
        assert (hart.mode, hart.sepc, hart.scause, hart.stval, hart.pc) == (1, 0x1234, cause, 77, hart.stvec)
        assert (hart.mepc, hart.mcause) == (0, 0)
        machine = MIE if enabled else MPIE
        assert hart.mstatus == MPRV | machine | SPIE * enabled | SPP * mode
    else:
        slot = 0x8000_0000 + (4 * 5 if cause & INTERRUPT else 0)
        assert (hart.mode, hart.mepc, hart.mcause, hart.mtval, hart.pc) == (3, 0x1234, cause, 77, slot)
        assert (hart.sepc, hart.scause) == (0, 0)
        supervisor = SIE if enabled else SPIE
        assert hart.mstatus == MPRV | supervisor | MPIE * enabled | mode << 11


def test_vectored_supervisor_interrupts():
    hart = Hart()
    hart.mode, hart.mideleg, hart.stvec = 0, 0x222, 0x1001
    take_trap(hart, Cause.SUPERVISOR_EXTERNAL_INTERRUPT, 0)
    assert hart.pc == 0x1000 + 4 * 9
    hart.medeleg = MASK
    take_trap(hart, Cause.BREAKPOINT, 0)
    assert hart.pc == 0x1000


def test_under_a_monitor_all_traps_are_the_supervisors():
    hart = Hart()
    start_monitored(hart)
    assert (hart.mode, hart.monitor) == (1, 1)
    assert translate(hart, 0x8000_0000, 8, 1, 2) == 0x8000_0007
    for number in (Csr.STIMECMP, Csr.TIME, Csr.CYCLE, Csr.SATP):
        csr_check(hart, number, 0)
    csr_write(hart, Csr.SIE, (1 << 64) - 1)
    assert hart.mie == 0x222
    for cause in (Cause.ILLEGAL_INSTRUCTION, Cause.SUPERVISOR_TIMER_INTERRUPT, Cause.HARDWARE_ERROR):
        take_trap(hart, cause, 0)
        assert (hart.mode, hart.scause) == (1, cause)


def test_under_a_monitor_programs_may_read_the_time():
    hart = Hart()
    start_monitored(hart)
    hart.mode = 0
    for number in (Csr.CYCLE, Csr.TIME, Csr.INSTRET):
        csr_check(hart, number, 0)
    with pytest.raises(Trap):
        csr_check(hart, Csr.INSTRET + 1, 0)
    hart.mode = 1
    csr_write(hart, Csr.SCOUNTEREN, 0)
    hart.mode = 0
    with pytest.raises(Trap):
        csr_check(hart, Csr.TIME, 0)


@pytest.mark.parametrize("mpp", (0, 1, 3))
@pytest.mark.parametrize("mpie", (0, 1))
def test_mret(mpp, mpie):
    hart = Hart()
    hart.mstatus, hart.mepc = mpp << 11 | MPIE * mpie | MIE * (not mpie) | MPRV | SIE, 0x4000
    mret(hart)
    assert (hart.mode, hart.next_pc) == (mpp, 0x4000)
    assert hart.mstatus == MPIE | MIE * mpie | SIE | MPRV * (mpp == 3)
    assert hart.environment.synchronized and hart.attention


@pytest.mark.parametrize("mode", (1, 3))
@pytest.mark.parametrize("spp", (0, 1))
@pytest.mark.parametrize("spie", (0, 1))
def test_sret(mode, spp, spie):
    hart = Hart()
    hart.mode, hart.sepc = mode, 0x4000
    hart.mstatus = SPP * spp | SPIE * spie | SIE * (not spie) | MPRV | MPP | (TSR if mode == 3 else 0)
    sret(hart)
    assert (hart.mode, hart.next_pc) == (spp, 0x4000)
    assert hart.mstatus == SPIE | SIE * spie | MPP | (TSR if mode == 3 else 0)
    assert hart.environment.synchronized and hart.attention


@pytest.mark.parametrize(("instruction", "mode", "status"), [(mret, 1, 0), (mret, 0, 0), (sret, 0, 0), (sret, 1, TSR)])
def test_returns_are_illegal_below(instruction, mode, status):
    hart = Hart()
    hart.mode, hart.mstatus, hart.environment.word = mode, status, 0xABCD
    with pytest.raises(Trap) as raised:
        instruction(hart)
    assert (raised.value.cause, raised.value.value) == (Cause.ILLEGAL_INSTRUCTION, 0xABCD)
    assert (hart.mode, hart.mstatus) == (mode, status)


@pytest.mark.parametrize("mode", (0, 1, 3))
def test_entry_and_return_are_inverse(mode):
    for delegation in (0, MASK):
        hart = Hart()
        hart.mode, hart.pc, hart.medeleg, hart.mstatus = mode, 0x1234, delegation, SIE | MIE
        take_trap(hart, Cause.BREAKPOINT, 0)
        sret(hart) if hart.mode == 1 else mret(hart)
        assert (hart.mode, hart.next_pc) == (mode, 0x1234)
        assert hart.mstatus & (SIE | MIE) == SIE | MIE
