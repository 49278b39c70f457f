"""Compressed instructions are others in short: here each against its expansion, and what only they have."""

import random

import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import RISCV64

from ..fake import MASK, MEMORY, PC, execute, hart, random_word, trap

# name: expansion, its operands as functions of the compressed one's (a name, or a number)
EXPANSIONS = {
    "c_addi": ("addi", {"rd": "rd", "rs1": "rd", "imm": "imm"}),
    "c_addiw": ("addiw", {"rd": "rd", "rs1": "rd", "imm": "imm"}),
    "c_li": ("addi", {"rd": "rd", "rs1": 0, "imm": "imm"}),
    "c_lui": ("lui", {"rd": "rd", "imm": "imm"}),
    "c_addi16sp": ("addi", {"rd": 2, "rs1": 2, "imm": "imm"}),
    "c_addi4spn": ("addi", {"rd": "rd", "rs1": 2, "imm": "uimm"}),
    "c_slli": ("slli", {"rd": "rd", "rs1": "rd", "shamt": "shamt"}),
    "c_srli": ("srli", {"rd": "rd", "rs1": "rd", "shamt": "shamt"}),
    "c_srai": ("srai", {"rd": "rd", "rs1": "rd", "shamt": "shamt"}),
    "c_andi": ("andi", {"rd": "rd", "rs1": "rd", "imm": "imm"}),
    "c_mv": ("add", {"rd": "rd", "rs1": 0, "rs2": "rs2"}),
    **{
        f"c_{name}": (
            RISCV64.by_name.get(name, RISCV64.by_name.get(f"{name}_")).name,
            {"rd": "rd", "rs1": "rd", "rs2": "rs2"},
        )
        for name in ("add", "and", "or", "xor", "sub", "addw", "subw")
    },
    "c_beqz": ("beq", {"rs1": "rs1", "rs2": 0, "offset": "offset"}),
    "c_bnez": ("bne", {"rs1": "rs1", "rs2": 0, "offset": "offset"}),
    "c_j": ("jal", {"rd": 0, "offset": "offset"}),
}


@pytest.mark.parametrize("name", EXPANSIONS)
def test_registers_are_those_of_the_expansion(name):
    rng = random.Random(name)
    short = RISCV64.by_name[name]
    expansion, operands = EXPANSIONS[name]
    for _ in range(30):
        values = short.pattern.decode(random_word(short, rng))
        registers = {n: rng.getrandbits(64) for n in range(1, 32)}
        a = execute(hart(registers), short, **values)
        b = execute(hart(registers), expansion, **{k: values.get(v, v) for k, v in operands.items()})
        assert a.x == b.x
        assert a.pc == b.pc if b.pc != PC + 4 else a.pc == PC + 2


@pytest.mark.parametrize(
    ("store", "load", "base", "operands"),
    [
        ("c_sd", "c_ld", 11, {"rs1": 11, "uimm": 248}),
        ("c_sw", "c_lw", 11, {"rs1": 11, "uimm": 124}),
        ("c_sdsp", "c_ldsp", 2, {"uimm": 504}),
        ("c_swsp", "c_lwsp", 2, {"uimm": 252}),
    ],
)
def test_memory_has_unsigned_offsets(store, load, base, operands):
    s = hart({base: MEMORY, 12: 0x8877_6655_8433_2211})
    execute(s, store, rs2=12, **operands)
    assert s.environment.bytes[operands["uimm"]] == 0x11
    wide = "d" in store[:4]
    assert execute(s, load, rd=13, **operands).x[13] == (0x8877_6655_8433_2211 if wide else 0xFFFF_FFFF_8433_2211)


def test_links_are_two_bytes_on():
    s = execute(hart({1: 0x2001}), "c_jalr", rs1=1)
    assert (s.pc, s.x[1]) == (0x2000, PC + 2)


def test_jr_links_nothing():
    s = execute(hart({5: 0x2000}), "c_jr", rs1=5)
    assert (s.pc, s.x[0], s.x[1]) == (0x2000, 0, 0)


def test_hints_change_nothing():
    before = list(hart({3: 4}).x)
    s = hart({3: 4})
    for name, values in (
        ("c_li", {"imm": 3}),
        ("c_lui", {"imm": 4096}),
        ("c_slli", {"shamt": 1}),
        ("c_mv", {"rs2": 3}),
    ):
        execute(s, name, rd=0, **values)
    execute(s, "c_nop")
    assert s.x == before


def test_ebreak_traps():
    cause, value = trap(hart(), "c_ebreak") or (0, 0)
    assert cause == Cause.BREAKPOINT
    assert value in (0, PC & MASK)
