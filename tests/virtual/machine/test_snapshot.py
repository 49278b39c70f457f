import hashlib
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from guesthouse import Machine, Reason, UserError
from guesthouse.virtual.machine.snapshot import VERSION, non_zero_runs, sealed
from tests.virtual.machine.programs import assembled, elf_file, work
from tests.virtual.machine.test_machine import ECHO

ENGINES = ("reference", "interpreter", "stitcher", "translator")
ROUNDS = 400

CONTINUE = """
import sys
from pathlib import Path
from guesthouse import Machine
with Machine.load(Path(sys.argv[1]).read_bytes(), engine=sys.argv[2]) as machine:
    stop = machine.run(timeout=60)
    print(stop.reason.name)
    print(machine.console.output, end="")
    Path(sys.argv[1]).write_bytes(machine.save())
"""


def digest(machine: Machine) -> str:
    """All of processor, devices, time and memory."""
    saved = contents(machine.save())
    memory = hashlib.sha256()
    for first, data in non_zero_runs(machine._core.memory):
        memory.update(b"%d %d " % (first, len(data)) + data)
    saved["memory"] = memory.hexdigest()
    return hashlib.sha256(repr(sorted(saved.items())).encode()).hexdigest()


def contents(data: bytes) -> dict:
    return msgspec.msgpack.decode(data[len(sealed(b"")) :])


def worker(engine: str) -> Machine:
    return Machine(kernel=work(ROUNDS), memory="64M", engine=engine, clock="instructions", seed=5)


@pytest.fixture(scope="module")
def undisturbed() -> tuple[int, str]:
    """Steps and final state of a run in one go."""
    with worker("interpreter") as machine:
        assert machine.run(timeout=60).reason is Reason.POWER_OFF
        return machine.instructions, digest(machine)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_comes_to_the_same_state(engine: str, undisturbed: tuple[int, str]) -> None:
    with worker(engine) as machine:
        machine.run(timeout=60)
        assert (machine.instructions, digest(machine)) == undisturbed


@pytest.mark.parametrize("engine", ENGINES)
def test_saved_at_any_instruction_and_loaded_it_ends_the_same(engine: str, undisturbed: tuple[int, str]) -> None:
    dice = random.Random(engine)
    machine = worker(engine)
    steps = undisturbed[0]
    for point in sorted(dice.sample(range(1, steps), 6 if engine == "reference" else 25)):
        machine.run(budget=point - machine.instructions)
        data = machine.save()
        machine.close()
        machine = Machine.load(data, engine=engine)
        assert machine.instructions == point
        assert machine.save() == data
    machine.run(timeout=60)
    assert (machine.instructions, digest(machine)) == undisturbed
    machine.close()


def test_a_new_process_on_another_engine_goes_on(tmp_path: Path, undisturbed: tuple[int, str]) -> None:
    with worker("interpreter") as machine:
        machine.run(budget=3333)
        (tmp_path / "saved").write_bytes(machine.save())
    command = [sys.executable, "-c", CONTINUE, str(tmp_path / "saved"), "reference"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == "POWER_OFF\ndone\n"
    with Machine.load((tmp_path / "saved").read_bytes(), engine="interpreter") as machine:
        assert machine.ended and machine.ended.reason is Reason.POWER_OFF
        assert (machine.instructions, digest(machine)) == undisturbed


def test_saved_between_a_device_access_and_its_instruction() -> None:
    """A call posted by a device hook runs only once the access has come to its end."""
    with Machine(kernel=assembled(ECHO).data, memory="64M", engine="interpreter", clock="instructions") as machine:
        saves: list[bytes] = []
        machine.on_device(lambda machine, access: machine.post(lambda: saves.append(machine.save())))
        machine.console.expect("? ")
        machine.console.write("ab.")
        assert machine.run(timeout=10).reason is Reason.POWER_OFF
        whole = machine.instructions
    assert len(saves) > 10
    for data in saves[:: len(saves) // 5]:
        with Machine.load(data, engine="interpreter") as machine:
            before = machine.instructions
            machine.run(timeout=0.5)
            assert before < machine.instructions <= whole


def test_waiting_input_and_open_ends_are_kept() -> None:
    with Machine(kernel=assembled(ECHO).data, memory="64M", engine="interpreter") as machine:
        machine.console.expect("? ")
        machine.console.write("x" * 9000 + ".")
        data = machine.save()
    with Machine.load(data, engine="interpreter") as machine:
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        assert machine.console.output == "x" * 9000 + "."


def test_a_loaded_machine_can_be_reset() -> None:
    with worker("interpreter") as machine:
        machine.run(budget=1000)
        data = machine.save()
    with Machine.load(data, engine="interpreter") as machine:
        machine.reset()
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        assert machine.console.output == "done\n"


def test_memory_never_touched_is_neither_saved_nor_touched() -> None:
    with Machine(kernel=work(1), memory="4G", engine="interpreter") as machine:
        machine.run(timeout=10)
        before = resident()
        data = machine.save()
        assert len(data) < 1 << 20
        assert resident() - before < 64 << 20
    with Machine.load(data, engine="interpreter") as machine:
        assert machine.memory.size == 4 << 30


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_disks_and_ports_are_opened_again(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))

    class Port:
        def write(self, data: bytes) -> None: ...
        def opened(self, is_open: bool) -> None: ...

    options = {"disks": [str(tmp_path / "disk")], "ports": {"data": Port()}}
    with Machine(kernel=work(1), memory="64M", engine="reference", **options) as machine:
        data = machine.save()
        assert list(machine.ports) == ["data"]
    with Machine.load(data, engine="reference", ports={"data": Port()}) as machine:
        assert list(machine.ports) == ["data"]
        assert "virtio0" in machine.devices.by_name
    with pytest.raises(UserError, match="no port 'other'; it has data"):
        Machine.load(data, engine="reference", ports={"other": Port()})
    (tmp_path / "disk").unlink()
    with pytest.raises(UserError, match="disk"):
        Machine.load(data, engine="reference")


def test_damaged_or_foreign_states_are_refused() -> None:
    with Machine(kernel=work(1), memory="64M", engine="reference") as machine:
        data = machine.save()
    with pytest.raises(UserError, match="can't be read"):
        Machine.load(data[: len(data) // 2])
    with pytest.raises(UserError, match="no saved machine"):
        Machine.load(b"")
    saved = contents(data)
    for change in (
        {"version": VERSION + 1},
        {"processors": [{"nonsense": 1}]},
        {"processors": []},
        {"memory": [(0, b"no frame")]},
        {"memory": [(1 << 40, saved["memory"][0][1])]},
        {"devices": {}},
        {"ended": ("NEVER", 0, "")},
        {"definition": saved["definition"] | {"memory": 1}},
    ):
        with pytest.raises(UserError) as failure:
            Machine.load(sealed(msgspec.msgpack.encode(saved | change)), engine="reference")
        assert "\n" not in str(failure.value)


def test_random_damage_never_raises_anything_else() -> None:
    with Machine(kernel=work(1), memory="64M", engine="reference") as machine:
        data = machine.save()
    dice = random.Random(1)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 5)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        damaged = bytearray(sealed(bytes(damaged[len(sealed(b"")) :])))
        try:
            Machine.load(bytes(damaged), engine="reference").close()
        except UserError as error:
            assert str(error)


def test_symbols_of_a_program_are_kept() -> None:
    program = assembled("start: j start\n.balign 64\ntohost: .dword 0", 0x8000_0000)
    with Machine(firmware=elf_file(program), memory="64M", engine="reference") as machine:
        data = machine.save()
    with Machine.load(data, engine="reference") as machine:
        assert machine.symbols["tohost"] == program.symbols["tohost"]
        machine.memory.write(program.symbols["tohost"], (7).to_bytes(8, "little"))
        assert machine.run(timeout=10).status == 3
