"""The built-in guest, assembled and run to its power-off."""

import re
import time

import pytest

from guesthouse.guest.hello import FOUND, TICKS
from guesthouse.guest.kernel import Form, load_kernel
from guesthouse.host.user_folders import cache_folder
from guesthouse.manager.hello import hello_kernel
from guesthouse.virtual.engine.interpreter import engine_layout
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.reference import Environment, ReferenceEngine
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.interrupts import next_timer
from guesthouse.virtual.isa.riscv64.trap import start_monitored
from guesthouse.virtual.machine import board as boards
from guesthouse.virtual.machine.bus import AccessFault
from guesthouse.virtual.machine.hart import HartWires, InterruptWire, MachineClock
from guesthouse.virtual.machine.sbi import Sbi
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.state import ProcessorState

BASE, SIZE = 0x8000_0000, 16 << 20
MOST_EXITS = 10_000


class Power:
    """The machine's switch and console."""

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        self.output = b""
        self.codes: list[int | str] = []

    def write(self, data: bytes) -> None:
        self.output += data

    def off(self, code: int) -> None:
        self.codes.append(code)

    def reset(self) -> None:
        self.codes.append("reset")

    def console_read(self, limit: int) -> bytes:
        return b""

    console_write, power_off, restart = write, off, reset


def run(kind: str, at: int = BASE) -> tuple[str, list[int | str], ProcessorState]:
    """Run the guest at an address with a counted clock: its output, how it was switched off, and the state."""
    memory = GuestMemory(BASE, SIZE)
    s = ProcessorState(engine_layout(ISA))
    s.reset()
    engine: ReferenceEngine | NativeEngine
    if kind == "reference":
        s.slice = 1 << 14
        engine = ReferenceEngine(ISA, memory, s)
    else:
        code = NativeCode("guesthouse.virtual.isa.riscv64", cache_folder())
        engine = NativeEngine(ISA, memory, s, code.runtime())
        code.close()
        s.environment = Environment(ISA, memory, s)
    clock, power = MachineClock(s, counted=True), Power(memory)
    devices = boards.build(
        boards.virt(), memory=memory, clock=clock, power=power, harts=[HartWires(s, clock, 100)],
        contexts=[InterruptWire(s, 11), InterruptWire(s, 9)], backends={"console": power},
    )  # fmt: skip
    start_monitored(s)
    sbi = Sbi(s, power)
    image = load_kernel(hello_kernel())
    memory.write(at + image.segments[0].address, image.segments[0].data)
    s.pc = at + image.entry
    for _ in range(MOST_EXITS):
        reason = engine.run(1 << 24)
        try:
            if reason == Exit.DEVICE_READ:
                s.exit_value = devices.bus.read(s.exit_address, s.exit_size)
                s.exit_answered = 1
            elif reason == Exit.DEVICE_WRITE:
                devices.bus.write(s.exit_address, s.exit_size, s.exit_value)
                s.exit_answered = 1
            elif reason == Exit.HYPERCALL:
                sbi.call()
            elif reason == Exit.WAIT:
                clock.skip(max(next_timer(s) - clock.now(), 0))
                s.attention = 1
            else:
                raise AssertionError(f"left for {reason.name} at {s.pc:#x}")
        except AccessFault:
            s.exit_answered = 2
        if power.codes:
            return power.output.decode(), power.codes, s
    raise AssertionError(f"no power-off; so far it printed {power.output!r}")


def expected(at: int) -> str:
    """The whole output as a regular expression."""
    ticks = "".join(rf"Timer interrupt {n}\n" for n in range(1, TICKS + 1))
    return (
        r"Hello! This is a guest, in supervisor mode; the firmware prints this line\.\n"
        r"And this one went through the UART\.\n" + ticks +
        rf"Paging is on \(Sv39\), and I run at 0xffffffc0{at >> 16:x}([0-9a-f]{{4}}), "
        rf"which is physically 0x{at >> 16:x}\1\n"
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


@pytest.mark.parametrize("kind", ["reference", "interpreter"])
def test_it_tells_its_story_and_powers_off(kind: str) -> None:
    output, codes, s = run(kind)
    assert re.fullmatch(expected(BASE), output), output
    assert codes == [0]
    assert s.satp >> 60 == 8 and s.pc >> 38 == (1 << 26) - 1, "it ends under Sv39, in the upper half"
    assert s.trapped == TICKS + 1


def test_it_runs_elsewhere_in_memory_too() -> None:
    output, codes, _ = run("reference", BASE + 0x20_0000)
    assert re.fullmatch(expected(BASE + 0x20_0000), output), output
    assert codes == [0]


def test_engines_agree_to_the_instruction() -> None:
    states = [run(kind)[2].save() for kind in ("reference", "interpreter")]
    assert states[0] == states[1]
