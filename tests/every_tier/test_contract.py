"""The contract that every engine keeps: `run(budget)` comes back for these reasons, at these places."""

from __future__ import annotations

import pytest

from guesthouse.virtual.spec.exits import Exit

from .assembling import assemble
from .engines import ENGINES, RISCV64, Rig

BASE, SIZE = 0x8000_0000, 0x1_0000
HANDLER = BASE + 0x1000


@pytest.fixture(params=ENGINES)
def rig(request):
    made = Rig(request.param, RISCV64, BASE, SIZE)
    yield made
    made.close()


def load(rig: Rig, text: str, address: int = BASE) -> None:
    rig.memory.write(address, assemble(text, address))
    rig.state.pc = BASE
    rig.state.mtvec = HANDLER


@pytest.mark.parametrize("budget", (1, 2, 3, 7, 100, 1000, 1023, 1024, 1025, 3000))
def test_a_budget_is_spent_exactly(rig, budget):
    load(rig, "1: addi a0, a0, 1\n addi a1, a1, 1\n j 1b")
    rig.state.slice = 1 << 10
    assert rig.run(budget) == (Exit.BUDGET,)
    s = rig.state
    assert (s.instructions, s.x[10] + s.x[11]) == (budget, budget - budget // 3)
    assert s.pc == BASE + (0, 4, 8)[budget % 3] or s.pc == BASE + (0, 2, 4)[budget % 3]


def test_traps_are_steps_too(rig):
    load(rig, "1: ecall\n j 1b")
    load(rig, "csrr t0, mepc\n addi t0, t0, 4\n csrw mepc, t0\n mret", HANDLER)
    assert rig.run(600) == (Exit.BUDGET,)
    assert (rig.state.instructions, rig.state.trapped) == (600, 100)
    assert rig.state.mcause == 11


def test_a_device_is_read_and_written(rig):
    load(rig, "li t0, 0x10000000\n lh a0, 2(t0)\n sw a0, 4(t0)\n wfi")
    assert rig.run(100) == (Exit.DEVICE_READ, 0x1000_0002, 2, 0)
    before = rig.state.pc
    rig.state.exit_value, rig.state.exit_answered = 0x8001, 1
    assert rig.run(100) == (Exit.DEVICE_WRITE, 0x1000_0004, 4, 0xFFFF_8001)
    assert rig.state.x[10] == 0xFFFF_FFFF_FFFF_8001 and rig.state.pc > before
    rig.state.exit_answered = 1
    assert rig.run(100) == (Exit.WAIT,)


@pytest.mark.parametrize(("text", "cause"), (("lw a0, 0(t0)", 5), ("sw a0, 0(t0)", 7)))
def test_where_nothing_answers_the_guest_traps(rig, text, cause):
    load(rig, f"li t0, 0x10000000\n {text}")
    load(rig, "wfi", HANDLER)
    assert rig.run(100)[0] in (Exit.DEVICE_READ, Exit.DEVICE_WRITE)
    rig.state.exit_answered = 2
    assert rig.run(100) == (Exit.WAIT,)
    assert (rig.state.mcause, rig.state.mtval) == (cause, 0x1000_0000)


@pytest.mark.parametrize("text", ("amoadd.w a0, a1, (t0)", "lr.w a0, (t0)", "sc.w a0, a1, (t0)"))
def test_devices_take_no_atomics(rig, text):
    load(rig, f"li t0, 0x10000000\n {text}")
    load(rig, "wfi", HANDLER)
    found = rig.run(100)
    if found[0] == Exit.DEVICE_READ:  # of LR
        rig.state.exit_answered = 2
        found = rig.run(100)
    assert found == (Exit.WAIT,)
    assert rig.state.mcause in (5, 7)


def test_the_monitor_is_called(rig):
    load(rig, "li a7, 5\n ecall\n li a0, 3\n wfi")
    rig.state.mode, rig.state.monitor = 1, 1
    rig.state.pmpaddr[0], rig.state.pmpcfg[0] = (1 << 54) - 1, 0x1F
    assert rig.run(100) == (Exit.HYPERCALL,)
    assert rig.state.x[17] == 5 and rig.state.x[10] == 0
    assert rig.run(100) == (Exit.WAIT,)
    assert rig.state.x[10] == 3


def test_somebody_outside_asks_for_a_stop(rig):
    load(rig, "1: addi a0, a0, 1\n j 1b")
    rig.state.request = 1
    assert rig.run(1 << 40) == (Exit.ATTENTION,)
    rig.state.request = 0
    assert rig.run(10) == (Exit.BUDGET,)


def test_a_timer_interrupts_at_the_same_step(rig):
    load(rig, "1: addi a0, a0, 1\n j 1b")
    load(rig, "csrr a1, time\n csrr a2, instret\n csrw mie, zero\n wfi", HANDLER)
    rig.state.mie, rig.state.mstatus, rig.state.mtimecmp = 1 << 7, 1 << 3, 30
    rig.state.slice = 1 << 10
    assert rig.run(1 << 40) == (Exit.WAIT,)
    assert rig.state.mcause == 1 << 63 | 7
    # 30 ticks are 3000 steps; interrupts are looked at every 1024. The trap is a step that retires nothing.
    assert rig.state.x[12] == 3 * 1024 + 1 and rig.state.x[11] == (3 * 1024 + 1) // 100


def test_code_written_from_outside_runs_at_once(rig):
    load(rig, "1: addi a0, a0, 1\n j 1b")
    rig.run(2000)
    count = rig.state.x[10]
    rig.memory.write(BASE, bytes.fromhex("1305a503"))  # addi a0, a0, 58
    rig.state.pc = BASE
    rig.run(1)
    assert rig.state.x[10] == count + 58
