import random

import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.paging import access_fault, data_context, fetch_context, translate
from guesthouse.virtual.spec.words import Trap

from .hart import MASK, Hart

LOAD, STORE, FETCH, MANAGE = 0, 1, 2, 3
ACCESS_FAULTS = {LOAD: 5, STORE: 7, FETCH: 1, MANAGE: 7}
PAGE_FAULTS = {LOAD: 13, STORE: 15, FETCH: 12, MANAGE: 15}
LEVELS = {8: 3, 9: 4, 10: 5}
ADUE, PBMTE = 1 << 61, 1 << 62
ROOT = 0x8000_0000


class Fault(Exception):
    pass


def oracle(memory, satp, menvcfg, mode, sum_, mxr, address, access):
    """The manual's algorithm, in its own words: (physical address, entry's place, entry after) or a Fault."""
    page_fault = Fault(PAGE_FAULTS[access])
    levels = LEVELS[satp >> 60]
    bits = 12 + 9 * levels
    sign = (address >> (bits - 1)) & 1
    if address >> bits != ((1 << (64 - bits)) - 1 if sign else 0):
        raise page_fault
    a = (satp & 0xFFF_FFFF_FFFF) * 4096
    for i in reversed(range(levels)):
        place = a + (address >> (12 + 9 * i)) % 512 * 8
        if place not in memory:
            raise Fault(ACCESS_FAULTS[access])
        pte = memory[place]
        bit = {name: bool(pte >> n & 1) for n, name in enumerate("VRWXUGAD")}
        ppn, reserved, pbmt, napot = pte >> 10 & (2**44 - 1), pte >> 54 & 127, pte >> 61 & 3, pte >> 63
        if not bit["V"] or (not bit["R"] and bit["W"]) or reserved:
            raise page_fault
        if not menvcfg & PBMTE and pbmt:
            raise page_fault
        if bit["R"] or bit["X"]:
            break
        if pbmt or napot or bit["A"] or bit["D"] or bit["U"]:
            raise page_fault
        a = ppn * 4096
    else:
        raise page_fault
    if pbmt == 3 or (napot and (i > 0 or ppn % 16 != 8)):
        raise page_fault
    if ppn % 512**i:
        raise page_fault
    if bit["U"] and mode == 1 and (access == FETCH or not sum_):
        raise page_fault
    if not bit["U"] and mode == 0:
        raise page_fault
    if access == FETCH and not bit["X"]:
        raise page_fault
    if access == LOAD and not (bit["R"] or (bit["X"] and mxr)):
        raise page_fault
    if access == STORE and not bit["W"]:
        raise page_fault
    if access == MANAGE and not (bit["R"] or bit["W"] or (bit["X"] and mxr)):
        raise page_fault
    after = pte
    if not bit["A"] or (access == STORE and not bit["D"]):
        if not menvcfg & ADUE:
            raise page_fault
        after = pte | 0x40 | (0x80 if access == STORE else 0)
    size = 4096 * 512**i
    if napot:
        size, ppn = 65536, ppn - 8
    physical = ppn * 4096 + address % size
    if access == MANAGE and physical & ~7 not in memory:
        raise Fault(ACCESS_FAULTS[access])
    return physical, place, after


def hart_for(satp, menvcfg, mode, sum_, mxr, memory):
    hart = Hart().permit_all()
    hart.satp, hart.menvcfg, hart.mode = satp, menvcfg, mode
    hart.mstatus = sum_ << 18 | mxr << 19
    hart.environment.memory = dict(memory)
    return hart


def compare(memory, satp, menvcfg, mode, sum_, mxr, address, access):
    """One translation against the oracle; gives what the oracle said."""
    hart = hart_for(satp, menvcfg, mode, sum_, mxr, memory)
    context = fetch_context(hart) if access == FETCH else data_context(hart)
    try:
        expected = oracle(memory, satp, menvcfg, mode, sum_, mxr, address, access)
    except Fault as fault:
        with pytest.raises(Trap) as raised:
            translate(hart, address, 1, access, context)
        assert (raised.value.cause, raised.value.value) == (fault.args[0], address)
        assert hart.environment.memory == memory
        return fault.args[0]
    physical, place, after = expected
    page = translate(hart, address, 1, access, context)
    assert page & ~0xFFF == physical & ~0xFFF
    assert hart.environment.memory == memory | {place: after}
    # A right is given exactly where that access would succeed without touching the entry again.
    for other in (LOAD, STORE) if access != FETCH else (FETCH,):
        try:
            allowed = oracle(hart.environment.memory, satp, menvcfg & ~ADUE, mode, sum_, mxr, address, other)
        except Fault:
            allowed = None
        assert (page >> other & 1) == (allowed is not None), (other, bin(page & 15))
    assert page & 8 == 0
    return 0


def table_for(levels, leaf_level, address, leaf, table_bits=1, root=ROOT):
    """Page tables that map `address` by one leaf."""
    memory, table = {}, root
    for i in reversed(range(levels)):
        place = table + (address >> (12 + 9 * i) & 511) * 8
        if i == leaf_level:
            memory[place] = leaf
            break
        table += 0x1000
        memory[place] = table >> 12 << 10 | table_bits
    return memory


@pytest.mark.parametrize("mode_number", LEVELS)
def test_every_flag_combination(mode_number):
    levels, seen = LEVELS[mode_number], set()
    address = 0x12_3456_7ABC
    for flags in range(256):
        memory = table_for(levels, 0, address, 0x9_1234 << 10 | flags) | {0x9123_4AB8: MASK}
        for variant in range(16):
            mode, sum_, mxr, adue = variant & 1, variant >> 1 & 1, variant >> 2 & 1, variant >> 3
            if mode_number != 8 and variant % 5 != flags % 5:
                continue
            for access in (LOAD, STORE, FETCH, MANAGE):
                satp = mode_number << 60 | ROOT >> 12
                seen.add(compare(memory, satp, ADUE if adue else 0, mode, sum_, mxr, address, access))
    assert seen == {0, 12, 13, 15}


def random_case(rng):
    number = rng.choice(tuple(LEVELS))
    levels = LEVELS[number]
    address = rng.getrandbits(64)
    bits = 12 + 9 * levels
    if rng.random() < 0.95:
        address = address & ((1 << bits) - 1)
        if address >> (bits - 1):
            address |= MASK >> bits << bits
    leaf_level = rng.randrange(levels)
    flags = rng.getrandbits(8) | rng.choice((0, 0xC1, 0xCF, 0xDF))
    ppn = rng.getrandbits(44)
    if rng.random() < 0.8:
        ppn = ppn >> 9 * leaf_level << 9 * leaf_level
    high = rng.choice((0, 0, 0, 0, 0, 1 << rng.randrange(54, 64), 3 << 61, 1 << 63))
    if high == 1 << 63 and rng.random() < 0.8:
        ppn = ppn >> 4 << 4 | 8
    leaf = ppn << 10 | rng.getrandbits(2) << 8 | flags | high
    table_bits = 1
    if rng.random() < 0.1:
        table_bits = rng.choice((0, 1 | 1 << rng.randrange(4, 10), 1 | 1 << rng.randrange(54, 64)))
    memory = table_for(levels, leaf_level, address, leaf, table_bits)
    if rng.random() < 0.03:
        del memory[rng.choice(tuple(memory))]
    if rng.random() < 0.7:  # RAM where the leaf points
        within = (1 << 12 + 9 * leaf_level) - 1
        frame = ppn << 12 & ~0xFFFF if high == 1 << 63 else ppn << 12
        memory.setdefault(frame | address & (0xFFFF if high == 1 << 63 else within) & ~7, rng.choice((0, MASK)))
    menvcfg = rng.choice((0, PBMTE, PBMTE, ADUE, ADUE | PBMTE))
    settings = (rng.randrange(2), rng.randrange(2), rng.randrange(2))
    return memory, number << 60 | rng.getrandbits(16) << 44 | ROOT >> 12, menvcfg, *settings, address, rng.randrange(4)


def test_random_tables():
    rng = random.Random(20240411)
    seen = [compare(*random_case(rng)) for _ in range(8000)]
    assert seen.count(0) > 1000
    assert set(seen) == {0, 1, 5, 7, 12, 13, 15}


def test_an_entry_of_all_ones_is_no_missing_memory():
    for memory, cause in (({ROOT: MASK}, Cause.LOAD_PAGE_FAULT), ({}, Cause.LOAD_ACCESS_FAULT)):
        with pytest.raises(Trap) as raised:
            translate(hart_for(8 << 60 | ROOT >> 12, PBMTE, 1, 0, 0, memory), 0, 8, LOAD, 2)
        assert raised.value.cause == cause


def test_bare_is_the_identity_up_to_the_physical_width():
    hart = Hart().permit_all()
    assert translate(hart, 0x8000_1234, 4, FETCH, 0) == 0x8000_1007
    assert translate(hart, 0x8000_1234, 4, STORE, 1) == 0x8000_1007
    for access, cause in ACCESS_FAULTS.items():
        with pytest.raises(Trap) as raised:
            translate(hart, 1 << 56, 4, access, 0)
        assert (raised.value.cause, raised.value.value) == (cause, 1 << 56)
        with pytest.raises(Trap) as raised:
            access_fault(hart, 0x1234, access)
        assert (raised.value.cause, raised.value.value) == (cause, 0x1234)


def test_contexts():
    hart = Hart()
    hart.mstatus = 3 << 18  # SUM and MXR mean nothing to machine mode
    assert (data_context(hart), fetch_context(hart)) == (0, 0)
    seen = set()
    for mode, mprv, mpp, sum_, mxr in [
        (mode, mprv, mpp, sum_, mxr)
        for mode in (0, 1, 3)
        for mprv in (0, 1)
        for mpp in (0, 1, 3)
        for sum_ in (0, 1)
        for mxr in (0, 1)
    ]:
        hart.mode, hart.mstatus = mode, mpp << 11 | mprv << 17 | sum_ << 18 | mxr << 19
        effective = mpp if mprv else mode
        expected = {3: 0, 0: 1 + 4 * mxr, 1: 2 + sum_ + 4 * mxr}[effective]
        assert data_context(hart) == expected
        assert fetch_context(hart) == {3: 0, 0: 1, 1: 2}[mode]
        seen.add(expected)
    assert seen == {0, 1, 2, 3, 5, 6, 7}


def test_marking_starts_over_where_the_entry_changed_meanwhile():
    memory = table_for(3, 0, 0x5000, 0x9_0000 << 10 | 0x07)
    hart = hart_for(8 << 60 | ROOT >> 12, ADUE, 1, 0, 0, memory)
    place = next(reversed(memory))
    changes = iter([0x9_1000 << 10 | 0x07])

    def interfere():
        for entry in changes:
            hart.environment.memory[place] = entry
            return

    hart.environment.interfere = interfere
    assert translate(hart, 0x5000, 8, STORE, 2) == 0x9_1000_003
    assert hart.environment.memory[place] == 0x9_1000 << 10 | 0xC7


def test_marking_gives_up_on_an_entry_that_never_stands_still():
    memory = table_for(3, 0, 0x5000, 0x9_0000 << 10 | 0x07)
    hart = hart_for(8 << 60 | ROOT >> 12, ADUE, 1, 0, 0, memory)
    place = next(reversed(memory))

    def interfere():
        hart.environment.memory[place] ^= 1 << 8

    hart.environment.interfere = interfere
    with pytest.raises(Trap) as raised:
        translate(hart, 0x5000, 8, STORE, 2)
    assert raised.value.cause == Cause.STORE_PAGE_FAULT


def test_blocks_of_what_is_no_ram_are_not_managed():
    hart = Hart().permit_all()
    hart.environment.memory[0x8000_0040] = MASK
    assert translate(hart, 0x8000_0044, 1, MANAGE, 2) == 0x8000_0007
    with pytest.raises(Trap) as raised:
        translate(hart, 0x1000_0044, 1, MANAGE, 2)
    assert (raised.value.cause, raised.value.value) == (Cause.STORE_ACCESS_FAULT, 0x1000_0044)


@pytest.mark.parametrize("config", (0x18, 0x19, 0x1B, 0x1C, 0x1D))
def test_protection_lets_manage_who_may_load_or_store(config):
    hart = Hart()
    hart.pmpaddr[0], hart.pmpcfg[0] = (1 << 54) - 1, config
    hart.environment.memory[0x8000_0040] = 0
    if config & 3:
        assert translate(hart, 0x8000_0044, 1, MANAGE, 2) == 0x8000_0000 | config & 7
    else:
        with pytest.raises(Trap) as raised:
            translate(hart, 0x8000_0044, 1, MANAGE, 2)
        assert (raised.value.cause, raised.value.value) == (Cause.STORE_ACCESS_FAULT, 0x8000_0044)


def test_a_denied_access_marks_nothing():
    memory = table_for(3, 0, 0x5000, 0x9_0000 << 10 | 0x07)
    hart = hart_for(8 << 60 | ROOT >> 12, ADUE, 1, 0, 0, memory)
    hart.pmpaddr[1], hart.pmpcfg[1] = hart.pmpaddr[0], 0x1F
    hart.pmpaddr[0], hart.pmpcfg[0] = 0x9000_0000 >> 2 | 0x1FF, 0x19  # the page is read-only
    with pytest.raises(Trap) as raised:
        translate(hart, 0x5000, 8, STORE, 2)
    assert raised.value.cause == Cause.STORE_ACCESS_FAULT
    assert hart.environment.memory == memory
    assert translate(hart, 0x5000, 8, LOAD, 2) == 0x9000_0001


def test_tables_are_subject_to_protection():
    memory = table_for(3, 0, 0x5000, 0x9_0000 << 10 | 0x07)
    for config, access, cause in ((0x18, FETCH, None), (0x18, LOAD, 5), (0x18, STORE, 7), (0x19, STORE, 7)):
        hart = hart_for(8 << 60 | ROOT >> 12, ADUE, 1, 0, 0, memory)
        hart.pmpaddr[1], hart.pmpcfg[1] = hart.pmpaddr[0], 0x1F
        hart.pmpaddr[0], hart.pmpcfg[0] = ROOT >> 2 | 0x3FFF, config
        with pytest.raises(Trap) as raised:
            translate(hart, 0x5000, 8, access, 2)
        assert raised.value.cause == (cause or Cause.INSTRUCTION_ACCESS_FAULT)
        assert hart.environment.memory == memory
