"""The privileged architecture against Spike, by programs made at random."""

import random

import pytest
from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES, PMPADDR0, PMPCFG0, Csr

from . import lockstep
from .lockstep import constant, encode

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
    """A machine-mode handler at the image's start that logs the trap and steps over the instruction."""
    handler = [
        encode("csrrs", rd=28, csr=Csr.MCAUSE, rs1=0),
        encode("csrrs", rd=29, csr=Csr.MTVAL, rs1=0),
        encode("csrrs", rd=30, csr=Csr.MSTATUS, rs1=0),
        encode("csrrs", rd=30, csr=Csr.MEPC, rs1=0),
        encode("addi", rd=30, rs1=30, imm=4),
        encode("csrrw", rd=0, csr=Csr.MEPC, rs1=30),
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
