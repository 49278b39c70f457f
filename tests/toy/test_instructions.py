"""Every instruction of the toy set on every engine: edge values first, then random ones."""

import random

import pytest

from tests.every_tier.cases import EDGES, Comparison, step_native, step_reference, words_of
from tests.every_tier.engines import STEPPED, TOY, Rig

from .isa import ISA

BASE, SIZE, CODE, WINDOW = 0x10000, 0x8000, 0x10FF0, 0x12000


def state_for(rig, rng, pc):
    """A state with edge values in the registers, pointers among them."""
    s = rig.state
    pointers = [WINDOW + 0x800, WINDOW + 0xFFE, WINDOW + 0x1001, BASE - 2, BASE + SIZE - 3, BASE + SIZE - 4, 0]
    for number in range(16):
        s.r[number] = rng.choice([*EDGES, *pointers, rng.getrandbits(32)])
    s.sp = rng.choice([*pointers, 2])
    s.flags = rng.getrandbits(3)
    s.vector = BASE + 0x123
    s.pc = pc
    s.instructions = 5
    s.attention = 0
    return rig.image()


@pytest.mark.parametrize("engine", STEPPED)
@pytest.mark.parametrize("instruction", ISA.instructions, ids=lambda i: i.name)
def test_every_engine_is_the_reference(instruction, engine):
    rng = random.Random(instruction.name)
    rigs = Rig("reference", TOY, BASE, SIZE), Rig(engine, TOY, BASE, SIZE)
    end = WINDOW + 0x2000
    both = Comparison(rigs, (step_reference, step_native), (WINDOW, end), end)
    content = rng.randbytes(0x2000)
    both.fill(WINDOW, content)
    for word in words_of(instruction, rng, 40):
        length = instruction.pattern.length
        pc = CODE + rng.choice((0, 1, 7, 16 - length, 15))  # the last across two pages
        both.place(pc, word.to_bytes(length, "little"))
        values = instruction.pattern.decode(word)
        operands = [values[name] for name in instruction.parameters]
        for _ in range(10):
            both.check(instruction, operands, state_for(both.expected, rng, pc), content)
    assert both.count == 400
    both.close()
