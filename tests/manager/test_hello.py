"""The built-in guest, assembled and run to its power-off on every engine."""

import re
import time

import pytest

from guesthouse.guest.hello import FOUND, TICK_MILLISECONDS, TICKS
from guesthouse.guest.kernel import Form, load_kernel
from guesthouse.manager.hello import hello_kernel
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.stop import Reason, Stop

ENGINES = ("reference", "interpreter", "stitcher", "translator", "auto")
BUDGET = 2_000_000
REGISTERS = ("pc", "mode", *(f"x{n}" for n in range(32)), "satp", "stvec", "sepc", "scause", "stval", "stimecmp", "sie")
START = 0x8020_0000  # where the machine puts a kernel that may lie anywhere


class Output:
    """The console's backend."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def run(engine: str, clock: str = "instructions") -> tuple[str, Stop, dict[str, int]]:
    """What it printed, why the machine stopped, and its registers and counters then."""
    output = Output()
    with Machine(kernel=hello_kernel(), memory="64M", engine=engine, clock=clock, console=output) as machine:
        stop = machine.run(BUDGET, timeout=60)
        found = {name: machine.registers[name] for name in REGISTERS}
        found |= {name: machine.statistics()[name] for name in ("steps", "traps")}
        return output.data.decode(errors="replace").replace("\r\n", "\n"), stop, found


def story(start: int) -> str:
    """The whole output as a regular expression."""
    ticks = "".join(rf"Timer interrupt {n}\n" for n in range(1, TICKS + 1))
    page = start >> 16
    return (
        r"Hello! This is a guest, in supervisor mode; the firmware prints this line\.\n"
        r"And this one went through the UART\.\n" + ticks +
        rf"Paging is on \(Sv39\), and I run at 0xffffffc0{page:x}([0-9a-f]{{4}}), which is physically 0x{page:x}\1\n"
        r"Page fault on 0xffffffffc0000000: there was nothing\. I put a page there and go on\.\n"
        rf"On it stands: {FOUND}\n"
        r"All of that took [1-9]\d{3,4} instructions\. Powering off\.\n"
    )  # fmt: skip


def test_it_is_a_raw_kernel_and_quickly_assembled() -> None:
    started = time.process_time()
    image = load_kernel(hello_kernel())
    assert time.process_time() - started < 2
    assert image.form is Form.RAW and image.relocatable and image.entry == 0
    assert len(image.segments[0].data) < 64 << 10


@pytest.mark.parametrize("engine", ENGINES)
def test_it_tells_its_story_and_powers_off(engine: str) -> None:
    output, stop, found = run(engine)
    assert (stop.reason, stop.status) == (Reason.POWER_OFF, 0), output
    assert re.fullmatch(story(START), output), output
    assert found["satp"] >> 60 == 8 and found["pc"] >> 38 == (1 << 26) - 1, "it ends under Sv39, in the upper half"
    assert found["traps"] == TICKS + 1


def test_its_ticks_take_the_time_they_should() -> None:
    started = time.monotonic()
    output, stop, _ = run("interpreter", clock="host")
    assert stop.reason is Reason.POWER_OFF and re.fullmatch(story(START), output), output
    assert time.monotonic() - started >= TICKS * TICK_MILLISECONDS / 1000


def test_engines_agree_to_the_instruction() -> None:
    expected, *others = (run(engine) for engine in ENGINES)
    assert all(outcome == expected for outcome in others)
