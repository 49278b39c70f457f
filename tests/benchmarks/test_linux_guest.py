"""A guest's shell is typed at, and one program that goes wrong doesn't end the run."""

import sys

from benchmarks import linux_guest
from benchmarks.measure import MeasureError, Measurement, Run

# A shell of Python: it says the prompt, "runs" what is typed, and takes Control-C from where it hangs.
SHELL = r"""
import sys
def say(text): print(text, end="", flush=True)
say("root@tiny:~# ")
for line in sys.stdin:
    command = line.strip().lstrip("\x03")
    name = command.rpartition("/")[2]
    if command == "poweroff":
        break
    if name:
        say("@start " + name + "\n")
    if name == "dies":
        sys.exit(3)
    if name == "hangs":
        while sys.stdin.read(1) != "\x03": pass
    elif name:
        say("@end " + name + " 0x12 " + ("wrong" if name == "errs" else "ok") + "\n")
    say("root@tiny:~# ")
"""


def run_shell(names: list[str]) -> dict[str, Measurement | MeasureError]:
    with Run([sys.executable, "-c", SHELL], timeout=30) as run:
        linux_guest.boot(run)
        return linux_guest.run_programs(run, {name: f"/bench/{name}" for name in names}, timeout=1.0)


def test_programs_run_one_after_the_other() -> None:
    results = run_shell(["sieve", "crc"])
    assert list(results) == ["sieve", "crc"]
    assert all(isinstance(got, Measurement) for got in results.values())


def test_what_goes_wrong_is_one_result() -> None:
    results = run_shell(["errs", "sieve", "hangs", "crc"])
    assert "wrong" in str(results["errs"])
    assert "in time" in str(results["hangs"])
    assert isinstance(results["sieve"], Measurement)
    assert isinstance(results["crc"], Measurement)


def test_after_the_guests_death_what_follows_is_missing() -> None:
    results = run_shell(["sieve", "dies", "crc"])
    assert list(results) == ["sieve", "dies"]
    assert "status 3" in str(results["dies"])
