"""What is printed by the shortcut is what is printed without it."""

from collections.abc import Callable

import pytest

from guesthouse import Machine, Reason
from guesthouse.virtual.spec.exits import Exit
from tests.virtual.machine.programs import POWER_OFF, assembled

ROUNDS = 10000
FEW = 100
POLLED = f"""
    li s0, 0x10000000
    li s1, {ROUNDS}
loop:
    lbu t0, 5(s0)       # LSR
    andi t0, t0, 0x20
    beqz t0, loop
    andi t1, s1, 7
    addi t1, t1, '0'
    sb t1, 0(s0)
    addi s1, s1, -1
    bnez s1, loop
    li t2, 2            # IER: the transmitter's interrupt
    sb t2, 1(s0)
    lbu s3, 2(s0)       # IIR
    li t1, '!'
    sb t1, 0(s0)
    lbu s4, 2(s0)
    j power_off
{POWER_OFF}
"""
EXPECTED = "".join(str(n & 7) for n in range(ROUNDS, 0, -1)) + "!"
TRANSMIT = 2


def ran(engine: str, prepare: Callable[[Machine], object] = lambda machine: None, **more: object) -> Machine:
    machine = Machine(kernel=assembled(POLLED.replace("'0'", "48").replace("'!'", "33")).data, engine=engine, **more)
    prepare(machine)
    assert machine.run(timeout=30).reason is Reason.POWER_OFF
    return machine


@pytest.mark.parametrize("engine", ["interpreter", "stitcher", "auto"])
def test_polled_output_does_not_leave_native_code(engine: str) -> None:
    with ran(engine) as machine:
        assert machine.console.output.endswith(EXPECTED)
        assert machine.statistics()["exits"].get(Exit.DEVICE_WRITE.name, 0) < FEW
        assert machine.statistics()["exits"].get(Exit.DEVICE_READ.name, 0) < FEW


def test_the_transmitters_interrupt_is_as_it_was() -> None:
    with ran("interpreter") as machine:
        assert machine.registers["s3"] & 0xF == TRANSMIT
        assert machine.registers["s4"] & 0xF == TRANSMIT


@pytest.mark.parametrize("more", [{"clock": "instructions"}, {"cpus": 2}])
def test_where_the_order_shows_each_access_leaves(more: dict[str, object]) -> None:
    with ran("interpreter", **more) as machine:
        assert machine.console.output.endswith(EXPECTED)
        assert machine.statistics()["exits"][Exit.DEVICE_WRITE.name] > ROUNDS


def test_a_hook_on_devices_sees_each_access() -> None:
    seen = []
    with ran("interpreter", lambda machine: machine.on_device(lambda _, access: seen.append(access.write))):
        assert seen.count(True) > ROUNDS
        assert seen.count(False) > ROUNDS


def test_a_run_until_text_stops_behind_it() -> None:
    source = POLLED.replace("'0'", "48").replace("'!'", "33")
    with Machine(kernel=assembled(source).data, engine="interpreter") as machine:
        machine.console.expect("0765432107")
        left = machine.registers["s1"]
        assert ROUNDS - left <= len("0765432107")
        assert machine.run(timeout=30).reason is Reason.POWER_OFF
        assert machine.console.output.endswith(EXPECTED)
