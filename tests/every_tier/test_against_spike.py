"""Thousands of random instructions in one program, each result against Spike's log of committed instructions."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from tests.virtual.isa.outside_float import SPIKE
from tests.virtual.isa.riscv64.spike import BASE, TOHOST, elf

from .assembling import assemble
from .cases import CASES, SEED
from .engines import RISCV64, Rig, isa_of
from .riscv_loops import plain_body
from .riscv_program import POINTERS, Generator
from .riscv_world import random_float, random_integer

ISA = isa_of(RISCV64)
SIZE = 16 << 20
HANDLER, VALUES, DATA = BASE + 0x100, BASE + 0x400, BASE + 0x80_0000
SPIKE_ISA = "--isa=rv64gc_zba_zbb_zbc_zbs_zicond_zicntr_zihpm_zicclsm"
INSTRUCTIONS = 6000
PROGRAMS = max(4, CASES // (20 * INSTRUCTIONS)) if CASES else 4
COMMIT = re.compile(r"core +0: \d (0x[0-9a-f]+) \(0x[0-9a-f]+\)(.*)")
WRITE = re.compile(r" ([xf])(\d+) +(0x[0-9a-f]+)")
ATOMIC, LOAD_RESERVED, STORE_CONDITIONAL, FUNCTION, STACK = 0x2F, 2, 3, 0x7000, 2
START = f"""
        la      t0, handler
        csrw    mtvec, t0
        li      t0, 0x6000
        csrs    mstatus, t0
        li      x31, {VALUES}
        {{loads}}
        j       body
        .balign 256
handler:
        csrr    x31, mepc
        lhu     x30, 0(x31)
        andi    x30, x30, 3
        addi    x30, x30, -3
        seqz    x30, x30
        slli    x30, x30, 1
        addi    x31, x31, 2
        add     x31, x31, x30           # behind the instruction
        csrw    mepc, x31
        csrr    x31, fcsr
        mret
        .balign 256
        .balign 1024
values:
        .zero   512
body:
"""


def assembled(rng: random.Random, generator: Generator) -> bytes:
    """A program: registers from a table, the instructions, the end."""
    loads = [f"fld f{n}, {256 + 8 * n}(x31)" for n in range(32)] + [f"ld x{n}, {8 * n}(x31)" for n in range(1, 32)]
    names = dict(enumerate(ISA.layout.fields["x"].names))
    floats = dict(enumerate(ISA.layout.fields["f"].names))
    text = "\n".join(
        re.sub(r"\b([xf])(\d+)\b", lambda m: (names if m[1] == "x" else floats)[int(m[2])], line) for line in loads
    )
    start = START.replace("x31", names[31]).replace("x30", names[30])
    image = bytearray(assemble(start.replace("{loads}", text), BASE))
    integers = [0] + [random_integer(rng) for _ in range(31)]
    for number in (2, *POINTERS):
        integers[number] = DATA + rng.randrange(0x1000, 0x8000) & -8
    values = struct.pack("<64Q", *integers, *(random_float(rng) for _ in range(32)))
    at = image.rindex(bytes(512))
    image[at : at + 512] = values
    image = image.replace(struct.pack("<I", VALUES), struct.pack("<I", BASE + at))
    body = plain_body(generator)
    for _ in range(INSTRUCTIONS):
        image += reserved(rng, body.plain())
    end = f"csrr t0, fcsr\n li t0, 1\n li t1, {TOHOST}\n sd t0, 0(t1)\n 1: j 1b"
    return bytes(image) + assemble(end, BASE + len(image))


def reserved(rng: random.Random, code: bytes) -> bytes:
    """Before a store-conditional a load-reserved as wide, mostly from its address.

    Far behind one, or where own stores lie between, it may succeed or fail (Zalrsc, "eventual success").
    """
    word = int.from_bytes(code, "little")
    if word & 0x7F != ATOMIC or word >> 27 != STORE_CONDITIONAL:
        return code
    base = word >> 15 & 31 if rng.randrange(4) else STACK
    return (LOAD_RESERVED << 27 | base << 15 | word & FUNCTION | ATOMIC).to_bytes(4, "little") + code


def spikes_commits(image: bytes, folder: Path) -> list[tuple[int, list[tuple[str, int, int]]]]:
    """Address and register writes of every instruction that Spike committed."""
    program, log = folder / "program.elf", folder / "commits.log"
    program.write_bytes(elf(image))
    command = [SPIKE, SPIKE_ISA, "-m16", "-l", "--log-commits", f"--log={log}"]
    # A bound, because a program that has lost its way would never end; Spike counts some thousands for a trap.
    subprocess.run([*command, "--instructions=4000000", program], timeout=60, check=True, capture_output=True)
    found = []
    for line in log.read_text().splitlines():
        if (commit := COMMIT.match(line)) and int(commit[1], 16) >= BASE:
            writes = [(kind, int(number), int(value, 16)) for kind, number, value in WRITE.findall(commit[2])]
            found.append((int(commit[1], 16), writes))
    return found


def step(rig: Rig, pc: int, writes: list[tuple[str, int, int]]) -> int:
    """One instruction that commits, and those before it that trap; gives its address."""
    s = rig.state
    while True:
        before, trapped, steps = s.pc, s.trapped, s.instructions
        rig.run(1)
        if s.instructions == steps:  # a device: Spike has some, we take what it read there
            s.exit_answered = 1 if before == pc else 2
            s.exit_value = writes[0][2] if writes else 0
        elif s.trapped == trapped:
            return before


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_results_are_spikes(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed + 100 * SEED)
    generator = Generator(rng, Rig("reference", RISCV64, BASE, 1 << 16))
    generator.stray = 0  # Spike has devices of its own
    image = assembled(rng, generator)
    rig = Rig("interpreter", RISCV64, BASE, SIZE)
    rig.memory.write(BASE, image)
    s = rig.state
    s.pc, s.menvcfg = BASE, 0
    end = BASE + len(image) - 6
    s.x[5], s.x[11] = BASE, 0x1020  # what Spike's boot code leaves
    done = 0
    for pc, writes in spikes_commits(image, tmp_path):
        before = step(rig, pc, writes)
        word = rig.memory.load(before, 4)
        what = f"after {done} instructions, {word:#x} at"
        assert before == pc, f"{what} {before:#x}: Spike is at {pc:#x}"
        for kind, number, value in writes:
            ours = (s.x if kind == "x" else s.f)[number]
            assert ours == value, f"{what} {pc:#x}: {kind}{number} is {ours:#x}, Spike's {value:#x}"
        done += 1
        if before >= end:
            break
    assert done > INSTRUCTIONS * 0.9
    rig.close()
