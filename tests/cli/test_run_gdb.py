"""`guesthouse run --gdb`: with a small client of our own, and with gdb itself where that is installed."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.programs import ENVIRONMENT, PROGRAM, QUICK, call, program
from tests.every_tier.processors import SBI_END
from tests.virtual.machine.gdb.client import connected
from tests.virtual.machine.programs import assembled

GDB = shutil.which("gdb-multiarch")
COMPILER = shutil.which("riscv64-linux-gnu-gcc")
PC, PRIVILEGE = 32, 65 + 4096
KERNEL, FIRMWARE = 0x8020_0000, 0x8000_0000

SOURCE = """
#include <stdint.h>
volatile uint64_t tohost __attribute__((aligned(64))), fromhost;
volatile long counter;
long square(long n) {
    long result = n * n;
    counter = result;
    return result;
}
int main(void) {
    long sum = 0;
    for (long n = 1; n <= 6; n++) {
        square(n);
        sum += counter;
    }
    tohost = (uint64_t)(sum - 91) << 1 | 1;
    for (;;);
}
char stack[4096] __attribute__((aligned(16)));
asm (".text; .globl _start; _start: la sp, stack + 4096; j main");
"""


@pytest.fixture(scope="module", autouse=True)
def native_parts() -> None:
    assert call("build", timeout=120).returncode == 0


@contextmanager
def debugged(*arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A run, and where its debugger goes."""
    process = subprocess.Popen(
        [*PROGRAM, "run", *arguments, "--timeout", "60"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr
        told = process.stderr.readline().decode()
        found = re.search(r"`target remote (127\.0\.0\.1:\d+)`", told)
        assert found, told
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def test_hello_under_a_debugger_from_its_first_instruction_to_its_end() -> None:
    with debugged("hello", "--gdb", "0,wait", *QUICK) as (process, address), connected(address) as gdb:
        gdb.no_acknowledgements()
        assert (gdb.register(PC), gdb.register(PRIVILEGE)) == (KERNEL, 1)
        assert gdb.ask(b"vCont;s:1").startswith(b"T05")
        assert gdb.register(PC) == KERNEL + 4
        assert gdb.ask(b"c") == b"W00"
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, b"")
        assert b"Hello!" in output and b"Powering off" in output


def test_a_guest_that_runs_is_attached_left_and_killed(tmp_path: Path) -> None:
    with debugged("--firmware", program(tmp_path, "restart"), "--gdb", "127.0.0.1:0", *QUICK) as (process, address):
        for _ in range(3):
            with connected(address) as gdb:
                assert gdb.register(PRIVILEGE) == 3
                assert gdb.ask(b"Z1,%x,4" % FIRMWARE) == b"OK"  # it restarts over and over
                for _ in range(3):
                    assert gdb.ask(b"c").startswith(b"T05")
                    assert gdb.register(PC) == FIRMWARE
        with connected(address) as gdb:
            gdb.send(b"k")
            assert process.wait(20) == 0
        assert process.stdout and process.stdout.read().count(b"boot\n") > 3


def test_where_a_debugger_can_be_is_checked() -> None:
    for value in ("x", "1:2:x", "99999", "1234,later", "-1"):
        result = call("run", "hello", "--gdb", value)
        assert result.returncode == 2 and b"port" in result.stderr
    with debugged("hello", "--gdb", "0,wait", *QUICK) as (_, address):
        result = call("run", "hello", "--gdb", address, *QUICK)
        assert result.returncode == 2 and b"choose another port" in result.stderr


def batch(address: str, *commands: str, file: Path | None = None) -> str:
    """What gdb prints for these commands."""
    words = [GDB or "", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set architecture riscv:rv64"]
    words += [] if file is None else [str(file)]
    for text in (f"target remote {address}", *commands):
        words += ["-ex", text]
    result = subprocess.run(words, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    return result.stdout.decode() + result.stderr.decode()


@pytest.mark.skipif(GDB is None, reason="gdb-multiarch is not installed")
def test_gdb_itself_on_hello() -> None:
    with debugged("hello", "--gdb", "0,wait", *QUICK) as (process, address):
        first = batch(
            address,
            *("info threads", "p/x $pc", "p $priv", "p/x $sstatus", "p $ft0", "x/2i $pc", "stepi", "p/x $pc"),
            *("set $a5 = 77", "p $a5", "set {long}0x80300000 = 0x1234", "monitor phys on", "x/gx 0x80300000"),
            *("monitor phys off", "info registers csr", "break *0x80200008", "continue", "p/x $pc", "detach"),
        )
        for part in (
            *("CPU 0, supervisor mode", "= 0x80200000", "prv:1", "double = 0", "auipc", "= 0x80200004", "= 77"),
            *("0x80300000:\t0x0000000000001234", "Addresses are physical", "stimecmp", "Breakpoint 1", "= 0x80200008"),
        ):
            assert part in first, (part, first)
        assert process.wait(20) == 0
        assert process.stdout and b"Powering off" in process.stdout.read()


@pytest.mark.skipif(GDB is None, reason="gdb-multiarch is not installed")
def test_gdb_itself_on_several_processors(tmp_path: Path) -> None:
    made = assembled(f".equ COUNT, 3\n call start_all\nbegun: nop\nother: addi s0, s0, 1\nhere: j other\n{SBI_END}")
    kernel = tmp_path / "kernel"
    kernel.write_bytes(made.data)
    begun, *others = [made.symbols[name] for name in ("begun", "other", "here")]
    with debugged("--kernel", f"{kernel},raw", "--cpus", "3", "--gdb", "0,wait", *QUICK) as (_, address):
        text = batch(
            address,
            *("info threads", f"break *{begun}", "continue", f"break *{others[0]}", "thread apply all p/x $pc"),
            *("set scheduler-locking on", "thread 2", "p $mhartid", f"set var $pc = {others[1]}", "stepi", "p/x $pc"),
            *("set var $s0 = 41", "continue", "p $s0", "info threads", "monitor info"),
        )
    for part in (
        *("Thread 3 (CPU 2, supervisor mode, off)", "Thread 1 hit Breakpoint 1", "$4 = 1", f"$5 = {others[0]:#x}"),
        *(
            "Thread 2 hit Breakpoint 2",
            "0x2a",
            "* 2    Thread 2 (CPU 1, supervisor mode, running)",
            "CPU 2, running: pc",
        ),
    ):
        assert part in text, (part, text)


@pytest.mark.skipif(GDB is None or COMPILER is None, reason="gdb-multiarch or the RISC-V compiler is not installed")
def test_gdb_itself_on_a_program_with_source(tmp_path: Path) -> None:
    source, elf = tmp_path / "program.c", tmp_path / "program.elf"
    source.write_text(SOURCE)
    flags = [
        "-O0",
        "-g",
        "-nostdlib",
        "-static",
        "-mcmodel=medany",
        "-fno-pic",
        "-no-pie",
        "-Wl,-Ttext=0x80000000,-N,--build-id=none",
    ]
    subprocess.run([COMPILER or "", *flags, "-o", str(elf), str(source)], check=True, capture_output=True)
    with debugged("--firmware", str(elf), "--gdb", "0,wait", *QUICK) as (_, address):
        text = batch(
            address,
            *("break square", "continue", "p n", "finish", "p counter", "continue", "bt", "delete"),
            *("watch counter", "continue", "delete", "rwatch counter", "continue", "delete", "next", "next"),
            *("hbreak square", "continue", "p n", "delete", "p square(11)", "monitor info", "continue"),
            file=elf,
        )
    for part in (
        *("Breakpoint 1, square (n=1)", "Value returned is $2 = 1", "#0  square (n=2)", "in main ()", "watchpoint 2"),
        *("Old value = 1", "New value = 4", "read watchpoint 3", "Value = 4", "Hardware assisted breakpoint 4"),
        *("Breakpoint 4, square (n=3)", "= 121", "engine interpreter"),
        "exited normally",
    ):
        assert part in text, (part, text)
