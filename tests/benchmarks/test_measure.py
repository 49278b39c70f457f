"""CPU time is counted for the whole tree of processes, and only between the marks."""

import os
import subprocess
import sys

import pytest

from benchmarks.measure import MeasureError, Run, between_marks, cpu_of_descendants, processes_of, wait_for_orphans

BUSY = "import time\nwhile time.process_time() < {seconds}: pass\n"
MARKED = """
import subprocess, sys
def busy(seconds): subprocess.run([sys.executable, "-c", {busy!r}.format(seconds=seconds)], check=True)
busy(0.3)
print("@start sieve", flush=True)
busy(0.2)
print("@end sieve 0x0123456789abcdef {verdict}", flush=True)
busy(0.3)
"""


def marked(verdict: str) -> list[str]:
    return [sys.executable, "-c", MARKED.format(busy=BUSY, verdict=verdict)]


def test_only_what_is_between_the_marks_counts() -> None:
    with Run(marked("ok"), timeout=30) as run:
        got = between_marks(run, "sieve")
        assert run.finish() == 0
    assert 0.17 <= got.cpu <= 0.29
    assert got.checksum == "0x0123456789abcdef"


def test_a_wrong_checksum_is_no_measurement() -> None:
    with Run(marked("wrong"), timeout=30) as run, pytest.raises(MeasureError, match="wrong"):
        between_marks(run, "sieve")


def test_an_early_end_says_status_and_output() -> None:
    command = [sys.executable, "-c", "import sys; print('no such firmware'); sys.exit(2)"]
    with Run(command, timeout=30) as run, pytest.raises(MeasureError, match=r"status 2 .*no such firmware"):
        between_marks(run, "sieve")


def test_silence_ends_with_the_timeout() -> None:
    with Run(["sleep", "30"], timeout=0.2) as run, pytest.raises(MeasureError, match="in time"):
        between_marks(run, "sieve")


def test_leaving_ends_the_process() -> None:
    with Run(["sleep", "30"], timeout=30) as run:
        pid = run._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_processes_of_earlier_runs_are_waited_for() -> None:
    with subprocess.Popen(["sleep", "0.2"]) as process:
        assert process.pid in processes_of(os.getpid())
        assert not wait_for_orphans(0.0)
        assert wait_for_orphans(10.0)
    assert processes_of(os.getpid()) == [os.getpid()]


def test_more_time_can_be_given() -> None:
    with Run(["sleep", "0.3"], timeout=0.05) as run:
        run.renew(30)
        assert run.finish() == 0


def test_living_and_ended_descendants_count() -> None:
    before = cpu_of_descendants()
    subprocess.run([sys.executable, "-c", BUSY.format(seconds=0.1)], check=True)
    ended = cpu_of_descendants()
    assert ended - before >= 0.08
    shell = [
        "sh",
        "-c",
        f'"{sys.executable}" -c "{BUSY.format(seconds=0.1)}print(1, flush=True); time.sleep(30)"; true',
    ]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        living = cpu_of_descendants()
        os.killpg(process.pid, 9)
    assert living - ended >= 0.08
