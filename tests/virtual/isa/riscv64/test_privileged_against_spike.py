"""The privileged architecture against Spike, by programs made at random."""

import random

import pytest

from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES, PMPADDR0, PMPCFG0, Csr

from . import lockstep, spike
from .lockstep import RAM_DATA, constant, encode
from .test_paging import LEVELS, table_for

TIMES = (Csr.TIME, Csr.CYCLE, Csr.INSTRET, Csr.MCYCLE, Csr.MINSTRET, Csr.MCOUNTINHIBIT)
# Implementations may differ here, and do; `test_csr.py` has what ours hold.
FREE = (*TIMES, Csr.MVENDORID, Csr.MARCHID, Csr.MIMPID, Csr.MISA, Csr.MSECCFG, Csr.STIMECMP)
TRIGGERS = (Csr.TSELECT, Csr.TDATA1, Csr.TDATA2, Csr.TDATA3, Csr.TINFO)


def edge(rng):
    """A value that may find something."""
    return rng.choice((0, (1 << 64) - 1, rng.getrandbits(64), 1 << rng.randrange(64), rng.getrandbits(12)))


def csr_operation(rng, number, rd, rs1):
    name = rng.choice(("csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"))
    if name.endswith("i"):
        return encode(name, rd=rd, csr=number, uimm=rng.getrandbits(5))
    return encode(name, rd=rd, csr=number, rs1=rs1)


def without_fiom(word, ours, theirs):
    """Spike has no FIOM in menvcfg and senvcfg."""
    return word >> 20 in (Csr.MENVCFG, Csr.SENVCFG) and ours.written[1] ^ theirs.written[1] == 1


def skipping_handler():
    """A machine-mode handler at the image's start that logs the trap and steps over the instruction.

    Where x31 holds the field MPP, the program goes on in machine mode.
    """
    handler = [
        encode("csrrs", rd=28, csr=Csr.MCAUSE, rs1=0),
        encode("csrrs", rd=29, csr=Csr.MTVAL, rs1=0),
        encode("csrrs", rd=30, csr=Csr.MSTATUS, rs1=0),
        encode("csrrs", rd=30, csr=Csr.MEPC, rs1=0),
        encode("addi", rd=30, rs1=30, imm=4),
        encode("csrrw", rd=0, csr=Csr.MEPC, rs1=30),
        encode("csrrs", rd=0, csr=Csr.MSTATUS, rs1=31),
        encode("mret"),
    ]
    return [
        encode("jal", rd=0, offset=4 * len(handler) + 4),
        *handler,
        *constant(30, 0x8000_0004),
        encode("csrrw", rd=0, csr=Csr.MTVEC, rs1=30),
        *constant(30, 0x3F_FFFF_FFFF_FFFF),
        encode("csrrw", rd=0, csr=PMPADDR0, rs1=30),
        encode("csrrwi", rd=0, csr=PMPCFG0, uimm=0x1F),
        *constant(30, 3 << 62 | 0xF0),
        encode("csrrw", rd=0, csr=Csr.MENVCFG, rs1=30),
        *constant(30, (1 << 64) - 1),
        encode("csrrw", rd=0, csr=Csr.STIMECMP, rs1=30),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_what_registers_hold(seed, tmp_path):
    rng = random.Random(seed)
    words = skipping_handler()
    numbers = [number for number in CSR_NAMES.values() if number not in FREE + TRIGGERS]
    rng.shuffle(numbers)
    for number in numbers:
        if PMPCFG0 <= number < PMPADDR0 + 64:  # protection has tests of its own; here it would lock the program out
            continue
        words.append(encode("csrrs", rd=9, csr=number, rs1=0))
        for register in range(10, 16):
            words += constant(register, edge(rng))
        words += [csr_operation(rng, number, 7, register) for register in range(10, 16) for _ in range(2)]
        words.append(encode("csrrw", rd=7, csr=number, rs1=9))
    assert lockstep.compare(words, tmp_path, legal=without_fiom) > 1000


def enter(mode, status, words):
    """Instructions that go on in a mode, with these other bits of mstatus."""
    words = [*words, *constant(30, mode << 11 | status), encode("csrrw", rd=0, csr=Csr.MSTATUS, rs1=30)]
    words += constant(30, spike.BASE + 4 * (len(words) + 13))
    return [*words, encode("csrrw", rd=0, csr=Csr.MEPC, rs1=30), encode("mret")]


def leave(words):
    """Instructions that go back to machine mode through the skipping handler."""
    return [*words, *constant(31, 3 << 11), encode("ecall"), encode("addi", rd=31, rs1=0, imm=0)]


UNKNOWN = (0x000, 0x005, 0x200, 0x280, 0x600, 0x7C0, 0x800, 0xC20, 0xFFF, 0x3A1, 0x10C, 0x30C, 0xDA0, 0x321, 0x322)
UNKNOWN += (0xB01, 0xC80, 0x1FF, 0x7B0, 0x31A, 0x5C0)


@pytest.mark.parametrize("seed", range(10))
def test_who_may_access_registers(seed, tmp_path):
    rng = random.Random(seed)
    words = skipping_handler()
    for number in (Csr.MCOUNTEREN, Csr.SCOUNTEREN):
        words += [*constant(10, rng.getrandbits(32)), encode("csrrw", rd=0, csr=number, rs1=10)]
    status = rng.choice((0, 1 << 20)) | 3 << 21 | rng.choice((0, 0, 1, 2, 3)) << 13
    mode = seed % 2
    words += [*constant(10, rng.choice((0, 1)) << 63), encode("csrrw", rd=0, csr=Csr.MENVCFG, rs1=10)]
    words = enter(mode, status, words)
    numbers = [n for n in CSR_NAMES.values() if n not in TRIGGERS and n != Csr.MSECCFG] + list(UNKNOWN)
    rng.shuffle(numbers)
    for number in numbers:
        if number == Csr.SATP:
            words += [encode("csrrw", rd=7, csr=number, rs1=0), encode("csrrs", rd=7, csr=number, rs1=0)]
            continue
        words += constant(10, edge(rng))
        words += [csr_operation(rng, number, 7, rng.choice((0, 10))) for _ in range(3)]
        if rng.random() < 0.1:
            names = ["wfi", "mret", "sret", "ebreak", "sfence_w_inval", "sfence_inval_ir"]
            words.append(encode(rng.choice(names)))
            words.append(encode(rng.choice(("sfence_vma", "sinval_vma")), rs1=10, rs2=rng.choice((0, 10))))

    def legal(word, ours, theirs):
        return word >> 20 in TIMES or without_fiom(word, ours, theirs)

    assert lockstep.compare(leave(words), tmp_path, legal=legal) > 500


def page_case(rng, root):
    """A random page table at a physical address: (satp, virtual address, entries by address)."""
    number = rng.choice(tuple(LEVELS))
    bits = 12 + 9 * LEVELS[number]
    address = rng.getrandbits(bits - 1) | rng.choice((0, (1 << 64) - (1 << bits - 1)))
    if rng.random() < 0.05:
        address ^= 1 << rng.randrange(bits - 1, 64)
    level = rng.choice((0, 0, 0, 1, 2))
    physical = rng.choice((0x8080_0000 + rng.randrange(0x700) * 4096,) * 4 + (0x4000_0000,))
    within = (1 << 12 + 9 * level) - 1
    # The address is chosen so that what a large leaf maps there is the page wanted.
    address = address & ~within | physical & within & ~0xFFF | address & 0xFF8
    frame = physical & ~within if rng.random() < 0.9 else physical ^ 1 << rng.randrange(12, 20)
    high = rng.choice((0, 0, 0, 0, 0, 1 << rng.randrange(54, 64), 3 << 61, 1 << 63))
    if high == 1 << 63 and rng.random() < 0.8:
        frame = frame & ~0xFFFF | 0x8000
    flags = rng.getrandbits(8) | rng.choice((0, 0xC1, 0xC7, 0xCF, 0xDF))
    table_bits = 1 if rng.random() < 0.9 else 1 | 1 << rng.choice((4, 6, 7, 54, 60, 61, 63, 5, 8))
    leaf = frame >> 12 << 10 | high | flags
    return number << 60 | root >> 12, address, table_for(LEVELS[number], level, address, leaf, table_bits, root)


USES = (("ld",), ("sd",), ("ld", "sd"), ("sd", "ld"), ("cbo_clean",), ("ld", "cbo_inval"), ("cbo_flush", "cbo_zero"))


@pytest.mark.parametrize("seed", range(4))
def test_page_walks(seed, tmp_path):
    rng = random.Random(seed)
    words, memory = skipping_handler(), {}
    for case in range(60):
        satp, address, entries = page_case(rng, spike.BASE + RAM_DATA + case * 0x6000)
        memory |= entries
        status = 1 << 17 | rng.randrange(2) << 11 | rng.randrange(4) << 18
        menvcfg = rng.choice((0, 1 << 62, 1 << 62, 1 << 61, 3 << 61))
        for number, value in ((Csr.SATP, satp), (Csr.MENVCFG, menvcfg)):
            words += [*constant(10, value), encode("csrrw", rd=0, csr=number, rs1=10)]
        names = rng.choice(USES)
        if "cbo_zero" in names:
            address &= ~63  # elsewhere in the block Spike's trap value is not the address given, as the manual has it
        words += [*constant(12, address), encode("sfence_vma", rs1=rng.choice((0, 12)), rs2=0), *constant(11, status)]
        for name in names:
            words.append(encode("csrrw", rd=0, csr=Csr.MSTATUS, rs1=11))
            operands = {"ld": {"rd": 14, "offset": 0}, "sd": {"rs2": 12, "offset": 0}}.get(name, {})
            words.append(encode(name, rs1=12, **operands))
        words += [encode("csrrw", rd=0, csr=Csr.MSTATUS, rs1=0), *constant(13, max(entries, key=list(entries).index))]
        words.append(encode("ld", rd=14, rs1=13, offset=0))
    data = bytearray(60 * 0x6000)
    for place, entry in memory.items():
        at = place - spike.BASE - RAM_DATA
        data[at : at + 8] = entry.to_bytes(8, "little")
    assert lockstep.compare(words, tmp_path, data=bytes(data)) > 3000


@pytest.mark.parametrize("seed", range(8))
def test_protection(seed, tmp_path):
    rng = random.Random(seed)
    words, window = skipping_handler(), 0x8080_0000
    words += [*constant(10, (1 << 54) - 1), encode("csrrw", rd=0, csr=PMPADDR0 + 15, rs1=10)]
    words += [*constant(10, 0x1F << 56), encode("csrrw", rd=0, csr=PMPCFG0 + 2, rs1=10)]
    for index in range(15):
        ones = (1 << rng.choice((0, 0, 1, 2, 5, 8, 9, 10))) - 1
        words += constant(10, window >> 2 | rng.randrange(0x800) | ones)
        words.append(encode("csrrw", rd=0, csr=PMPADDR0 + index, rs1=10))
    for register, entries in ((PMPCFG0, 8), (PMPCFG0 + 2, 7)):
        kinds = [rng.choice((0, 1, 2, 3, 3)) << 3 if register > PMPCFG0 or n else 0 for n in range(entries)]
        settings = [kind | rng.choice((0, 0x80)) | rng.getrandbits(3) for kind in kinds]
        if entries == 7:
            settings.append(0x1F)
        words += constant(10, int.from_bytes(bytes(settings), "little"))
        words += [encode("csrrw", rd=0, csr=register, rs1=10), encode("csrrs", rd=7, csr=register, rs1=0)]
    for index in range(16):  # some are locked now
        words += [*constant(10, window >> 2 | rng.randrange(0x800)), encode("csrrs", rd=7, csr=PMPADDR0 + index, rs1=0)]
        if index < 15:
            words.append(encode("csrrw", rd=0, csr=PMPADDR0 + index, rs1=10))
        words.append(encode("csrrs", rd=7, csr=PMPADDR0 + index, rs1=0))
    for _ in range(120):
        words += constant(11, rng.randrange(2) << 17 | rng.choice((0, 1, 3)) << 11)
        words += [*constant(12, window + rng.randrange(0x2000) & ~7), encode("csrrw", rd=0, csr=Csr.MSTATUS, rs1=11)]
        kinds = (("lb", 1), ("lw", 4), ("ld", 8), ("sb", 1), ("sw", 4), ("sd", 8), ("cbo_clean", 0), ("cbo_flush", 0))
        name, size = rng.choice(kinds)
        operands = {"s": {"rs2": 12}, "l": {"rd": 14}}.get(name[0], {})
        if size:
            operands["offset"] = rng.randrange(0, 8, size)
        words.append(encode(name, rs1=12, **operands))
        words.append(encode("csrrw", rd=0, csr=Csr.MSTATUS, rs1=0))
    assert lockstep.compare(words, tmp_path) > 3000


def test_interrupts_and_delegation(tmp_path):
    rng = random.Random(9)
    log = [encode("csrrs", rd=28, csr=number, rs1=0) for number in (Csr.MCAUSE, Csr.MEPC, Csr.MTVAL, Csr.MSTATUS)]
    log += [encode("csrrw", rd=0, csr=Csr.MIE, rs1=0), encode("jalr", rd=0, rs1=31, offset=0)]
    supervisor = [
        encode("csrrs", rd=28, csr=number, rs1=0) for number in (Csr.SCAUSE, Csr.SEPC, Csr.STVAL, Csr.SSTATUS, Csr.SIP)
    ]
    supervisor += [encode("ebreak")]  # not delegated
    # Vectored: every slot of 4 bytes jumps to the handler behind the 16 slots.
    slots = 16
    machine_table = [encode("jal", rd=0, offset=4 * (slots - n)) for n in range(slots)] + log
    supervisor_table = [encode("jal", rd=0, offset=4 * (slots - n)) for n in range(slots)] + supervisor
    words = [encode("jal", rd=0, offset=4 * (1 + len(machine_table) + len(supervisor_table))), *machine_table]
    words += supervisor_table
    for number, value in (
        (Csr.MTVEC, spike.BASE + 4),
        (Csr.STVEC, spike.BASE + 4 + 4 * len(machine_table)),
        (PMPADDR0, (1 << 54) - 1),
    ):
        words += [*constant(10, value | (number != PMPADDR0)), encode("csrrw", rd=0, csr=number, rs1=10)]
    words += [encode("csrrwi", rd=0, csr=PMPCFG0, uimm=0x1F), encode("csrrwi", rd=0, csr=Csr.MENVCFG, uimm=0)]
    for _ in range(150):
        values = (
            (Csr.MIDELEG, rng.getrandbits(16)),
            (Csr.MEDELEG, rng.getrandbits(16) & ~(1 << 3)),
            (Csr.MIP, rng.getrandbits(16)),
            (Csr.MSTATUS, rng.choice((0, 1, 3)) << 11 | rng.getrandbits(9)),
            (Csr.MIE, rng.getrandbits(16)),
        )
        body = []
        for number, value in values:
            body += [*constant(10, value), encode("csrrw", rd=0, csr=number, rs1=10)]
        # After the case's one instruction, or an interrupt even before that, the handler goes to the next case.
        at = spike.BASE + 4 * (len(words) + 11 + 11 + 1 + len(body) + 1)
        words += [*constant(31, at + 8), *constant(10, at), encode("csrrw", rd=0, csr=Csr.MEPC, rs1=10), *body]
        words += [encode("mret"), rng.choice((encode("ecall"), encode("mret"), 0xFFFF_FFFF))]
        words.append(encode("ebreak"))
    assert lockstep.compare(words, tmp_path) > 5000
