import re
import threading
import time

import pytest

from guesthouse import Machine, NotSeen, Reason, UserError
from tests.virtual.machine.programs import POWER_OFF, PRINT, assembled, work

ENGINES = ("reference", "interpreter", "stitcher", "translator")

ECHO = f"""
# Prints '?', then what comes from the UART, until a '.' comes.
    la a0, prompt
    call print
    la t0, trap
    csrw stvec, t0
    li s0, 0x10000000
    li t0, 1
    sb t0, 1(s0)        # receive interrupt
    li t0, 0xc000028
    li t1, 1
    sw t1, 0(t0)        # priority of source 10
    li t0, 0xc002080
    li t1, 1 << 10
    sw t1, 0(t0)        # enabled for supervisor mode
    li t0, 1 << 9
    csrw sie, t0
again:
    wfi
    lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, again
    lbu t1, 0(s0)
    sb t1, 0(s0)
    li t0, '.'
    bne t1, t0, again
    j power_off
    .balign 4
trap:
    sret
{PRINT}
{POWER_OFF}
prompt:
    .asciz "? "
"""


def test_hello_runs_to_its_end_on_every_engine() -> None:
    for engine in ENGINES:
        with Machine(kernel=work(200, 2000), memory="64M", engine=engine) as machine:
            stop = machine.run(timeout=60)
            assert (stop.reason, stop.status) == (Reason.POWER_OFF, 0)
            assert machine.console.output == "done\n"
            assert machine.run() is stop and machine.ended is stop


def test_budget_is_kept_exactly() -> None:
    for engine in ENGINES:
        with Machine(kernel=work(300), memory="64M", engine=engine, clock="instructions") as machine:
            for count in (1, 1, 7, 100, 1000):
                before = machine.instructions
                assert machine.run(budget=count).reason is Reason.BUDGET
                assert machine.instructions == before + count
            assert machine.step().reason is Reason.BUDGET
            assert machine.instructions == 1110


def test_timeout_ends_a_guest_that_spins() -> None:
    for engine in ENGINES:
        with Machine(kernel=assembled("1: j 1b").data, memory="64M", engine=engine) as machine:
            began = time.monotonic()
            assert machine.run(timeout=0.2).reason is Reason.TIMEOUT
            assert 0.2 <= time.monotonic() - began < 3


def test_timeout_ends_a_guest_that_sleeps_with_a_timer_ahead() -> None:
    text = "rdtime t0\nli t1, 600000000\nadd t0, t0, t1\ncsrw stimecmp, t0\nli t0, 32\ncsrw sie, t0\n1: wfi\nj 1b"
    with Machine(kernel=assembled(text).data, memory="64M", engine="reference") as machine:
        before = time.process_time()
        assert machine.run(timeout=0.3).reason is Reason.TIMEOUT
        assert time.process_time() - before < 0.2


def test_a_guest_that_nothing_can_wake_is_told() -> None:
    for clock in ("host", "instructions"):
        with Machine(kernel=assembled("1: wfi\nj 1b").data, memory="64M", engine="reference", clock=clock) as machine:
            assert machine.run(timeout=10).reason is Reason.WAITING
            assert machine.run(timeout=10).reason is Reason.WAITING


def test_counted_clock_jumps_over_sleep() -> None:
    text = "rdtime t0\nli t1, 36000000000\nadd t0, t0, t1\ncsrw stimecmp, t0\nli t0, 32\ncsrw sie, t0\nwfi\n"
    program = assembled(text + "rdtime s0\n" + POWER_OFF).data
    with Machine(kernel=program, memory="64M", engine="reference", clock="instructions") as machine:
        assert machine.run(timeout=10).reason is Reason.POWER_OFF
        assert machine.registers["s0"] >= 36000000000


def test_console_is_written_and_expected() -> None:
    for engine in ENGINES:
        with Machine(kernel=assembled(ECHO).data, memory="64M", engine=engine) as machine:
            assert machine.console.expect("? ", timeout=10) == "? "
            machine.console.write("hello 123 ")
            assert machine.console.expect(re.compile(r"\d+ "), timeout=10) == "hello 123 "
            with pytest.raises(NotSeen, match="'never'") as failure:
                machine.console.expect("never", timeout=0.1)
            assert failure.value.stop.reason in (Reason.TIMEOUT, Reason.WAITING)
            machine.console.write(b"x.")
            assert machine.run(timeout=10).reason is Reason.POWER_OFF
            assert machine.console.output == "? hello 123 x."


def test_console_input_longer_than_the_device_holds_arrives_whole() -> None:
    text = "0123456789abcdef" * 600
    with Machine(kernel=assembled(ECHO).data, memory="64M", engine="interpreter") as machine:
        machine.console.write(text + ".")
        assert machine.console.input.pending == len(text) + 1
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        assert machine.console.output == "? " + text + "."


def test_sink_gets_all_output_in_order() -> None:
    class Sink:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> None:
            self.data += data

    sink = Sink()
    with Machine(kernel=work(10, 2000), memory="64M", engine="reference", console=sink) as machine:
        machine.run(timeout=10)
    assert sink.data == b"done\n"


def test_other_threads_stop_and_type() -> None:
    class Sink:
        def write(self, data: bytes) -> None: ...

    for engine in ENGINES:
        with Machine(kernel=assembled(ECHO).data, memory="64M", engine=engine, console=Sink()) as machine:
            threading.Timer(0.1, lambda machine=machine: machine.console.write("ab.")).start()
            assert machine.run(timeout=10).reason is Reason.POWER_OFF
        with Machine(kernel=assembled("1: j 1b").data, memory="64M", engine=engine) as machine:
            threading.Timer(0.1, machine.stop).start()
            assert machine.run(timeout=10).reason is Reason.STOPPED


def test_posted_calls_run_in_the_machines_thread() -> None:
    with Machine(kernel=assembled("1: j 1b").data, memory="64M", engine="interpreter") as machine:
        threads: list[int] = []

        def note() -> None:
            threads.append(threading.get_ident())
            machine.stop()

        threading.Timer(0.1, lambda: machine.post(note)).start()
        assert machine.run(timeout=10).reason is Reason.STOPPED
        assert threads == [threading.get_ident()]


RESET = """
    li t0, 0x100000
    li t1, 0x7777
    sw t1, 0(t0)
1:  j 1b
"""


def test_reset_restarts_from_the_definition() -> None:
    # The first time round a word of memory is zero; it must be again after the reset, which empties memory.
    text = f"la a0, text\ncall print\nla t0, word\nld t1, 0(t0)\nli t2, 1\nsd t2, 0(t0)\nbnez t1, power_off\n{RESET}"
    text += f'{PRINT}\n{POWER_OFF}\ntext: .asciz "up\\n"\n.balign 8\nword: .quad 0'
    with Machine(kernel=assembled(text).data, memory="64M", engine="interpreter", clock="instructions") as machine:
        assert machine.run(budget=2000, until="up\nup\nup\n").reason is Reason.TEXT
    with Machine(kernel=assembled(text).data, memory="64M", engine="interpreter", reboot=False) as machine:
        assert machine.run(timeout=10).reason is Reason.RESET
        assert machine.console.output == "up\n"
        machine.reset()
        assert machine.ended is None
        assert machine.run(timeout=10).reason is Reason.RESET
        assert machine.console.output == "up\nup\n"


def test_reset_after_a_panic_ends_with_its_line() -> None:
    line = "Kernel panic - not syncing: no working init found"
    text = f'la a0, text\ncall print\n{RESET}\n{PRINT}\ntext: .asciz "[    1.5] {line}\\n"'
    with Machine(kernel=assembled(text).data, memory="64M", engine="interpreter") as machine:
        stop = machine.run(timeout=10)
        assert (stop.reason, stop.status, stop.text) == (Reason.PANIC, 70, line)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"memory": "32M"}, "64 MiB to 16 GiB of memory, not 32 MiB"),
        ({"memory": "17G"}, "64 MiB to 16 GiB"),
        ({"memory": "a lot"}, "'a lot' is not a size"),
        ({"memory": (64 << 20) + 1}, "not a multiple of 4096"),
        ({"engine": "steam"}, "no engine 'steam'"),
        ({"clock": "sun"}, "no clock 'sun'"),
        ({"kernel": "/nowhere/kernel"}, "Can't read the kernel /nowhere/kernel: No such file"),
        ({"kernel": "/"}, "is a folder"),
        ({"kernel": None}, "nothing to start"),
        ({"kernel": None, "firmware": b"\0" * 64, "initrd": b"x"}, "initrd without a kernel"),
        ({"append": "a\0b"}, "zero byte"),
        ({"image": "tiny"}, r"guesthouse.image\('tiny'\)"),
        ({"disks": ["/nowhere/disk"]}, "/nowhere/disk"),
        ({"disks": ["/nowhere/disk"] * 8}, "room for 7 disks.* choose the bus pci"),
        ({"disks": ["/nowhere/disk"] * 31, "bus": "pci"}, "room for 30 disks, but 31 are asked for; take some away.$"),
        ({"bus": "isa"}, "no bus 'isa'; choose mmio or pci"),
        ({"initrd": bytes(80 << 20)}, "initrd of 80.0 MiB finds no place in 64 MiB"),
        ({"kernel": bytes(80 << 20)}, "needs 80.0 MiB"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as failure:
        Machine(**{"kernel": work(1), "memory": "64M", "engine": "reference", **options})
    assert "\n" not in str(failure.value)


def test_statistics_count() -> None:
    with Machine(kernel=work(50, 2000), memory="64M", engine="interpreter") as machine:
        machine.run(timeout=10)
        statistics = machine.statistics()
    assert statistics["steps"] > 700
    assert statistics["exits"]["WAIT"] >= 1 and statistics["exits"]["HYPERCALL"] == 1
