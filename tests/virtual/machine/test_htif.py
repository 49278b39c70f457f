import pytest

from guesthouse import Machine, Reason
from tests.virtual.machine.programs import FIRMWARE, assembled, elf_file

ENGINES = ("reference", "interpreter", "translator")

EXIT = """
    la t0, tohost
    li t1, STATUS << 1 | 1
    sd t1, 0(t0)
1:  j 1b
    .balign 64
tohost: .dword 0
    .balign 64
fromhost: .dword 0
"""

TALK = """
# A system call (write), waiting for its answer; a character; another system call (exit).
    la s0, tohost
    la s1, fromhost
    la a0, block
    sd a0, 0(s0)
1:  ld t0, 0(s1)
    beqz t0, 1b
    sd zero, 0(s1)
    ld s2, 0(a0)        # the call's result
    li t1, 0x0101000000000021
    sd t1, 0(s0)
1:  ld t0, 0(s1)
    beqz t0, 1b
    sd zero, 0(s1)
    la a0, last
    sd a0, 0(s0)
1:  wfi
    j 1b
    .balign 64
block:
    .dword 64, 1, text, 6
    .dword 0, 0, 0, 0
last:
    .dword 93, 42, 0, 0
    .dword 0, 0, 0, 0
text: .ascii "Hello "
    .balign 64
tohost: .dword 0
fromhost: .dword 0
"""

SIGNED = """
    la t0, tohost
    li t1, 1
    sd t1, 0(t0)
1:  j 1b
    .balign 64
begin_signature:
    .word 0x01234567, 0xdeadbeef, 3
    .byte 9
end_signature:
    .balign 64
tohost: .dword 0
"""


def program(text: str) -> bytes:
    return elf_file(assembled(text, FIRMWARE))


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 1), (255, 255), (256, 1), (1337, 1)])
def test_exit_status(status: int, expected: int) -> None:
    for engine in ENGINES:
        with Machine(firmware=program(f".equ STATUS, {status}\n{EXIT}"), memory="64M", engine=engine) as machine:
            stop = machine.run(timeout=20)
            assert (stop.reason, stop.status) == (Reason.POWER_OFF, expected)


def test_system_calls_and_characters() -> None:
    for engine in ENGINES:
        with Machine(firmware=program(TALK), memory="64M", engine=engine) as machine:
            stop = machine.run(timeout=20)
            assert (stop.reason, stop.status) == (Reason.POWER_OFF, 42)
            assert machine.console.output == "Hello !"
            assert machine.registers["s2"] == 6


def test_wild_system_calls_do_no_harm() -> None:
    for block in (".dword 64, 1, 0x7fffffffffff, 6", ".dword 64, 1, text, -1", ".dword 5, 1, 2, 3"):
        text = TALK.replace(".dword 64, 1, text, 6", block)
        with Machine(firmware=program(text), memory="64M", engine="interpreter") as machine:
            assert machine.run(timeout=20).status == 42
    for command in ("0x7fffffffffe0", "0x0200000000000000", "0x01ff000000000001"):
        text = EXIT.replace("li t1, STATUS << 1 | 1", f"li t1, {command}")
        with Machine(firmware=program(text), memory="64M", engine="interpreter") as machine:
            assert machine.run(timeout=0.2).reason is Reason.TIMEOUT


def test_signature() -> None:
    with Machine(firmware=program(SIGNED), memory="64M", engine="interpreter") as machine:
        assert machine.run(timeout=20).status == 0
        assert machine.signature() == "01234567\ndeadbeef\n00000003\n00000009\n"
        assert machine.signature(8) == "deadbeef01234567\n0000000900000003\n"
    with Machine(firmware=program(f".equ STATUS, 0\n{EXIT}"), memory="64M", engine="interpreter") as machine:
        assert machine.signature() is None


def test_looks_come_at_the_same_steps_however_the_run_is_cut() -> None:
    ends = set()
    for budget in (None, 7, 1000):
        with Machine(firmware=program(TALK), memory="64M", engine="interpreter", clock="instructions") as machine:
            while machine.run(budget=budget, timeout=20).reason is Reason.BUDGET:
                pass
            ends.add(machine.instructions)
    assert len(ends) == 1


def test_program_without_the_symbols_is_not_watched() -> None:
    with Machine(firmware=program("1: j 1b"), memory="64M", engine="interpreter") as machine:
        assert machine.run(timeout=0.1).reason is Reason.TIMEOUT
