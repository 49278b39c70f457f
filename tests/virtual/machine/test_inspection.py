import pytest

from guesthouse import Machine, Reason, UserError
from guesthouse.manager.hello import hello_kernel
from tests.virtual.machine.programs import KERNEL, assembled

ENGINES = ("reference", "interpreter")


@pytest.fixture(params=ENGINES)
def machine(request: pytest.FixtureRequest):
    program = assembled("li a0, 5\nadd a1, a0, a0\nc.nop\ncsrr a2, sstatus\n1: j 1b").data
    with Machine(kernel=program, memory="64M", engine=request.param, clock="instructions") as machine:
        yield machine


def test_registers_by_their_names(machine) -> None:
    registers = machine.registers
    assert registers["pc"] == KERNEL and registers["mode"] == 1 and registers["zero"] == 0
    machine.step(2)
    assert registers["a0"] == registers["x10"] == 5
    assert registers["a1"] == 10
    registers["fp"] = -1
    assert registers["s0"] == registers["x8"] == (1 << 64) - 1
    registers["fa0"] = 0x3FF0000000000000
    assert registers["f10"] == 0x3FF0000000000000
    registers["x0"] = 7
    assert registers["zero"] == 0
    registers["pc"] = KERNEL
    registers["a0"] = 100
    machine.step(1)
    assert (registers["a0"], registers["pc"]) == (5, KERNEL + 4)


def test_csrs_read_and_keep_what_they_can_hold(machine) -> None:
    registers = machine.registers
    registers["stvec"] = 0x80200003
    assert registers["stvec"] & 3 in (0, 1)
    registers["mstatus"] = 1 << 13
    assert registers["sstatus"] & 3 << 13 == 1 << 13
    assert registers["satp"] == 0
    registers["fcsr"] = 0xFF
    assert (registers["frm"], registers["fflags"]) == (7, 31)
    assert registers["misa"] >> 62 == 2
    machine.step(3)
    assert registers["instret"] == 3 == registers["instructions"]


def test_unknown_registers_are_named(machine) -> None:
    with pytest.raises(UserError, match="no register 'a9'"):
        machine.registers["a9"]
    with pytest.raises(UserError, match="no register 'b'"):
        machine.registers["b"] = 1
    with pytest.raises(UserError, match="can't be set"):
        machine.registers["mode"] = 2
    assert {"pc", "a0", "ft0", "mstatus", "pmpaddr0"} <= set(machine.registers)


def test_every_listed_register_can_be_read(machine) -> None:
    values = {name: machine.registers[name] for name in machine.registers}
    assert all(0 <= value < 1 << 64 for value in values.values())
    assert machine.instructions == 0


def test_physical_memory(machine) -> None:
    memory = machine.memory
    assert (memory.base, memory.size) == (0x8000_0000, 64 << 20)
    memory.write(memory.base + 4094, b"abcd")
    assert memory.read(memory.base + 4092, 8) == b"\0\0abcd\0\0"
    for address, length in ((memory.base - 1, 2), (memory.base + memory.size - 1, 2), (0, 1), (memory.base, -1)):
        with pytest.raises(UserError, match="not all in the machine's memory"):
            memory.read(address, length)
    with pytest.raises(UserError):
        memory.write(memory.base + memory.size - 1, b"ab")


def test_code_written_from_outside_runs(machine) -> None:
    machine.step(4)
    address = machine.registers["pc"]
    assert machine.step(3).reason is Reason.BUDGET
    machine.memory.write(address, assembled("li a5, 77\n1: j 1b").data)
    machine.registers["pc"] = address
    machine.step(2)
    assert machine.registers["a5"] == 77


def test_disassembly(machine) -> None:
    lines = machine.disassemble(count=3)
    assert lines[0].startswith(f"{KERNEL:x}: ")
    assert "li\ta0,5" in lines[0] and "add\ta1,a0,a0" in lines[1]
    end = machine.memory.base + machine.memory.size
    assert len(machine.disassemble(end - 2, 5)) == 1
    assert machine.disassemble(0, 5) == []


def test_virtual_memory_follows_the_page_tables() -> None:
    for engine in ENGINES:
        with Machine(kernel=hello_kernel(), memory="64M", engine=engine, clock="instructions") as machine:
            assert machine.virtual.translate(KERNEL) == KERNEL
            machine.console.expect("Paging is on")
            pc = machine.registers["pc"]
            assert pc > 1 << 63
            physical = machine.virtual.translate(pc)
            assert physical is not None and machine.memory.base <= physical < machine.memory.base + machine.memory.size
            assert machine.virtual.read(pc, 8) == machine.memory.read(physical, 8)
            assert machine.virtual.translate(0x1234) is not None  # devices stay mapped
            assert machine.virtual.translate(1 << 45) is None
            with pytest.raises(UserError, match="0xffffffffc0000000"):
                machine.virtual.read(0xFFFFFFFF_C0000000, 4)
            found = machine.virtual.read(pc & ~0xFFF, 4096)
            machine.virtual.write(pc & ~0xFFF, found)
            assert machine.run(timeout=20).reason is Reason.POWER_OFF


def test_looking_changes_nothing() -> None:
    ends = []
    for looks in (False, True):
        with Machine(kernel=hello_kernel(), memory="64M", engine="interpreter", clock="instructions") as machine:
            while machine.run(budget=100).reason is Reason.BUDGET:
                if looks:
                    machine.virtual.translate(machine.registers["sp"])
                    machine.disassemble(count=4)
                    for name in machine.registers:
                        machine.registers[name]
            ends.append(machine.save())
    assert ends[0] == ends[1]
