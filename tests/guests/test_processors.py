"""Debian on several processors: boots, knows them, and gets parallel work right."""

import hashlib
import re

import pytest

from guesthouse import Machine, Reason
from tests.guests.test_boot import OPENSBI, PROMPT, TIMEOUT, tiny  # noqa: F401  (a fixture)

pytestmark = pytest.mark.boot

JOBS = 6


def boot(machine: Machine, count: int) -> None:
    machine.console.expect(PROMPT, timeout=TIMEOUT)
    machine.console.write("grep -c ^hart.*: /proc/cpuinfo; echo $(nproc) are there\n")
    machine.console.expect(f"\n{count} are there", timeout=TIMEOUT)
    machine.console.expect(PROMPT, timeout=TIMEOUT)


def work(machine: Machine) -> None:
    """Programs side by side, whose output is known."""
    job = "seq 1 3000 | sort -rn | md5sum; i=0; while [ $i -lt 30 ]; do i=$((i+1)); true | cat; done"
    machine.console.write(f"for j in $(seq {JOBS}); do ({job}) & done; wait; echo all''done\n")
    found = machine.console.expect("alldone", timeout=TIMEOUT)
    expected = hashlib.md5("".join(f"{i}\n" for i in range(3000, 0, -1)).encode()).hexdigest()
    assert found.count(expected) == JOBS
    assert not re.search("Oops|BUG|segfault|Illegal", machine.console.output)


def power_off(machine: Machine) -> None:
    machine.console.write("poweroff\n")
    stop = machine.run(timeout=TIMEOUT)
    assert (stop.reason, stop.status) == (Reason.POWER_OFF, 0)


@pytest.mark.parametrize(("engine", "count"), [("auto", 2), ("auto", 4), ("interpreter", 2), ("stitcher", 3)])
def test_debian_works_on_several_processors(tiny, engine: str, count: int) -> None:  # noqa: F811
    with Machine(image=tiny, engine=engine, cpus=count) as machine:
        boot(machine, count)
        work(machine)
        assert all(machine.cpu(number).instructions > 1_000_000 for number in range(count))
        power_off(machine)


def test_real_firmware_starts_all_of_them(tiny) -> None:  # noqa: F811
    firmware = OPENSBI / "fw_jump.elf"
    if not firmware.exists():
        pytest.skip("the package opensbi is not installed")
    with Machine(image=tiny, firmware=firmware, cpus=4) as machine:
        boot(machine, 4)
        work(machine)
        power_off(machine)


def test_a_reboot_starts_all_of_them_again(tiny) -> None:  # noqa: F811
    with Machine(image=tiny, cpus=2) as machine:
        boot(machine, 2)
        machine.console.write("reboot\n")
        boot(machine, 2)
        power_off(machine)


def test_saved_and_loaded_it_goes_on(tiny) -> None:  # noqa: F811
    with Machine(image=tiny, cpus=2, memory="128M") as machine:
        boot(machine, 2)
        machine.console.write("seq 1 100000 | md5sum &\n")
        machine.run(timeout=0.05)
        data = machine.save()
    for _ in range(2):
        with Machine.load(data) as machine:
            machine.console.write("echo hel''lo\n")
            machine.console.expect("hello", timeout=TIMEOUT)
            work(machine)
            power_off(machine)


def test_counted_boots_are_the_same(tiny) -> None:  # noqa: F811
    ends = []
    for engine in ("interpreter", "auto"):
        with Machine(image=tiny, engine=engine, cpus=2, clock="instructions", memory="128M") as machine:
            boot(machine, 2)
            power_off(machine)
            ends.append((machine.instructions, [machine.cpu(n).instructions for n in range(2)], machine.console.output))
    assert ends[0] == ends[1]
