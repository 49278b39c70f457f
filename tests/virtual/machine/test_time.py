"""Time of day and time that has passed, where the machine stood still."""

import time

from guesthouse import Machine, Reason
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.machine.engines import make_state
from guesthouse.virtual.machine.hart import MachineClock
from tests.virtual.machine.programs import assembled

RTC = "li t0, 0x101000\n"
NOW = "lwu t1, 0(t0)\nlwu t2, 4(t0)\nslli t2, t2, 32\nor t5, t1, t2\nrdtime t6\n"
PAUSE = 0.3


def firmware(text: str) -> bytes:
    return bytes(assembled(text).data)


def date_and_time(machine: Machine) -> tuple[float, float]:
    """Seconds since 1970 by the RTC, and by the time CSR since the start."""
    assert machine.run(budget=2000).reason is Reason.BUDGET
    return machine.registers["t5"] / 1e9, machine.registers["t6"] / 1e7


def machine(**options: object) -> Machine:
    return Machine(firmware=firmware(RTC + "1:\n" + NOW + "j 1b"), memory="64M", **options)  # type: ignore[arg-type]


def test_the_date_goes_on_where_the_machine_stood_still_and_time_does_not() -> None:
    with machine() as guest:
        before, began = date_and_time(guest)
        assert abs(before - time.time()) < 1
        answers = iter([False, False, True])

        def again() -> bool:
            time.sleep(PAUSE / 3)
            return next(answers)

        guest._core.work.hold("No room.", again)
        after, ended = date_and_time(guest)
        assert abs(after - time.time()) < 0.2 and after - before >= PAUSE
        assert ended - began < after - before - PAUSE / 3


def test_the_date_is_the_host_s_behind_a_restore_and_time_goes_on() -> None:
    with machine() as guest:
        before, began = date_and_time(guest)
        saved = guest.save()
        saved_at = guest._core.clock.now() / 1e9
    time.sleep(PAUSE)
    with Machine.load(saved) as guest:
        after, ended = date_and_time(guest)
        assert abs(after - time.time()) < 0.2 and after - before >= PAUSE
        assert began <= ended < saved_at + 0.2


def test_an_alarm_of_the_clock_rings_by_the_date() -> None:
    with machine() as guest:
        core = guest._core
        rung: list[int] = []
        core.clock.at_date(core.clock.realtime() + 100_000_000, lambda: rung.append(core.clock.realtime()))
        now = core.clock.now()
        time.sleep(0.15)
        core.clock.set(now)
        core.clock.ring()
        assert len(rung) == 1 and core.clock.now() - now < 50_000_000


def test_alarms_by_date_and_by_time_ring_in_their_turn() -> None:
    rung: list[str] = []
    clock = MachineClock(make_state(ISA), counted=True)
    clock.at(300, lambda: rung.append("third"))
    clock.at_date(clock.realtime() + 200, lambda: rung.append("second"))
    clock.at_date(clock.realtime() + 50, lambda: rung.append("never")).cancel()
    clock.at(100, lambda: rung.append("first"))
    assert clock.next_alarm() == 100
    for _ in range(4):
        clock.skip(100)
        clock.ring()
    assert rung == ["first", "second", "third"]
    clock.at_date(5, lambda: rung.append("past"))
    assert clock.next_alarm() <= clock.now()
    clock.ring()
    assert rung[-1] == "past" and clock.next_alarm() == (1 << 64) - 1
