"""Every encoding of the set: decodable in one way only, and back."""

import random
from itertools import combinations

import pytest

from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.spec.syntax import Template

from ..fake import UNPRIVILEGED, random_word

INSTRUCTIONS = RISCV64.instructions
MINE = [i for i in INSTRUCTIONS if i.extension in UNPRIVILEGED]


def test_how_many_there_are():
    count = {extension: sum(i.extension == extension for i in MINE) for extension in UNPRIVILEGED}
    assert count["I"] == 51 + 2  # with FENCE and FENCE.TSO, and ECALL and EBREAK of `environment`
    assert (count["M"], count["A"], count["C"]) == (13, 22, 37)
    assert (count["Zba"], count["Zbb"], count["Zbc"], count["Zbs"], count["Zicond"]) == (8, 24, 3, 8, 2)


def test_names_and_fixed_bits_are_unique():
    assert len({i.name for i in INSTRUCTIONS}) == len(INSTRUCTIONS)
    assert len({(i.pattern.length, i.pattern.mask, i.pattern.match) for i in INSTRUCTIONS}) == len(INSTRUCTIONS)


def test_length_is_in_the_lowest_bits():
    for instruction in INSTRUCTIONS:
        assert instruction.pattern.mask & 3 == 3
        assert (instruction.pattern.match & 3 == 3) == (instruction.pattern.length == 4)


def test_overlapping_patterns_have_an_order():
    for a, b in combinations(INSTRUCTIONS, 2):
        p, q = a.pattern, b.pattern
        if p.length != q.length or (p.match ^ q.match) & p.mask & q.mask:
            continue
        if p.mask.bit_count() != q.mask.bit_count():
            continue
        # As many fixed bits each: excluded values must keep them apart.
        word = p.match | q.match
        assert not (p.matches(word) and q.matches(word)), (a.name, b.name)


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda i: i.name)
def test_encoding_and_decoding_are_inverse(instruction):
    rng = random.Random(instruction.name)
    for _ in range(20):
        word = random_word(instruction, rng)
        values = instruction.pattern.decode(word)
        assert instruction.pattern.encode(values) == word
        assert all(o.low <= values[o.name] <= o.high for o in instruction.pattern.operands)
    assert set(instruction.parameters) <= {o.name for o in instruction.pattern.operands}


@pytest.mark.parametrize("instruction", MINE, ids=lambda i: i.name)
def test_syntax_shows_every_operand_that_counts(instruction):
    shown = {term.name for term in Template.read(instruction.syntax).terms()}
    assert set(instruction.parameters) <= shown


def reserved(word):
    return not any(i.pattern.matches(word) for i in INSTRUCTIONS if i.pattern.length == 2)


@pytest.mark.parametrize(
    "word",
    [
        0x0000,  # defined illegal
        0x0004,  # c.addi4spn with nothing to add
        0x2001,  # c.addiw with rd = x0
        0x6101,  # c.addi16sp by 0
        0x6081,  # c.lui of 0
        0x4002,  # c.lwsp into x0
        0x6002,  # c.ldsp into x0
        0x8002,  # c.jr x0
        0x8000,  # quadrant 0, function 4
        0x9C41,  # quadrant 1, beside c.addw
        0x9C61,
    ],
)
def test_reserved_compressed_encodings_are_no_instruction(word):
    assert reserved(word)


@pytest.mark.parametrize("word", [0x0005, 0x4001, 0x6005, 0x0002, 0x8016, 0x9016, 0x8001, 0x0101])
def test_compressed_hints_are_instructions(word):
    assert not reserved(word)


def test_reserved_compressed_encodings_are_no_others():
    assert sum(reserved(word) for word in range(1 << 16) if word & 3 != 3) == RESERVED


# Quadrant 0: 8 of c.addi4spn, 2048 of function 4. Quadrant 1: 64 of c.addiw, 31 of c.lui (of which one would be
# c.addi16sp) with rd other than x0 or x0 and nothing to load: 32; 2 functions of 64 beside c.addw. Quadrant 2:
# 64 each of c.lwsp and c.ldsp into x0, c.jr x0.
RESERVED = 8 + 2048 + 64 + 32 + 2 * 64 + 2 * 64 + 1
