"""Guests that do anything: the run comes back with a reason, without an exception, in the time given."""

import random
import time

import pytest

from guesthouse import Machine, Stop, UserError
from tests.virtual.machine.programs import assembled, elf_file, work

BUDGET = 300_000

SCRIBBLE = """
# Random reads and writes of every width over the devices' addresses; traps go on with the next instruction.
    la t0, trap
    csrw stvec, t0
    li s1, SEED
again:
    slli t0, s1, 13
    xor s1, s1, t0
    srli t0, s1, 7
    xor s1, s1, t0
    slli t0, s1, 17
    xor s1, s1, t0
    li s2, 0x10000000
    srli t0, s1, 60
    li t1, 0xc000000
    li t2, 0x2000000
    li t3, 0x101000
    andi t4, t0, 3
    beqz t4, 1f
    mv s2, t1
    addi t4, t4, -1
    beqz t4, 1f
    mv s2, t2
    addi t4, t4, -1
    beqz t4, 1f
    mv s2, t3
1:  li t4, 0x3fff
    and t4, s1, t4
    add s2, s2, t4
    srli t4, s1, 20
    sb t4, 0(s2)
    lbu t5, 0(s2)
    sw t4, 0(s2)
    lw t5, 0(s2)
    sd t4, 0(s2)
    ld t5, 0(s2)
    j again
    .balign 4
trap:
    csrr t6, sepc
    addi t6, t6, 4
    csrw sepc, t6
    sret
"""


@pytest.mark.parametrize("mode", ["kernel", "firmware"])
def test_random_bytes_as_code(mode: str) -> None:
    for seed in range(12):
        dice = random.Random(seed)
        engine = ("interpreter", "auto", "reference")[seed % 3]
        code = dice.randbytes(1 << 16)
        with Machine(**{mode: code}, memory="64M", engine=engine, clock="instructions", seed=seed) as machine:
            stop = machine.run(budget=3000 if engine == "reference" else BUDGET, timeout=10)
            assert isinstance(stop, Stop)


def test_random_instructions_as_code() -> None:
    """Words that decode more often: the bits of real instructions with some of them changed."""
    sound = work(10)
    for seed in range(12):
        dice = random.Random(seed)
        code = bytearray(sound)
        for _ in range(40):
            code[dice.randrange(160)] ^= 1 << dice.randrange(8)
        with Machine(kernel=bytes(code), memory="64M", engine="interpreter", clock="instructions") as machine:
            assert isinstance(machine.run(budget=BUDGET, timeout=10), Stop)


def test_scribbling_over_devices() -> None:
    for seed in range(1, 6):
        code = assembled(f".equ SEED, {seed * 0x9E3779B97F4A7C1 + 1}\n{SCRIBBLE}").data
        began = time.monotonic()
        with Machine(kernel=code, memory="64M", engine="interpreter", clock="instructions") as machine:
            stop = machine.run(budget=100_000, timeout=20)
            assert isinstance(stop, Stop) and time.monotonic() - began < 15


def test_truncated_and_damaged_files() -> None:
    sound = elf_file(assembled("1: j 1b\n.balign 8\ntohost: .dword 0"))
    dice = random.Random(4)
    files = [sound[: dice.randrange(len(sound))] for _ in range(40)]
    for _ in range(80):
        damaged = bytearray(sound)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(160) if dice.random() < 0.7 else dice.randrange(len(damaged))] = dice.randrange(256)
        files.append(bytes(damaged))
    for data in files:
        try:
            with Machine(firmware=data, memory="64M", engine="reference") as machine:
                machine.run(budget=20)
        except UserError as error:
            assert "\n" not in str(error)
