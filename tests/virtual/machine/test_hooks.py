import threading

import pytest

from guesthouse import Access, Machine, Reason, UserError
from tests.virtual.machine.programs import KERNEL, POWER_OFF, assembled

ENGINES = ("reference", "interpreter", "stitcher", "translator")

LOOP = f"""
    li s0, 0
    la s1, data
    li s2, 0x10000000
loop:
    addi s0, s0, 1
store:
    sd s0, 8(s1)
load:
    ld s3, 16(s1)
device:
    sb s0, 7(s2)        # the UART's scratch register
    li t0, 20
    bne s0, t0, loop
    j power_off
{POWER_OFF}
    .balign 4096
data:
    .space 4096
"""


@pytest.fixture(params=ENGINES)
def machine(request: pytest.FixtureRequest):
    with Machine(kernel=assembled(LOOP).data, memory="64M", engine=request.param, clock="instructions") as machine:
        machine.names = assembled(LOOP).symbols
        yield machine


def test_breakpoint_stops_before_each_execution(machine) -> None:
    handle = machine.breakpoint(machine.names["store"])
    for count in (1, 2, 3):
        stop = machine.run(timeout=10)
        assert (stop.reason, stop.address) == (Reason.BREAKPOINT, machine.names["store"])
        assert machine.registers["pc"] == machine.names["store"]
        assert machine.registers["s0"] == count
    handle.remove()
    assert machine.run(timeout=10).reason is Reason.POWER_OFF
    assert machine.registers["s0"] == 20


def test_step_goes_over_a_breakpoint(machine) -> None:
    machine.breakpoint(machine.names["store"])
    machine.breakpoint(machine.names["load"])
    machine.run(timeout=10)
    before = machine.instructions
    assert machine.run(timeout=10).address == machine.names["load"]
    assert machine.instructions == before + 1
    assert machine.step().reason is Reason.BUDGET
    assert machine.registers["pc"] == machine.names["device"]


def test_breakpoint_before_an_instruction_that_leaves_for_a_device(machine) -> None:
    machine.breakpoint(machine.names["device"])
    seen = [machine.run(timeout=10).reason for _ in range(21)]
    assert seen == [Reason.BREAKPOINT] * 20 + [Reason.POWER_OFF]


def test_execution_hook_is_called_each_time_and_may_change_registers(machine) -> None:
    counts = []

    def jump(machine: Machine) -> None:
        counts.append(machine.registers["s0"])
        if machine.registers["s0"] == 5:
            machine.registers["s0"] = 19

    machine.on_execute(machine.names["load"], jump)
    assert machine.run(timeout=10).reason is Reason.POWER_OFF
    assert counts == [1, 2, 3, 4, 5, 20]


def test_execution_hook_may_set_the_pc(machine) -> None:
    skipped = []

    def skip(machine: Machine) -> None:
        skipped.append(machine.registers["s0"])
        machine.registers["pc"] = machine.names["load"]

    machine.on_execute(machine.names["store"], skip)
    assert machine.run(timeout=10).reason is Reason.POWER_OFF
    assert skipped == list(range(1, 21))
    assert machine.memory.read(machine.names["data"], 16) == bytes(16)


def test_hook_added_and_removed_by_a_hook_counts_from_the_next_instruction(machine) -> None:
    loads, handles = [], []

    def first(machine: Machine) -> None:
        if machine.registers["s0"] == 3:
            handles.append(machine.on_execute(machine.names["load"], second))

    def second(machine: Machine) -> None:
        loads.append(machine.registers["s0"])
        if machine.registers["s0"] == 6:
            handles[0].remove()

    machine.on_execute(machine.names["store"], first)
    assert machine.run(timeout=10).reason is Reason.POWER_OFF
    assert loads == [3, 4, 5, 6]


def test_hook_that_stops_leaves_the_instruction_undone(machine) -> None:
    machine.on_execute(machine.names["store"], lambda machine: machine.stop())
    assert machine.run(timeout=10).reason is Reason.STOPPED
    assert machine.registers["pc"] == machine.names["store"]
    assert machine.memory.read(machine.names["data"] + 8, 1) == b"\0"
    assert machine.run(timeout=10).reason is Reason.STOPPED
    assert machine.memory.read(machine.names["data"] + 8, 1) == b"\1"


def test_watch_stops_before_the_write(machine) -> None:
    place = machine.names["data"] + 8
    handle = machine.watch(place, 1)
    for count in (1, 2, 3):
        stop = machine.run(timeout=10)
        assert (stop.reason, stop.address) == (Reason.WATCH, place)
        assert machine.registers["pc"] == machine.names["store"]
        assert machine.memory.read(place, 8) == (count - 1).to_bytes(8, "little")
    handle.remove()
    assert machine.run(timeout=10).reason is Reason.POWER_OFF


def test_memory_hook_sees_reads_and_writes_apart(machine) -> None:
    reads: list[Access] = []
    writes: list[Access] = []
    data = machine.names["data"]
    machine.on_memory(data + 20, 1, lambda _, access: reads.append(access), write=False)
    machine.on_memory(data, 4096, lambda _, access: writes.append(access), read=False)
    machine.on_memory(data + 24, 1000, lambda _, access: pytest.fail("nothing is accessed there"))
    assert machine.run(timeout=10).reason is Reason.POWER_OFF
    assert len(reads) == len(writes) == 20
    assert reads[0] == Access(data + 16, 8, False, 0, machine.names["load"])
    assert writes[4] == Access(data + 8, 8, True, 5, machine.names["store"], before=4)


def test_device_hook_sees_each_access_once(machine) -> None:
    accesses: list[Access] = []
    machine.on_device(lambda _, access: accesses.append(access))
    handle = machine.on_memory(0x10000007, 1, lambda _, access: accesses.append(access), read=False)
    machine.run(budget=20)
    assert accesses[0] == accesses[1] == Access(0x10000007, 1, True, 1, machine.names["device"], "uart")
    handle.remove()
    machine.run(timeout=10)
    assert [access.value for access in accesses if access.device == "uart"][-3:] == [18, 19, 20]


def test_hooks_change_nothing_of_what_the_guest_does() -> None:
    ends = []
    for hooked in (False, True):
        for engine in ENGINES:
            with Machine(kernel=assembled(LOOP).data, memory="64M", engine=engine, clock="instructions") as machine:
                if hooked:
                    machine.on_execute(KERNEL + 4, lambda _: None)
                    machine.on_memory(machine.memory.base, 1 << 20, lambda *_: None)
                    machine.on_device(lambda *_: None)
                machine.run(timeout=10)
                ends.append((machine.instructions, machine.registers["s0"], machine.registers["time"]))
    assert len(set(ends)) == 1


def test_breakpoint_on_code_that_is_written_anew(machine) -> None:
    """The hook stays with the address, whatever instruction lies there."""
    machine.breakpoint(machine.names["load"])
    machine.run(timeout=10)
    nop = (0x13).to_bytes(4, "little")
    address = machine.names["load"]
    machine.memory.write(address, nop)
    assert "nop" in machine.disassemble()[0]
    assert machine.run(timeout=10).address == address
    assert machine.registers["s0"] == 2


def test_other_threads_may_add_hooks_while_it_runs() -> None:
    endless = assembled("li t0, 0\n1: addi t0, t0, 1\nj 1b").data
    for engine in ENGINES:
        with Machine(kernel=endless, memory="64M", engine=engine) as machine:
            timer = threading.Timer(0.2, lambda machine=machine: machine.breakpoint(KERNEL + 4))
            timer.start()
            assert machine.run(timeout=10).reason is Reason.BREAKPOINT
            timer.join()


def test_watch_of_nothing_is_refused(machine) -> None:
    with pytest.raises(UserError, match="at least one byte"):
        machine.watch(machine.memory.base, 0)
    with pytest.raises(UserError, match="one kind of access"):
        machine.watch(machine.memory.base, 4, read=False, write=False)
