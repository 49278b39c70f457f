"""Random programs of the toy set in lock-step on every engine: calls, a stack, traps, code that writes itself."""

import random
from dataclasses import dataclass

import pytest

from tests.every_tier.cases import EDGES, SEED
from tests.every_tier.engines import ENGINES, TOY, Rig
from tests.every_tier.lockstep import compare

from .isa import ISA

BASE, SIZE, CODE, DATA = 0x10000, 0x8000, 0x10000, 0x13000
CODE_SIZE = 0x1800


@dataclass(frozen=True)
class Program:
    image: bytes
    memory: dict[int, bytes]
    slice: int = 1 << 14


def code(rng):
    """Random instructions; jumps and calls are short, addresses come from registers 0 to 3."""
    made = bytearray()
    while len(made) < CODE_SIZE:
        chosen = rng.choice(ISA.instructions)
        values = {operand.name: rng.randrange(operand.low, operand.high + 1) for operand in chosen.pattern.operands}
        if "rel" in values:
            values["rel"] = rng.randrange(-60, 300)
        if "cond" in values and rng.randrange(5):
            values["cond"] = rng.choice((1, 2, 3, 4, 9, 10, 11, 12))
        if "disp" in values:
            values |= {"rs": rng.randrange(4), "disp": rng.randrange(64)}
        if "rd" in values and chosen.name != "store_word" and rng.randrange(10):
            values["rd"] = rng.randrange(4, 16)
        if chosen.name == "ret" and rng.randrange(3):
            continue
        made += chosen.pattern.encode(values).to_bytes(chosen.pattern.length, "little")
        if rng.randrange(200) == 0:
            made.append(rng.choice((0x90, 0xFF)))  # no instruction
    return bytes(made[:CODE_SIZE])


def program(rng, rig):
    s = rig.state
    rig.load(bytes(len(rig.bytes)))
    for number in range(16):
        s.r[number] = rng.choice((*EDGES, rng.getrandbits(32)))
    for number in range(4):
        s.r[number] = rng.choice((DATA, DATA + 0xFE0, CODE + rng.randrange(CODE_SIZE), CODE + rng.randrange(CODE_SIZE)))
    s.r[rng.randrange(4, 16)] = 0x1000  # nothing in RAM
    s.sp = DATA + 0x2000
    s.vector = CODE + rng.randrange(CODE_SIZE)
    s.pc = CODE
    s.instructions = rng.randrange(1, 1000)
    return Program(rig.image(), {CODE: code(rng), DATA: rng.randbytes(0x3000)}, rng.choice((64, 1 << 14)))


@pytest.mark.parametrize("seed", range(6))
def test_every_engine_goes_the_same_way(seed):
    rng = random.Random(seed + 100 * SEED)
    rigs = [Rig(name, TOY, BASE, SIZE) for name in ENGINES]
    lent = Rig("reference", TOY, BASE, SIZE)
    for _ in range(20):
        compare(rigs, program(rng, lent), rng, 600, 600)
    written = rigs[1].state.dropped
    assert written > 6  # code wrote code
    translator = next(rig for rig in rigs if rig.name == "translator")
    assert translator.engine.translations.counts.installed
    for rig in rigs:
        rig.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loop_with_calls(engine):
    """Adds 1 to 100 by calling a function that pushes, pops and returns."""
    rig = Rig(engine, TOY, BASE, SIZE)
    by = ISA.by_name

    def encode(name, **values):
        pattern = by[name].pattern
        return pattern.encode(values).to_bytes(pattern.length, "little")

    start = encode("li", rd=0, imm=100) + encode("li", rd=1, imm=0) + encode("li", rd=2, imm=1)
    body = encode("call", rel=0) + encode("sub", rd=0, rs=2)
    jump = encode("j", cond=9, rel=-(len(body) + 3))
    end = encode("j", cond=0, rel=-3)
    body = encode("call", rel=len(body) - 3 + len(jump) + len(end)) + body[3:]
    function = encode("push", rs=2) + encode("add", rd=1, rs=0) + encode("pop", rd=3) + encode("ret")
    rig.memory.write(CODE, start + body + jump + end + function)
    rig.state.pc, rig.state.sp = CODE, DATA
    rig.run(3 + 100 * 7)
    assert (rig.state.r[1], rig.state.r[0], rig.state.r[3], rig.state.sp) == (5050, 0, 1, DATA)
    assert rig.state.instructions == 703 and rig.state.pc == CODE + len(start + body + jump)
    rig.close()
