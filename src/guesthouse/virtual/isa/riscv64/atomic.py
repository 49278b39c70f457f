"""A, atomic instructions: volume I, chapter 14.

Addresses are naturally aligned or trap (14.2, 14.4). Every one of them is sequentially consistent here, so the aq and
rl bits are in the encoding but change nothing.
"""

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import (
    State,
    Trap,
    atomic_add,
    atomic_and,
    atomic_exchange,
    atomic_max,
    atomic_max_unsigned,
    atomic_min,
    atomic_min_unsigned,
    atomic_or,
    atomic_xor,
    load_reserved,
    s32,
    store_conditional,
    u64,
)

EXTENSION = "A"


def aligned_for_load(s: State, address: u64, size: u64) -> u64:
    """The address, where it is a multiple of `size`."""
    if address & (size - 1) != 0:
        raise Trap(Cause.LOAD_ADDRESS_MISALIGNED, address)
    return address


def aligned_for_store(s: State, address: u64, size: u64) -> u64:
    """The address, where it is a multiple of `size`; an AMO's failure counts as a store's (volume II, 3.1.15)."""
    if address & (size - 1) != 0:
        raise Trap(Cause.STORE_ADDRESS_MISALIGNED, address)
    return address


# 14.2 Zalrsc: Load-Reserved/Store-Conditional Instructions


@instruction("lr.w rd, (rs1)", "00010 aq rl 00000 rs1 010 rd 0101111")
def lr_w(s, rd, rs1):
    s.x[rd] = s32(load_reserved(s, aligned_for_load(s, s.x[rs1], 4), 4))


@instruction("lr.d rd, (rs1)", "00010 aq rl 00000 rs1 011 rd 0101111")
def lr_d(s, rd, rs1):
    s.x[rd] = load_reserved(s, aligned_for_load(s, s.x[rs1], 8), 8)


@instruction("sc.w rd, rs2, (rs1)", "00011 aq rl rs2 rs1 010 rd 0101111")
def sc_w(s, rd, rs1, rs2):
    s.x[rd] = store_conditional(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2])


@instruction("sc.d rd, rs2, (rs1)", "00011 aq rl rs2 rs1 011 rd 0101111")
def sc_d(s, rd, rs1, rs2):
    s.x[rd] = store_conditional(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


# 14.4 Zaamo: Atomic Memory Operations


@instruction("amoswap.w rd, rs2, (rs1)", "00001 aq rl rs2 rs1 010 rd 0101111")
def amoswap_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_exchange(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amoswap.d rd, rs2, (rs1)", "00001 aq rl rs2 rs1 011 rd 0101111")
def amoswap_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_exchange(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amoadd.w rd, rs2, (rs1)", "00000 aq rl rs2 rs1 010 rd 0101111")
def amoadd_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_add(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amoadd.d rd, rs2, (rs1)", "00000 aq rl rs2 rs1 011 rd 0101111")
def amoadd_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_add(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amoxor.w rd, rs2, (rs1)", "00100 aq rl rs2 rs1 010 rd 0101111")
def amoxor_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_xor(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amoxor.d rd, rs2, (rs1)", "00100 aq rl rs2 rs1 011 rd 0101111")
def amoxor_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_xor(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amoand.w rd, rs2, (rs1)", "01100 aq rl rs2 rs1 010 rd 0101111")
def amoand_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_and(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amoand.d rd, rs2, (rs1)", "01100 aq rl rs2 rs1 011 rd 0101111")
def amoand_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_and(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amoor.w rd, rs2, (rs1)", "01000 aq rl rs2 rs1 010 rd 0101111")
def amoor_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_or(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amoor.d rd, rs2, (rs1)", "01000 aq rl rs2 rs1 011 rd 0101111")
def amoor_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_or(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amomin.w rd, rs2, (rs1)", "10000 aq rl rs2 rs1 010 rd 0101111")
def amomin_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_min(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amomin.d rd, rs2, (rs1)", "10000 aq rl rs2 rs1 011 rd 0101111")
def amomin_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_min(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amomax.w rd, rs2, (rs1)", "10100 aq rl rs2 rs1 010 rd 0101111")
def amomax_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_max(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amomax.d rd, rs2, (rs1)", "10100 aq rl rs2 rs1 011 rd 0101111")
def amomax_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_max(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amominu.w rd, rs2, (rs1)", "11000 aq rl rs2 rs1 010 rd 0101111")
def amominu_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_min_unsigned(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amominu.d rd, rs2, (rs1)", "11000 aq rl rs2 rs1 011 rd 0101111")
def amominu_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_min_unsigned(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])


@instruction("amomaxu.w rd, rs2, (rs1)", "11100 aq rl rs2 rs1 010 rd 0101111")
def amomaxu_w(s, rd, rs1, rs2):
    s.x[rd] = s32(atomic_max_unsigned(s, aligned_for_store(s, s.x[rs1], 4), 4, s.x[rs2]))


@instruction("amomaxu.d rd, rs2, (rs1)", "11100 aq rl rs2 rs1 011 rd 0101111")
def amomaxu_d(s, rd, rs1, rs2):
    s.x[rd] = atomic_max_unsigned(s, aligned_for_store(s, s.x[rs1], 8), 8, s.x[rs2])
