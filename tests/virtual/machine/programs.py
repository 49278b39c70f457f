"""Small guests for the machine's tests, assembled by our assembler, and ELF files around them."""

import struct
from functools import cache

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler, Program

KERNEL = 0x8020_0000
FIRMWARE = 0x8000_0000

POWER_OFF = """
power_off:
    li a7, 0x53525354
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
"""

PRINT = """
print:  # a0: text; uses t0, t1
    li t0, 0x10000000
1:  lbu t1, 0(a0)
    beqz t1, 2f
    sb t1, 0(t0)
    addi a0, a0, 1
    j 1b
2:  ret
"""

WORK = f"""
# Arithmetic, floating point, atomics and stores over a buffer, interrupted by timers, with sleeps in between.
    la sp, stack_end
    la t0, trap
    csrw stvec, t0
    li s0, 0
    li s1, 88172645463325252
    la s2, buffer
    li s3, 0
    li t0, 1 << 13
    csrs sstatus, t0
    fcvt.d.l fs0, s1
    rdtime t0
    addi t0, t0, PERIOD
    csrw stimecmp, t0
    li t0, 1 << 5
    csrw sie, t0
    csrsi sstatus, 2
loop:
    slli t0, s1, 13
    xor s1, s1, t0
    srli t0, s1, 7
    xor s1, s1, t0
    slli t0, s1, 17
    xor s1, s1, t0
    andi t1, s1, 0x7f8
    add t1, t1, s2
    amoadd.d t2, s1, (t1)
    fcvt.d.l fa0, t2
    fdiv.d fs0, fs0, fa0
    fadd.d fs0, fs0, fa0
    fsd fs0, 0(t1)
    addi s0, s0, 1
    li t0, ROUNDS
    bne s0, t0, loop
    wfi
    wfi
    la a0, done
    call print
    j power_off
    .balign 4
trap:
    addi sp, sp, -16
    sd t0, 0(sp)
    addi s3, s3, 1
    rdtime t0
    addi t0, t0, PERIOD
    csrw stimecmp, t0
    ld t0, 0(sp)
    addi sp, sp, 16
    sret
{PRINT}
{POWER_OFF}
done:
    .asciz "done\\n"
    .balign 4096
buffer:
    .space 4096
stack:
    .space 1024
stack_end:
"""


@cache
def assembler() -> Assembler:
    """The one assembler; it takes a while to make."""
    return Assembler(ISA, RISCV64_SYNTAX)


@cache
def assembled(text: str, base: int = KERNEL) -> Program:
    """The program for an address."""
    return assembler().program(text, base)


def work(rounds: int, period: int = 7) -> bytes:
    """A kernel that is busy for about 18 steps a round, interrupted every `period` ticks of 100 nanoseconds.

    On the host's clock the reference engine needs a long period to get anywhere.
    """
    return assembled(f".equ ROUNDS, {rounds}\n.equ PERIOD, {period}\n{WORK}").data


def elf_file(program: Program, entry: int | None = None) -> bytes:
    """A 64-bit RISC-V ELF file of one segment, with the program's symbols."""
    names, table = bytearray(b"\0"), bytearray(24)
    for name, value in program.symbols.items():
        table += struct.pack("<IBBHQQ", len(names), 0x10, 0, 1, value, 0)
        names += name.encode() + b"\0"
    data_at, table_at = 0x1000, 0x1000 + len(program.data) + -len(program.data) % 8
    names_at = table_at + len(table)
    sections_at = names_at + len(names) + -(names_at + len(names)) % 8
    start = program.base if entry is None else entry
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 2, 243, 1, start, 64, sections_at, 0, 64, 56, 1, 64, 4, 0,
    )  # fmt: skip
    load = struct.pack(
        "<IIQQQQQQ", 1, 7, data_at, program.base, program.base, len(program.data), len(program.data), 4096
    )
    file = (header + load).ljust(data_at, b"\0") + program.data
    file = file.ljust(table_at, b"\0") + table + names
    file = file.ljust(sections_at, b"\0") + bytes(64)
    file += struct.pack("<IIQQQQIIQQ", 0, 1, 7, program.base, data_at, len(program.data), 0, 0, 1, 0)
    file += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, table_at, len(table), 3, 1, 8, 24)
    file += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    return file
