from guesthouse.virtual.isa.riscv64.csr import csr_read, csr_write
from guesthouse.virtual.isa.riscv64.csr_names import Csr

from .hart import MASK, Hart


def test_time_is_in_ticks_of_100_nanoseconds():
    hart = Hart()
    hart.environment.clock = 12_399
    assert csr_read(hart, Csr.TIME) == 123
    hart.time_offset = MASK
    assert csr_read(hart, Csr.TIME) == 122


def test_cycles_and_instructions_count():
    hart = Hart()
    hart.environment.count = 10
    for number in (Csr.CYCLE, Csr.MCYCLE, Csr.INSTRET, Csr.MINSTRET):
        assert csr_read(hart, number) == 10


def test_the_instruction_after_a_write_reads_what_was_written():
    for number in (Csr.MCYCLE, Csr.MINSTRET):
        hart = Hart()
        hart.environment.count = 10
        csr_write(hart, number, MASK)
        hart.environment.count += 1
        assert csr_read(hart, number) == MASK
        hart.environment.count += 1
        assert csr_read(hart, number) == 0


def test_counters_stand_still_one_by_one():
    hart = Hart()
    hart.environment.count = 10
    csr_write(hart, Csr.MCOUNTINHIBIT, 1)
    hart.environment.count = 20
    assert (csr_read(hart, Csr.MCYCLE), csr_read(hart, Csr.MINSTRET)) == (10, 20)
    csr_write(hart, Csr.MCYCLE, 77)
    csr_write(hart, Csr.MCOUNTINHIBIT, 4)
    hart.environment.count = 25
    assert (csr_read(hart, Csr.MCYCLE), csr_read(hart, Csr.MINSTRET)) == (82, 20)
    csr_write(hart, Csr.MINSTRET, 5)
    csr_write(hart, Csr.MCOUNTINHIBIT, 0)
    hart.environment.count = 30
    assert (csr_read(hart, Csr.MCYCLE), csr_read(hart, Csr.MINSTRET)) == (87, 10)


def test_event_counters_are_there_and_zero():
    hart = Hart()
    for base in (0xB00, 0x320):
        for number in range(base + 3, base + 32):
            csr_write(hart, number, MASK)
            assert csr_read(hart, number) == 0
    assert {csr_read(hart, number) for number in range(0xC03, 0xC20)} == {0}
