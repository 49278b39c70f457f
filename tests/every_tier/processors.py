"""Programs for several processors, in machine mode and without anything else: all begin at `start`, a0 their number."""

from __future__ import annotations

from guesthouse import Machine, Reason
from guesthouse.virtual.spec.assembly import Program
from tests.virtual.machine.programs import FIRMWARE, assembled

END = """
power_off:
    li t0, 0x5555
    li t1, 0x100000
    sw t0, 0(t1)
1:  j 1b
halt:
    j halt
# Meet all COUNT processors; a1 is changed, s11 counts the meetings.
meet:
    la t0, met
    li t1, 1
    addi s11, s11, COUNT
    amoadd.d.aqrl zero, t1, (t0)
1:  pause
    ld t1, 0(t0)
    blt t1, s11, 1b
    fence rw, rw
    ret
    .balign 4096
met:
    .dword 0
    .balign 4096
"""


def program(text: str, count: int) -> Program:
    """A program with `met`, `meet`, `halt` and `power_off`; its own data must follow in `text` behind `.data_here`."""
    code, _, data = text.partition(".data_here")
    return assembled(f".equ COUNT, {count}\n{code}{END}{data}", FIRMWARE)


def run(text: str, count: int, engine: str, symbols: dict[str, int], **options: object) -> dict[str, list[int]]:
    """Run a program on `count` processors until it powers off; gives so many words at each of these symbols."""
    made = program(text, count)
    with Machine(firmware=made.data, memory="64M", cpus=count, engine=engine, **options) as machine:  # type: ignore[arg-type]
        stop = machine.run(timeout=60)
        assert stop.reason is Reason.POWER_OFF, (stop, [hex(machine.cpu(n).registers["pc"]) for n in range(count)])
        found = {}
        for name, words in symbols.items():
            data = machine.memory.read(made.symbols[name], 8 * words)
            found[name] = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
        return found


SBI_END = """
sbi:  # a7: extension, a6: function
    ecall
    ret
start_all:  # start the others at `other`, their number in a0
    mv s11, ra
    li s10, 1
1:  li a7, 0x48534d
    li a6, 0
    mv a0, s10
    la a1, other
    li a2, 0
    ecall
    beqz a0, 9f
    j failed
9:
    addi s10, s10, 1
    li t0, COUNT
    blt s10, t0, 1b
    mv ra, s11
    jr ra
failed:
    la t0, verdict
    sd s0, 8(t0)
    li t1, 2
    sd t1, 0(t0)
    j power_off
passed:
    la t0, verdict
    li t1, 1
    sd t1, 0(t0)
power_off:
    li a7, 0x53525354
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
    .balign 4096
verdict:
    .space 64
flag:
    .dword 0
"""


def judge(text: str, count: int, engine: str, **options: object) -> None:
    """Run a kernel on `count` processors until it jumps to `passed`, or to `failed` with what it saw in s0."""
    made = assembled(f".equ COUNT, {count}\n{text}{SBI_END}")
    with Machine(kernel=made.data, memory="64M", cpus=count, engine=engine, **options) as machine:  # type: ignore[arg-type]
        stop = machine.run(timeout=60)
        where = [hex(machine.cpu(n).registers["pc"]) for n in range(count)]
        assert stop.reason is Reason.POWER_OFF, (stop, where)
        verdict, seen = (
            int.from_bytes(machine.memory.read(made.symbols["verdict"] + at, 8), "little") for at in (0, 8)
        )
        assert verdict == 1, f"{seen:#x} was seen; {where}"
