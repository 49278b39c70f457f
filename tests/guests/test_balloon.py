"""The balloon in a real guest: memory that it frees, or is asked for, is the host's again."""

import time
from collections.abc import Callable, Iterator

import pytest

import guesthouse
from guesthouse import Machine, UserError
from guesthouse.host.residency import Residency

pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
]
MIB = 1 << 20
FILE = 100 * MIB
FILL = f"head -c {FILE} /dev/zero | tr '\\0' x >/tmp/file"
PROMPT = ":~# "


def resident(machine: Machine) -> int:
    """Bytes of the guest's memory that the host has."""
    residency, memory = Residency(), machine._core.memory
    try:
        return sum(length for _, length in residency.touched(memory.mapping.address, memory.size))
    finally:
        residency.close()


def command(machine: Machine, text: str) -> None:
    machine.console.write(text + "; echo fini''shed\n")
    assert machine.run(timeout=60, until="finished").text
    machine.run(timeout=20, until=PROMPT)


def told(machine: Machine) -> dict[str, int]:
    figures: dict[str, int] = machine.statistics()["balloon"]
    return figures


def run_until(machine: Machine, done: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        machine.run(timeout=0.2)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine(image=guesthouse.image("tiny"), memory="512M", balloon=True) as machine:
        assert machine.run(timeout=60, until=PROMPT).text
        yield machine


def test_memory_that_the_guest_frees_is_the_host_s_again(machine: Machine) -> None:
    before = resident(machine)
    command(machine, f"{FILL}; sum </tmp/file >/tmp/sum")
    assert resident(machine) > before + FILE * 9 // 10
    machine.console.write("rm /tmp/file\n")
    run_until(machine, lambda: resident(machine) < before + FILE // 10)
    command(machine, f"{FILL}; sum </tmp/file | cmp - /tmp/sum && echo sa''me")
    assert "same" in machine.console.output


def test_a_guest_gives_up_what_it_is_asked_for_and_takes_it_back(machine: Machine) -> None:
    assert told(machine)["asked"] == told(machine)["given"] == 0
    machine.run(timeout=0.5)
    free = told(machine)["free"]
    assert 300 * MIB < free <= told(machine)["total"] < 512 * MIB
    machine.set_balloon(200 * MIB)
    run_until(machine, lambda: told(machine)["given"] == 200 * MIB)
    told(machine)
    machine.run(timeout=0.5)
    assert free - 210 * MIB < told(machine)["free"] < free - 190 * MIB
    machine.set_balloon(0)
    run_until(machine, lambda: told(machine)["given"] == 0)
    with pytest.raises(UserError, match="can't give up 536870913; ask for less"):
        machine.set_balloon(512 * MIB + 1)


def test_a_balloon_outlives_a_restore(machine: Machine) -> None:
    machine.set_balloon(100 * MIB)
    run_until(machine, lambda: told(machine)["given"] == 100 * MIB)
    with Machine.load(machine.save()) as other:
        assert told(other)["given"] == 100 * MIB
        other.set_balloon(50 * MIB)
        run_until(other, lambda: told(other)["given"] == 50 * MIB)
