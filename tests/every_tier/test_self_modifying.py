"""A loop that writes instructions into itself on every round: behind, before and next to itself, halves and wholes.

Engines are exact here: what was written is what runs next, with FENCE.I between or without.
"""

from __future__ import annotations

import random
import struct

import pytest

from .assembling import assemble
from .cases import CASES, SEED
from .engines import ENGINES, RISCV64, Rig
from .lockstep import compare
from .riscv_loops import encode
from .riscv_program import BASE, CODE, PAGE, SIZE, WRITABLE, Generator, Program

SEEDS = 12 if not CASES else max(12, CASES // 100_000)
BODY = 20  # instructions
ROUNDS = 40
TABLE = BASE + 0xB000
TARGETS = (10, 11, 12, 14, 15)


def harmless(rng: random.Random) -> bytes:
    """Four bytes of instructions that only count: one, or two compressed ones."""
    if rng.getrandbits(1):
        return encode("addi", rd=rng.choice(TARGETS), rs1=rng.choice(TARGETS), imm=rng.randrange(-99, 99))
    two = (encode("c_addi", rd=rng.choice(TARGETS), imm=rng.choice((-7, -1, 1, 2, 5, 31))) for _ in range(2))
    return b"".join(two)


def program(rng: random.Random, generator: Generator) -> Program:
    """A loop across a page boundary, and the table of what it writes where; any mode, tables on or off."""
    made = generator.program()
    rig = generator.rig
    rig.load(made.image)
    s = rig.state
    s.mode = rng.choice((1, 3))
    # Between the page where the loop starts and the next; in the paged case through another mapping of the same bytes.
    start = CODE + PAGE - rng.randrange(8, 200, 2)
    paged = s.mode == 1 and s.satp != 0
    alias = WRITABLE if paged else CODE
    store = rng.choice(("sw t0, 0(t1)", "sh t0, 0(t1)", "sd t0, 0(t1)", "sb t0, 0(t1)", "amoswap.w zero, t0, (t1)"))
    fence = rng.choice(("", "fence.i", "", "fence"))
    repeats = rng.choice((1, 2, 5))  # of the body, which is so translated by itself before it is written again
    head = assemble(f"ld t1, 0(s4)\n ld t0, 8(s4)\n {store}\n {fence}\n li s6, {repeats}", start)
    body = b"".join(harmless(rng) for _ in range(BODY))
    body += encode("addi", rd=22, rs1=22, imm=-1)
    body += encode("bne", rs1=22, offset=-len(body))
    tail = assemble("addi s4, s4, 16\n addi s5, s5, -1\n", start)
    back = encode("bne", rs1=21, offset=-(len(head) + len(body) + len(tail)))
    again = encode("jal", rd=0, offset=0)
    code = head + body + tail + back + again
    rows = []
    step = 4 if "amo" in store or rng.getrandbits(1) else 2
    first = start + len(head) + 3 & -4 if step == 4 else start + len(head)
    for _ in range(ROUNDS):
        place = rng.randrange(first, start + len(head) + len(body) - 16, step)
        rows.append(struct.pack("<Q8s", alias + place - CODE, harmless(rng) + harmless(rng)))
    memory = made.memory | {TABLE: b"".join(rows)}
    memory[CODE] = memory[CODE][: start - CODE] + code + memory[CODE][start - CODE + len(code) :]
    s.mie = 0
    s.pc, s.x[20], s.x[21] = start, TABLE, ROUNDS
    if paged:  # the handler's page, the script and the table are seen through the leaf of 2 MiB
        s.x[20] = TABLE - BASE + 0x6000_0000
    return Program(rig.image(), memory, 1 << 14)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_was_written_is_what_runs(seed: int) -> None:
    rng = random.Random(f"{seed} {SEED}")
    rigs = [Rig(name, RISCV64, BASE, SIZE) for name in ENGINES]
    generator = Generator(rng, Rig("reference", RISCV64, BASE, SIZE))
    for number in range(4):
        try:
            compare(rigs, program(rng, generator), rng, 3000, 1500)
        except AssertionError as error:
            raise AssertionError(f"program {number} of seed {seed}: {error}") from None
    # The interpreter counts writes to pages that hold code.
    assert rigs[1].state.dropped > ROUNDS // 2
    for rig in rigs:
        rig.close()
