from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.machine.engines import make_state
from guesthouse.virtual.machine.hart import HartWires, InterruptWire, MachineClock


def test_wires_hold_their_bits() -> None:
    state = make_state(ISA)
    low, high = InterruptWire(state, 9), InterruptWire(state, 11)
    low.set(True)
    high.set(True)
    low.set(False)
    assert state.external == 1 << 11 and state.attention == 1


def test_counted_clock_counts_steps_and_skips() -> None:
    state = make_state(ISA)
    clock = MachineClock(state, counted=True)
    assert clock.now() == 0
    state.instructions = 500
    assert clock.now() == 500
    clock.skip(1000)
    assert clock.now() == 1500 and clock.realtime() == 1_700_000_000_000_001_500
    clock.set(77)
    assert clock.now() == 77
    assert HartWires(state, clock, 10).time() == 7


def test_alarms_ring_once_in_order_and_can_be_cancelled() -> None:
    state = make_state(ISA)
    clock, rung = MachineClock(state, counted=True), []
    clock.at(300, lambda: rung.append("late"))
    clock.at(100, lambda: rung.append("soon"))
    cancelled = clock.at(50, lambda: rung.append("never"))
    cancelled.cancel()
    assert clock.next_alarm() == 100
    clock.ring()
    assert not rung
    clock.skip(200)
    clock.ring()
    clock.ring()
    assert rung == ["soon"] and clock.next_alarm() == 300
    clock.skip(100)
    clock.ring()
    assert rung == ["soon", "late"] and clock.next_alarm() == (1 << 64) - 1


def test_host_clock_goes_on_from_where_it_is_set() -> None:
    clock = MachineClock(make_state(ISA), counted=False)
    before = clock.now()
    assert 0 <= before < 10**9 and clock.now() >= before
    clock.set(10**15)
    assert 0 <= clock.now() - 10**15 < 10**9
