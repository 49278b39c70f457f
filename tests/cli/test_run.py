"""`guesthouse run` as users see it: output, input, statuses; on small programs of our own."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.programs import ENVIRONMENT, PROGRAM, QUICK, call, program

COMPILER = shutil.which("riscv64-linux-gnu-gcc")


@pytest.fixture(scope="module", autouse=True)
def native_parts() -> None:
    assert call("build", timeout=120).returncode == 0


def start(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, *arguments], env=ENVIRONMENT, **{**streams, **options})  # type: ignore[call-overload]


def test_hello_needs_nothing_and_ends_with_0() -> None:
    result = call("run", "hello", *QUICK)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Hello!" in result.stdout and b"Powering off" in result.stdout


def test_code_without_a_header_is_a_kernel_only_where_that_is_said(tmp_path: Path) -> None:
    path = program(tmp_path, "fail")
    refused = call("run", "--kernel", path, *QUICK)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"is a raw binary; give an ELF file" in refused.stderr
    assert call("run", "--kernel", f"{path},raw", *QUICK).returncode == 7


def test_piped_input_reaches_the_guest_whole_and_in_order(tmp_path: Path) -> None:
    data = bytes(byte for byte in range(256) if byte != ord("q")) * 100 + b"q"
    result = call("run", "--firmware", program(tmp_path, "echo"), *QUICK, input=data)
    assert result.returncode == 0
    assert result.stdout == data


def test_the_end_of_input_does_not_stop_the_machine(tmp_path: Path) -> None:
    result = call("run", "--firmware", program(tmp_path, "echo"), *QUICK, "--timeout", "1", input=b"abc")
    assert (result.returncode, result.stdout) == (124, b"abc")


def test_input_that_comes_late_is_taken(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "echo"), *QUICK)
    assert process.stdin and process.stdout
    for text in (b"one", b"two", b"q"):
        process.stdin.write(text)
        process.stdin.flush()
        assert process.stdout.read(len(text)) == text
    assert process.wait(20) == 0
    process.communicate()


def test_a_failure_the_guest_reports_is_the_status(tmp_path: Path) -> None:
    assert call("run", "--firmware", program(tmp_path, "fail"), *QUICK).returncode == 7


def test_a_panic_ends_with_70_and_its_line(tmp_path: Path) -> None:
    result = call("run", "--firmware", program(tmp_path, "panic"), *QUICK)
    assert result.returncode == 70
    assert result.stderr == b"Kernel panic - not syncing: a test\n"


def test_no_reboot_ends_with_0_where_the_guest_restarts(tmp_path: Path) -> None:
    result = call("run", "--firmware", program(tmp_path, "restart"), *QUICK, "--no-reboot")
    assert (result.returncode, result.stdout) == (0, b"boot\n")


def test_without_it_the_guest_starts_again(tmp_path: Path) -> None:
    result = call("run", "--firmware", program(tmp_path, "restart"), *QUICK, "--timeout", "1")
    assert result.returncode == 124
    assert result.stdout.count(b"boot\n") > 1


def test_the_timeout_ends_with_124_and_still_gives_statistics(tmp_path: Path) -> None:
    result = call("run", "--firmware", program(tmp_path, "spin"), *QUICK, "--timeout", "0.5", "--stats")
    assert (result.returncode, result.stdout) == (124, b"spinning\n")
    lines = dict(line.split(": ", 1) for line in result.stderr.decode().splitlines() if line.count(": ") == 1)
    assert lines["engine"] == "interpreter"
    assert int(lines["steps"]) > 10_000


def test_statistics_as_json(tmp_path: Path) -> None:
    target = tmp_path / "statistics.json"
    assert call("run", "hello", *QUICK, "--stats-json", str(target)).returncode == 0
    assert json.loads(target.read_text())["exits"]["HYPERCALL"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_run(tmp_path: Path, number: signal.Signals) -> None:
    process = start("run", "--firmware", program(tmp_path, "spin"), *QUICK)
    assert process.stdout and process.stdout.read(9) == b"spinning\n"
    workers = children(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (128 + number, b"")
    assert workers and not any(alive(worker) for worker in workers)


def test_a_worker_that_dies_is_a_defect_of_ours_and_says_so(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "spin"), *QUICK)
    assert process.stdout and process.stdout.read(9) == b"spinning\n"
    for worker in children(process.pid):
        os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert b"by signal 9" in errors and errors.count(b"\n") == 1


def test_the_worker_ends_when_its_caller_is_killed(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "spin"), *QUICK)
    assert process.stdout and process.stdout.read(9) == b"spinning\n"
    workers = children(process.pid)
    process.kill()
    process.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers and not any(alive(worker) for worker in workers)


def test_output_that_nobody_reads_any_more_ends_the_run(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "flood"), *QUICK)
    assert process.stdout and process.stdout.read(1000).startswith(b"flood")
    process.stdout.close()
    assert process.wait(20) == 128 + signal.SIGPIPE


def test_a_slow_reader_holds_the_guest_back_in_bounded_memory(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "flood"), *QUICK)
    assert process.stdout
    process.stdout.read(1000)
    time.sleep(1.0)
    worker = children(process.pid)[0]
    before = resident(worker)
    time.sleep(1.0)
    assert resident(worker) - before < 8 << 10
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_the_worker_is_confined_and_holds_no_compiler(tmp_path: Path) -> None:
    process = start("run", "--firmware", program(tmp_path, "spin"), *QUICK)
    assert process.stdout and process.stdout.read(9) == b"spinning\n"
    worker = children(process.pid)[0]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
    maps = Path(f"/proc/{worker}/maps").read_text()
    process.terminate()
    process.communicate(timeout=20)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"].strip() == "2"
    assert "llvmlite" not in maps


def test_a_counted_clock_makes_two_runs_the_same(tmp_path: Path) -> None:
    arguments = ["run", "hello", *QUICK, "--clock", "instructions", "--seed", "5", "--stats"]
    first, second = call(*arguments), call(*arguments)
    assert first.returncode == 0 and b"engine" in first.stderr
    assert (first.stdout, steady(first.stderr)) == (second.stdout, steady(second.stderr))


def test_with_a_counted_clock_piped_input_is_there_from_the_start(tmp_path: Path) -> None:
    arguments = ["run", "--firmware", program(tmp_path, "echo"), *QUICK, "--clock", "instructions", "--stats"]
    first, second = (call(*arguments, input=b"some text q") for _ in range(2))
    assert (first.returncode, first.stdout) == (0, b"some text q")
    assert steady(first.stderr) == steady(second.stderr)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("instructions", "lui"),
        ("devices", "uart 0x10000000 <- 0x73"),
        ("sbi", "extension 0x4442434e function 0"),
        ("traps", "interrupt 5"),
    ],
)
def test_traces(tmp_path: Path, what: str, expected: str) -> None:
    target = tmp_path / "trace"
    guest = ["hello"] if what in ("sbi", "traps") else ["--firmware", program(tmp_path, "spin"), "--timeout", "1"]
    call("run", *guest, *QUICK, "--trace", what, "--trace-file", str(target))
    assert expected in target.read_text()


def test_every_line_of_a_trace_has_the_documented_form(tmp_path: Path) -> None:
    target = tmp_path / "trace"
    options = (*QUICK, "--clock", "instructions")
    call("run", "hello", *options, "--trace", "instructions,traps,devices,sbi", "--trace-file", str(target))
    rest = {
        "instruction": r"[0-9a-f]{4}([0-9a-f]{4})?  \S.*|cannot be fetched",
        "trap": r"(exception|interrupt) \d+ at 0x[0-9a-f]+ value 0x[0-9a-f]+",
        "device": r"[a-z]+\d* 0x[0-9a-f]+ (<-|->) 0x([0-9a-f]{2})+",
        "sbi": r"extension 0x[0-9a-f]+ function \d+ arguments 0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+",
    }
    seen, last = set(), 0
    for line in target.read_text().splitlines():
        form = re.fullmatch(r" *(\d+) +0x[0-9a-f]{12,16} (\w+) +(.*)", line)
        assert form and re.fullmatch(rest[form[2]], form[3]), line
        assert int(form[1]) >= last
        seen.add(form[2])
        last = int(form[1])
    assert seen == set(rest)


@pytest.mark.skipif(not COMPILER, reason="needs a RISC-V cross compiler")
def test_a_bare_metal_programs_signature_and_status(tmp_path: Path) -> None:
    source = tmp_path / "program.S"
    source.write_text("""
    .globl _start, tohost, begin_signature, end_signature
_start: la t0, begin_signature
    li t1, 0x1234567890abcdef
    sd t1, 0(t0)
    la t0, tohost
    li t1, (5 << 1) | 1
    sd t1, 0(t0)
1:  j 1b
    .data
    .balign 64
tohost: .dword 0
fromhost: .dword 0
begin_signature: .dword 0
end_signature:
""")
    flags = ["-nostdlib", "-static", "-march=rv64g", "-mabi=lp64d", "-Wl,-N,-Ttext=0x80000000,--build-id=none"]
    subprocess.run([str(COMPILER), *flags, "-o", str(tmp_path / "p.elf"), str(source)], check=True, timeout=20)
    target = tmp_path / "signature"
    result = call("run", "--firmware", str(tmp_path / "p.elf"), *QUICK, "--signature", str(target))
    assert result.returncode == 5
    assert target.read_text() == "90abcdef\n12345678\n"


def steady(statistics: bytes) -> list[bytes]:
    """What of the statistics does not measure the host: steps, traps, exits."""
    lines = [line for line in statistics.splitlines() if line.startswith((b"steps", b"traps", b"exits.DEVICE"))]
    assert len(lines) >= 4
    return lines


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


def resident(pid: int) -> int:
    """KiB of memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_several_runs_at_once_do_not_disturb_each_other() -> None:
    processes = [start("run", "hello", *QUICK) for _ in range(4)]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"") and b"Powering off" in output
