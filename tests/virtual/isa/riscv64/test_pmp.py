import random

import pytest

from guesthouse.virtual.isa.riscv64.paging import translate
from guesthouse.virtual.isa.riscv64.pmp import pmp_read, pmp_rights, pmp_write
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

TOR, NA4, NAPOT, LOCKED = 1 << 3, 2 << 3, 3 << 3, 0x80


def ranges(hart):
    """Byte ranges of the entries in force, as (low, high, byte), read off the manual's table 3.7.1."""
    for index in range(16):
        byte, address = hart.pmpcfg[index], hart.pmpaddr[index]
        kind = byte >> 3 & 3
        if kind == 1:
            yield (hart.pmpaddr[index - 1] << 2 if index else 0), address << 2, byte
        elif kind == 2:
            yield address << 2, (address << 2) + 4, byte
        elif kind == 3:
            text = f"{address:054b}"
            ones = len(text) - len(text.rstrip("1"))
            low = int(text[: max(0, 54 - ones - 1)] + "0" * min(54, ones + 1), 2) << 2
            yield low, low + (8 << ones), byte


def oracle(hart, address, size, machine):
    for low, high, byte in ranges(hart):
        touched = [low <= address + n < high for n in range(size)]
        if any(touched):
            if not all(touched):
                return 0
            return 7 if machine and not byte & LOCKED else byte & 7
    return 7 if machine else 0


def test_random_entries():
    rng = random.Random(37)
    seen = set()
    for _ in range(400):
        hart = Hart()
        for index in range(16):
            if rng.random() < 0.4:
                hart.pmpcfg[index] = (
                    rng.choice((0, LOCKED)) | rng.choice((TOR, NA4, NAPOT)) | rng.choice((0, 1, 3, 4, 7))
                )
            ones = rng.choice((0, 0, 1, 3, 5, 9, 10, 12, 54))
            hart.pmpaddr[index] = (0x2000_0000 + rng.randrange(0x1000)) | (1 << ones) - 1
        for _ in range(20):
            size = rng.choice((1, 2, 4, 8))
            address = 0x8000_0000 + rng.randrange(0x4000) & ~(size - 1)
            machine = rng.randrange(2)
            rights = pmp_rights(hart, address, size, machine)
            assert rights & 7 == oracle(hart, address, size, machine)
            page = address & ~0xFFF
            cuts = {edge for low, high, _ in ranges(hart) if low < high for edge in (low, high)}
            cuts = {edge for edge in cuts if page < edge < page + 0x1000}
            if rights & 8 == 0:
                assert {oracle(hart, word, 4, machine) for word in cuts | {page}} == {rights & 7}
            else:
                assert cuts
            seen.add((rights, machine))
    assert len(seen) > 10


@pytest.mark.parametrize("machine", (0, 1))
def test_nothing_set_up_denies_all_but_machine_mode(machine):
    assert pmp_rights(Hart(), 0x8000_0000, 8, machine) == 7 * machine


def test_an_access_that_only_partly_matches_fails_even_in_machine_mode():
    hart = Hart()
    hart.pmpaddr[0], hart.pmpcfg[0] = 0x8000_0004 >> 2, NA4 | 7
    assert pmp_rights(hart, 0x8000_0000, 8, 1) == 8
    assert pmp_rights(hart, 0x8000_0000, 4, 1) == 8 | 7
    assert pmp_rights(hart, 0x8000_0004, 4, 0) == 8 | 7
    assert pmp_rights(hart, 0x8000_1004, 4, 1) == 7


def test_top_of_range_begins_at_zero_for_entry_0_and_at_an_entry_that_is_off():
    hart = Hart()
    hart.pmpaddr[0], hart.pmpcfg[0] = 0x8000_0000 >> 2, TOR | 1
    hart.pmpaddr[1], hart.pmpaddr[2], hart.pmpcfg[2] = 0x9000_0000 >> 2, 0x9000_1000 >> 2, TOR | 3
    assert pmp_rights(hart, 0, 8, 0) == 1
    assert pmp_rights(hart, 0x7FFF_FFF8, 8, 0) == 1
    assert pmp_rights(hart, 0x8000_0000, 8, 0) == 0
    assert pmp_rights(hart, 0x9000_0FF8, 8, 0) == 3


def test_whole_pages_may_be_remembered_and_parts_not():
    hart = Hart()
    hart.pmpaddr[0], hart.pmpcfg[0] = 0x8000_0000 >> 2 | 0x1FF, LOCKED | NAPOT | 1  # 4 KiB
    hart.pmpaddr[1], hart.pmpcfg[1] = 0x8000_1000 >> 2 | 0xFF, NAPOT | 7  # 2 KiB
    assert translate(hart, 0x8000_0010, 8, 0, 1) == 0x8000_0001
    assert translate(hart, 0x8000_0010, 8, 0, 0) == 0x8000_0001  # locked: machine mode too
    assert translate(hart, 0x8000_1010, 8, 1, 1) == 0x8000_1000 | 15
    with pytest.raises(Trap) as raised:
        translate(hart, 0x8000_1800, 8, 1, 1)
    assert (raised.value.cause, raised.value.value) == (7, 0x8000_1800)
    assert translate(hart, 0x8000_1800, 8, 1, 0) == 0x8000_1000 | 15


def test_registers():
    hart = Hart()
    pmp_write(hart, 0x3A0, 0x9F_1F_18_0F_62_02_03_07)
    assert pmp_read(hart, 0x3A0) == 0x9F_1F_18_0F_00_00_03_07  # W without R is reserved, bits 6:5 are zero
    assert hart.environment.forgotten == [None] and hart.environment.synchronized
    pmp_write(hart, 0x3A0, 0)
    assert pmp_read(hart, 0x3A0) == 0x9F << 56
    pmp_write(hart, 0x3A2, MASK)
    assert pmp_read(hart, 0x3A2) == 0x9F9F_9F9F_9F9F_9F9F
    assert pmp_read(hart, 0x3A0) == 0x9F << 56
    for number in (0x3A4, 0x3AE, 0x3C0, 0x3EF):
        pmp_write(hart, number, MASK)
        assert pmp_read(hart, number) == 0


def test_locked_addresses():
    hart = Hart()
    for number in range(0x3B0, 0x3C0):
        pmp_write(hart, number, MASK)
        assert pmp_read(hart, number) == (1 << 54) - 1
    pmp_write(hart, 0x3A0, (LOCKED | TOR) << 8 * 3 | (LOCKED | NAPOT) << 8 * 5)
    for index in range(16):
        pmp_write(hart, 0x3B0 + index, 0)
    # Entry 2 is the lower end of locked entry 3; entry 4 is nothing to entry 5, which is NAPOT.
    assert [i for i in range(16) if hart.pmpaddr[i]] == [2, 3, 5]
