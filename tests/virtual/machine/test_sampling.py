import pytest

from guesthouse import Machine
from guesthouse.virtual.machine.sampling import MONITOR, Samples
from guesthouse.virtual.machine.stop import Reason
from tests.every_tier.processors import SBI_END
from tests.virtual.machine.programs import POWER_OFF, assembled, elf_file

# Keeps frame pointers as compilers do: outer calls inner, which is a leaf; both save s0, inner not ra.
BUSY = f"""
_start:
    la sp, stack_end
    li s0, 0
    li s2, ROUNDS
1:  call outer
    addi s2, s2, -1
    bnez s2, 1b
    j power_off
outer:
    addi sp, sp, -16
    sd ra, 8(sp)
    sd s0, 0(sp)
    addi s0, sp, 16
    call inner
    ld ra, 8(sp)
    ld s0, 0(sp)
    addi sp, sp, 16
    ret
inner:
    addi sp, sp, -16
    sd s0, 8(sp)
    addi s0, sp, 16
    li t0, 1000
hot:
    addi t0, t0, -1
    bnez t0, hot
    ld s0, 8(sp)
    addi sp, sp, 16
    ret
{POWER_OFF}
.align 12
.zero 256
stack_end:
"""


def busy(rounds: int) -> bytes:
    return elf_file(assembled(f".equ ROUNDS, {rounds}\n{BUSY}"))


def sampled(machine: Machine, **options) -> Samples:
    sampler = machine.sampler(**options)
    assert sampler.run().reason is Reason.POWER_OFF
    return sampler.samples


def share_in(samples: Samples, first: int, end: int) -> float:
    inside = sum(weight for place, weight in samples.weights.items() if first <= place.stack[0] < end)
    return inside / sum(samples.weights.values())


@pytest.mark.parametrize("engine", ["interpreter", "stitcher", "translator", "auto"])
def test_time_finds_the_hot_loop_and_its_tier(engine: str) -> None:
    with Machine(kernel=busy(60_000), engine=engine) as machine:
        hot = machine.symbols["hot"]
        samples = sampled(machine, rate=1000.0)
        assert sum(samples.counts.values()) >= 10
        assert share_in(samples, hot, hot + 8) > 0.8
        tiers = {place.tier for place in samples.weights if place.stack[0] in (hot, hot + 4)}
        assert {"auto": "translator"}.get(engine, engine) in tiers
        assert tiers <= {MONITOR, "interpreter", *(["stitcher", "translator"] if engine == "auto" else [engine])}
        weighed = sum(samples.weights.values())
        assert 0.5 * samples.engine < weighed < 1.1 * (samples.engine + samples.answering.total())


@pytest.mark.parametrize("engine", ["reference", "interpreter"])
def test_who_called_whom(engine: str) -> None:
    with Machine(kernel=busy(20), engine=engine, clock="instructions") as machine:
        at = machine.symbols
        samples = sampled(machine, every=997)
        place, _ = samples.weights.most_common(1)[0]
        assert place.stack[0] in (at["hot"], at["hot"] + 4)
        assert at["outer"] < place.stack[1] < at["inner"]
        assert at["_start"] < place.stack[2] < at["outer"]
        assert len(place.stack) == 3
        assert (place.mode, place.space, place.tier, place.physical) == (1, 0, engine, place.stack[0])


def test_counted_samples_are_the_same_each_time_and_weigh_steps() -> None:
    found = []
    for _ in range(2):
        with Machine(kernel=busy(200), engine="interpreter", clock="instructions") as machine:
            samples = sampled(machine, every=1009)
            assert set(samples.weights.values()) <= {1009 * count for count in range(1, 400)}
            assert sum(samples.counts.values()) == machine.instructions // 1009
            found.append(samples.weights)
    assert found[0] == found[1]


def test_steps_are_sampled_with_the_hosts_clock_where_asked() -> None:
    with Machine(kernel=busy(200), engine="interpreter") as machine:
        samples = sampled(machine, every=5000)
        assert samples.counted
        assert sum(samples.counts.values()) == machine.instructions // 5000


def test_the_code_is_kept_as_it_was() -> None:
    with Machine(kernel=busy(50), engine="interpreter", clock="instructions") as machine:
        samples = sampled(machine, every=1009)
        page = machine.symbols["hot"] & -4096
        assert samples.pages[page] == machine.memory.read(page, 4096)


def test_a_sampled_machine_runs_on_as_before() -> None:
    with Machine(kernel=busy(3000), engine="interpreter") as machine:
        plain = machine.run(budget=1_000_000)
        assert plain.reason is Reason.BUDGET
        assert sampled(machine).answering
        assert machine.run().reason is Reason.POWER_OFF


WRITING = f"""
    li t0, 0x10000000
    li t1, 20000
1:  sb zero, 7(t0)
    addi t1, t1, -1
    bnez t1, 1b
{POWER_OFF}
"""


def test_time_in_devices_is_sampled_where_it_is_caused() -> None:
    with Machine(kernel=elf_file(assembled(WRITING)), engine="interpreter") as machine:
        samples = sampled(machine, rate=1000.0)
        causes = {place.cause for place in samples.weights if place.tier == MONITOR}
        assert "device_write uart" in causes
        where = {place.stack[0] for place in samples.weights if place.cause == "device_write uart"}
        assert len(where) == 1
        assert samples.answering.total() > samples.engine / 20


SLEEPING = f"""
    rdtime t0
    li t1, 1000000
    add t0, t0, t1
    csrw stimecmp, t0
    li t0, 1 << 5
    csrw sie, t0
    wfi
{POWER_OFF}
"""


def test_waiting_is_measured() -> None:
    with Machine(kernel=elf_file(assembled(SLEEPING)), engine="interpreter") as machine:
        samples = sampled(machine)
        assert 0.05e9 < samples.waiting < 5e9
        assert samples.engine < samples.waiting


SHARED = f"""
# Hart 1 computes, the third sleeps, hart 0 looks at a clock; then it powers off.
    call start_all
    rdtime s0
    li t0, 4000000
    add s0, s0, t0
first:
    rdtime t0
    bltu t0, s0, first
    j passed
other:
    li t0, 1
    beq a0, t0, second
third:
    wfi
    j third
second:
    addi t1, t1, 1
    j second
{SBI_END}
"""


@pytest.mark.parametrize("engine", ["interpreter", "auto"])
def test_all_processors_are_sampled(engine: str) -> None:
    made = assembled(".equ COUNT, 3\n" + SHARED)
    with Machine(kernel=made.data, memory="64M", cpus=3, engine=engine) as machine:
        sampler = machine.sampler(rate=500.0)
        assert sampler.run().reason is Reason.POWER_OFF
        at, whole = made.symbols, sampler.samples
        assert share_in(whole, at["first"], at["first"] + 8) > 0.1
        assert share_in(whole, at["second"], at["second"] + 8) > 0.1
        one, two, three = sampler.by_cpu
        assert share_in(one, at["first"], at["first"] + 8) > 0.9
        assert share_in(two, at["second"], at["second"] + 8) > 0.9
        assert min(one.counts.total(), two.counts.total()) >= 10
        assert three.counts.total() < 5 and three.waiting > 0.1e9 > three.engine
        assert whole.counts == one.counts + two.counts + three.counts
        assert whole.engine == one.engine + two.engine + three.engine
        weighed = two.weights.total()
        assert 0.5 * two.engine < weighed < 1.1 * (two.engine + two.answering.total())


def test_steps_of_several_processors_are_the_same_each_time() -> None:
    found = []
    for _ in range(2):
        made = assembled(".equ COUNT, 3\n" + SHARED.replace("4000000", "4000"))
        with Machine(kernel=made.data, memory="64M", cpus=3, engine="interpreter", clock="instructions") as machine:
            sampler = machine.sampler(every=1009)
            assert sampler.run().reason is Reason.POWER_OFF
            assert sampler.samples.counts.total() == machine.instructions // 1009
            found.append([part.weights for part in sampler.by_cpu])
    assert found[0] == found[1]
    assert min(part.total() for part in found[0][:2]) > 100_000
