"""Several processors in threads of their own, as the public machine shows them."""

import threading
import time

import pytest

from guesthouse import Machine, Reason, UserError
from tests.every_tier.processors import SBI_END
from tests.virtual.machine.programs import assembled

ENGINES = ("interpreter", "auto")
ALL = ("reference", *ENGINES)

COUNTING = """
# Each hart counts in a word of its own, and hart 0 powers off when the others have come far enough.
    call start_all
    la s1, counters
    li s2, COUNT - 1
2:  addi s1, s1, 64
1:  ld t0, 0(s1)
    li t1, 100000
    pause
    blt t0, t1, 1b
    addi s2, s2, -1
    bnez s2, 2b
    j passed
other:
    mv s2, a0
    mv s3, a1
    la s1, counters
    slli t0, a0, 6
    add s1, s1, t0
here:
    ld t0, 0(s1)
    addi t0, t0, 1
    sd t0, 0(s1)
    j here
    .balign 4096
counters:
    .space 4096
"""

ASLEEP = """
    call start_all
1:  wfi
    j 1b
other:
    wfi
    j other
"""

AGAIN = """
# Hart 1 prints a letter and stops; hart 0 starts it again and again, and looks at its state.
    li s2, 'a'
1:  li a7, 0x48534d
    li a6, 0
    li a0, 1
    la a1, other
    mv a2, s2
    ecall
    mv s0, a0
    beqz a0, 9f
    j failed
9:
2:  pause
    li a6, 2
    li a0, 1
    ecall
    beqz a0, 9f
    j failed
9:  li t0, 1
    bne a1, t0, 2b
    addi s2, s2, 1
    li t0, 'f'
    bne s2, t0, 1b
    li a6, 0
    li a0, COUNT
    ecall
    li t0, -3
    beq a0, t0, 9f
    j failed
9:  li a0, 0
    ecall
    li t0, -6
    beq a0, t0, 9f
    j failed
9:  li a6, 1  # the last one can't stop
    ecall
    bnez a0, 9f
    j failed
9:  j passed
other:
    mv s0, a0
    mv a0, a1
    li a7, 1
    ecall
    li a7, 0x48534d
    li a6, 1
    ecall
    j failed
"""


def machine(text: str, cpus: int = 2, engine: str = "interpreter", **options) -> tuple[Machine, dict[str, int]]:
    made = assembled(f".equ COUNT, {cpus}\n{text}{SBI_END}")
    return Machine(kernel=made.data, memory="64M", cpus=cpus, engine=engine, **options), made.symbols


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("clock", ("host", "instructions"))
def test_harts_start_stop_and_start_again(engine: str, clock: str) -> None:
    tested, symbols = machine(AGAIN, engine=engine, clock=clock)
    with tested:
        assert tested.run(timeout=30).reason is Reason.POWER_OFF
        assert tested.console.output == "abcde"
        assert tested.memory.read(symbols["verdict"], 8) == (1).to_bytes(8, "little")
        assert not tested.cpu(1).started


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cpus", (2, 5, 32))
def test_every_processor_runs(engine: str, cpus: int) -> None:
    tested, symbols = machine(COUNTING, cpus, engine)
    with tested:
        assert tested.run(timeout=50).reason is Reason.POWER_OFF
        data = tested.memory.read(symbols["counters"], 64 * cpus)
        counts = [int.from_bytes(data[64 * n : 64 * n + 8], "little") for n in range(1, cpus)]
        assert all(counts), counts
        assert [tested.cpu(n).registers["s2"] for n in range(1, cpus)] == list(range(1, cpus))
        found = tested.statistics()
        assert found["steps"] == sum(tested.cpu(n).instructions for n in range(cpus))
        own = list(found["cpus"].values())
        for name in ("steps", "traps", "misses"):
            assert found[name] == sum(one[name] for one in own)
        assert all(one["steps"] and one["seconds"] >= 0 for one in own)
        assert found["exits"]["HYPERCALL"] == own[0]["exits"]["HYPERCALL"]


SPINNING = """
# When all others spin, hart 0 waits TICKS of time and tells them; it then spins until they have seen it.
    call start_all
    la s1, flag
    li s2, COUNT - 1
1:  ld t0, 8(s1)
    pause
    bne t0, s2, 1b
    rdtime s0
    li t1, TICKS
    add s0, s0, t1
1:  rdtime t0
    bltu t0, s0, 1b
    li t0, 1
    sd t0, 0(s1)
1:  ld t0, 16(s1)
    pause
    bne t0, s2, 1b
    j passed
other:
    la s1, flag
    addi s2, s1, 8
    addi s3, s1, 16
    li s4, 1
    amoadd.d zero, s4, (s2)
1:  pause
    ld t0, 0(s1)
    beqz t0, 1b
    amoadd.d zero, s4, (s3)
2:  wfi
    j 2b
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_who_spins_for_long_sleeps(engine: str) -> None:
    tested, symbols = machine(SPINNING.replace("TICKS", "1000000"), 4, engine)
    with tested:
        assert tested.run(timeout=50).reason is Reason.POWER_OFF
        assert tested.memory.read(symbols["verdict"], 8) == (1).to_bytes(8, "little")
        assert all(tested.statistics()["cpus"][number]["naps"] for number in "123")


def test_who_spins_for_a_moment_does_not_sleep() -> None:
    tested, _ = machine("    li s0, 100\n1:  pause\n    addi s0, s0, -1\n    bnez s0, 1b\n    j passed\nother:\n", 2)
    with tested:
        assert tested.run(timeout=20).reason is Reason.POWER_OFF
        assert not tested.statistics()["naps"]


@pytest.mark.parametrize("clock", ("host", "instructions"))
def test_nobody_sleeps_where_processors_take_turns(clock: str) -> None:
    tested, _ = machine(SPINNING.replace("TICKS", "10000"), 4, clock=clock)
    with tested:
        assert tested.run(budget=50_000_000).reason is Reason.POWER_OFF
        assert not tested.statistics()["naps"]


def test_a_run_ends_at_its_time_and_goes_on() -> None:
    tested, symbols = machine(COUNTING.replace("100000", "1 << 60"))
    with tested:
        before = 0
        for _ in range(3):
            began = time.monotonic()
            assert tested.run(timeout=0.2).reason is Reason.TIMEOUT
            assert time.monotonic() - began < 5
            count = int.from_bytes(tested.memory.read(symbols["counters"] + 64, 8), "little")
            assert count > before
            before = count


def test_stop_comes_from_another_thread() -> None:
    tested, _ = machine(COUNTING.replace("100000", "1 << 60"))
    with tested:
        timer = threading.Timer(0.2, tested.stop)
        timer.start()
        assert tested.run(timeout=30).reason is Reason.STOPPED
        timer.join()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_budget_is_kept_to_the_step(engine: str) -> None:
    tested, _ = machine(COUNTING.replace("100000", "1 << 60"), engine=engine)
    with tested:
        tested.run(timeout=0.1)
        for budget in (1, 7, 100_000):
            before = tested.instructions
            assert tested.run(budget=budget).reason is Reason.BUDGET
            assert tested.instructions == before + budget


@pytest.mark.parametrize("engine", ENGINES)
def test_breakpoints_tell_which_processor_came_to_them(engine: str) -> None:
    tested, symbols = machine(COUNTING.replace("100000", "1 << 60"), engine=engine)
    with tested:
        tested.run(timeout=0.1)
        handle = tested.breakpoint(symbols["here"])
        for _ in range(3):
            stop = tested.run(timeout=20)
            assert (stop.reason, stop.cpu, stop.address) == (Reason.BREAKPOINT, 1, symbols["here"])
            assert tested.registers["pc"] == symbols["here"] != tested.cpu(0).registers["pc"]
        handle.remove()
        assert tested.run(timeout=0.1).reason is Reason.TIMEOUT


def test_callbacks_see_the_processor_that_came_to_them() -> None:
    tested, symbols = machine(COUNTING, 3)
    with tested:
        seen = []
        tested.on_execute(symbols["other"], lambda m: seen.append(m.registers["a0"]))
        assert tested.run(timeout=30).reason is Reason.POWER_OFF
        assert sorted(seen) == [1, 2]


def test_a_callback_that_fails_ends_the_run() -> None:
    tested, symbols = machine(COUNTING.replace("100000", "1 << 60"))
    with tested:
        tested.on_execute(symbols["other"], lambda m: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            tested.run(timeout=30)
        assert threading.active_count() < 10


def test_sleeping_processors_are_told() -> None:
    tested, _ = machine(ASLEEP, 4)
    with tested:
        assert tested.run(timeout=20).reason is Reason.WAITING
        began = time.process_time()
        tested._runner.interactive = True
        assert tested.run(timeout=1).reason is Reason.TIMEOUT
        assert time.process_time() - began < 0.2
        assert all(tested.cpu(n).waiting for n in range(4))


@pytest.mark.parametrize("clock", ("host", "instructions"))
def test_saved_machines_go_on_with_all_processors(clock: str) -> None:
    tested, symbols = machine(COUNTING, 3, clock=clock)
    with tested:
        tested.run(budget=20_000)
        data = tested.save()
        before = [tested.cpu(n).registers["pc"] for n in range(3)]
    for engine in ENGINES:
        with Machine.load(data, engine=engine) as loaded:
            assert loaded.cpus == 3
            assert [loaded.cpu(n).registers["pc"] for n in range(3)] == before
            assert loaded.run(timeout=30).reason is Reason.POWER_OFF
            assert loaded.memory.read(symbols["verdict"], 8) == (1).to_bytes(8, "little")


def test_saved_while_running_in_threads() -> None:
    tested, _ = machine(COUNTING.replace("100000", "3000000"), 3)
    with tested:
        tested.run(timeout=0.05)
        data = tested.save()
    with Machine.load(data) as loaded:
        assert loaded.run(timeout=50).reason is Reason.POWER_OFF


def test_reset_starts_with_one_processor() -> None:
    tested, _ = machine(COUNTING)
    with tested:
        for _ in range(2):
            assert tested.run(timeout=30).reason is Reason.POWER_OFF
            tested.reset()
            assert tested.cpu(0).started and not tested.cpu(1).started
            assert tested.cpu(1).registers["mhartid"] == 1


@pytest.mark.parametrize("cpus", (0, 33, -1))
def test_too_many_or_few_are_refused(cpus: int) -> None:
    with pytest.raises(UserError, match="1 to 32 CPUs"):
        machine(COUNTING, cpus)


LOOPING = """
# Every hart counts its rounds in s0.
    call start_all
other:
    addi s0, s0, 1
here:
    j other
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_breakpoint_is_passed_unreported_where_several_come_to_it(engine: str) -> None:
    tested, symbols = machine(LOOPING, 3, engine)
    with tested:
        tested.breakpoint(symbols["here"])
        met = [0, 0, 0]
        for _ in range(60):
            stop = tested.run(timeout=20)
            assert (stop.reason, stop.address) == (Reason.BREAKPOINT, symbols["here"])
            assert tested.registers["mhartid"] == stop.cpu and tested.registers["pc"] == symbols["here"]
            met[stop.cpu] += 1
        assert sum(count > 0 for count in met) > 1
        for number, count in enumerate(met):
            assert tested.cpu(number).registers["s0"] in (count, count + 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_hooks_see_every_processor_and_stop_it_where_it_is(engine: str) -> None:
    tested, symbols = machine(LOOPING, 3, engine)
    seen = [0, 0, 0]

    def met(machine: Machine) -> None:
        number = machine.registers["mhartid"]
        seen[number] += 1
        assert machine.registers["s0"] == seen[number]
        if sum(seen) % 50 == 0:
            machine.stop()

    with tested:
        hook = tested.on_execute(symbols["here"], met)
        for _ in range(4):
            stop = tested.run(timeout=20)
            assert stop.reason is Reason.STOPPED
            assert tested.registers["pc"] == symbols["here"]
            assert tested.cpu(stop.cpu).registers["s0"] == seen[stop.cpu]
        assert sum(seen) >= 200
        hook.remove()


@pytest.mark.parametrize("engine", ENGINES)
def test_saved_at_a_breakpoint_and_loaded_all_go_on(engine: str) -> None:
    tested, symbols = machine(LOOPING, 3, engine)
    with tested:
        point = tested.breakpoint(symbols["here"])
        assert tested.run(timeout=20).reason is Reason.BREAKPOINT
        point.remove()
        tested.run(timeout=0.1)
        data = tested.save()
        before = [tested.cpu(number).registers["s0"] for number in range(3)]
    with Machine.load(data, engine=engine) as loaded:
        assert [loaded.cpu(number).registers["s0"] for number in range(3)] == before
        loaded.run(timeout=0.2)
        assert all(loaded.cpu(number).registers["s0"] > count for number, count in enumerate(before))
