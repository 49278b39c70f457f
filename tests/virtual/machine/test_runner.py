"""What the run loop does between stretches of the engine."""

import time

import pytest

from guesthouse import Machine, Reason
from tests.virtual.machine.programs import POWER_OFF, assembled

ENGINES = ("reference", "interpreter", "stitcher", "translator")

PLIC = """
    li s1, 0xc000000
    li t0, 1
    sw t0, SOURCE * 4(s1)
    li s2, 0xc002080
    li t0, 1 << SOURCE
    sw t0, 0(s2)
    li s3, 0xc201000
    sw zero, 0(s3)
    la t0, trap
    csrw stvec, t0
    li t0, 1 << 9
    csrw sie, t0
"""

AT_ONCE = f"""
# Enabling the UART's transmitter interrupt interrupts at once: after the store, which has been done exactly once.
    .equ SOURCE, 10
    li s0, 0x10000000
    li s6, 0
{PLIC}
    csrsi sstatus, 2
    li t0, 2
store:
    sb t0, 1(s0)
after:
    addi s6, s6, 1
    j power_off
    .balign 4
trap:
    csrr s4, sepc
    lw s5, 4(s3)
    lbu s7, 2(s0)
    sb zero, 1(s0)
    sw s5, 4(s3)
    sret
{POWER_OFF}
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_that_an_access_causes_comes_after_its_instruction(engine: str) -> None:
    program = assembled(AT_ONCE)
    with Machine(kernel=program.data, memory="64M", engine=engine, clock="instructions") as machine:
        accesses = []
        machine.on_device(lambda _, access: accesses.append((access.address, access.write)))
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        registers = machine.registers
        assert registers["s4"] == program.symbols["after"]
        assert (registers["s5"], registers["s7"], registers["s6"]) == (10, 2, 1)
        assert accesses[3:] == [
            (0x10000001, True), (0xC201004, False), (0x10000002, False), (0x10000001, True), (0xC201004, True),
        ]  # fmt: skip


ALARM = f"""
# Sleeps until the clock's alarm, an hour ahead.
    .equ SOURCE, 11
    li s0, 0x101000
{PLIC}
    lwu t0, 0(s0)
    lwu t1, 4(s0)
    slli t1, t1, 32
    or t0, t0, t1
    mv s4, t0
    li t1, 3600000000000
    add t0, t0, t1
    srli t1, t0, 32
    li t2, 1
    sw t2, 16(s0)
    sw t1, 12(s0)
    sw t0, 8(s0)
    wfi
    lwu t0, 0(s0)
    lwu t1, 4(s0)
    slli t1, t1, 32
    or t0, t0, t1
    sub s4, t0, s4
    lw s5, 4(s3)
    j power_off
trap:
    sret
{POWER_OFF}
"""


def test_a_device_alarm_ends_a_sleep_of_the_counted_clock() -> None:
    with Machine(kernel=assembled(ALARM).data, memory="64M", engine="interpreter", clock="instructions") as machine:
        began = time.monotonic()
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        assert time.monotonic() - began < 5
        assert 3600e9 <= machine.registers["s4"] < 3601e9
        assert machine.registers["s5"] == 11


def test_a_device_alarm_ends_a_sleep_of_the_hosts_clock() -> None:
    text = ALARM.replace("3600000000000", "200000000")
    with Machine(kernel=assembled(text).data, memory="64M", engine="interpreter") as machine:
        before = time.process_time()
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        assert time.process_time() - before < 0.15
        assert 0.2e9 <= machine.registers["s4"] < 2e9


def test_a_busy_guest_gets_its_alarm_too() -> None:
    text = ALARM.replace("    wfi\n", "1:  csrr t0, sip\n    beqz t0, 1b\n")
    for clock, wait in (("host", "100000000"), ("instructions", "1000000")):
        program = assembled(text.replace("3600000000000", wait)).data
        with Machine(kernel=program, memory="64M", engine="interpreter", clock=clock) as machine:
            assert machine.run(timeout=20).reason is Reason.POWER_OFF
            late = machine.registers["s4"] - int(wait)
            assert 0 <= late < (200_000 if clock == "instructions" else 2e9)


def test_an_access_where_nothing_is_faults() -> None:
    text = f"""
    la t0, trap
    csrw stvec, t0
    li t1, 0x5000
    lw t2, 0(t1)
1:  j 1b
    .balign 4
trap:
    csrr s0, scause
    csrr s1, stval
{POWER_OFF}"""
    for engine in ENGINES:
        with Machine(kernel=assembled(text).data, memory="64M", engine=engine) as machine:
            assert machine.run(timeout=20).reason is Reason.POWER_OFF
            assert (machine.registers["s0"], machine.registers["s1"]) == (5, 0x5000)


def test_exit_status_of_the_test_device() -> None:
    text = "li t0, 0x100000\nli t1, 42 << 16 | 0x3333\nsw t1, 0(t0)\n1: j 1b"
    for engine in ENGINES:
        with Machine(kernel=assembled(text).data, memory="64M", engine=engine) as machine:
            stop = machine.run(timeout=20)
            assert (stop.reason, stop.status) == (Reason.POWER_OFF, 42)
