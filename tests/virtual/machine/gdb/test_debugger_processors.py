"""A debugger at a machine with several processors: its threads."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from guesthouse import Machine
from tests.every_tier.processors import SBI_END
from tests.virtual.machine.gdb.client import RemoteClient, connected
from tests.virtual.machine.gdb.test_debugger import Running
from tests.virtual.machine.programs import KERNEL, assembled

CPUS = 4
ENGINES = ("interpreter", "auto")
PC, S0, S1, MHARTID = 32, 8, 9, 65 + 0xF14

# Each hart counts in s0 and in a word of its own at s1.
TEXT = f"""
.equ COUNT, {CPUS}
    call start_all
    li a0, 0
other:
    la s1, counters
    slli t0, a0, 6
    add s1, s1, t0
    li s0, 0
loop:
    addi s0, s0, 1
store:
    sd s0, 0(s1)
    j loop
spin:  # until some other hart has counted on
    la t1, counters
    ld t2, 64(t1)
1:  ld t3, 64(t1)
    beq t2, t3, 1b
spun:
    j loop
    .balign 4096
counters:
    .space 4096
{SBI_END}
"""
SYMBOLS = assembled(TEXT).symbols


@contextmanager
def debugged(engine: str = "auto", **options: object) -> Iterator[tuple[Machine, RemoteClient]]:
    """All harts run, then a debugger holds them."""
    kernel = assembled(TEXT).data
    with Machine(kernel=kernel, memory="64M", engine=engine, cpus=CPUS, **options) as machine:  # type: ignore[arg-type]
        run = Running(machine, wait=True)
        try:
            with connected(run.port.address) as gdb:
                gdb.no_acknowledgements()
                gdb.ask(b"qSupported:swbreak+;hwbreak+")
                gdb.send(b"c")
                time.sleep(0.5)
                gdb.interrupt()
                assert gdb.receive().startswith(b"T02thread:")
                yield machine, gdb
        finally:
            machine.stop()
            run.end()


def thread_of(reply: bytes) -> int:
    found = re.search(rb"thread:([0-9a-f]+);", reply)
    assert found and reply.startswith(b"T05"), reply
    return int(found[1], 16)


def look(gdb: RemoteClient, thread: int, *registers: int) -> list[int]:
    assert gdb.ask(b"Hg%x" % thread) == b"OK"
    return [gdb.register(number) for number in registers]


def counts(gdb: RemoteClient) -> list[int]:
    return [look(gdb, thread, S0)[0] for thread in range(1, CPUS + 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_thread_has_registers_of_its_own(engine: str) -> None:
    with debugged(engine) as (machine, gdb):
        assert gdb.ask(b"qfThreadInfo") == b"m1,2,3,4"
        for number in range(CPUS):
            name = bytes.fromhex(gdb.ask(b"qThreadExtraInfo,%x" % (number + 1)).decode())
            assert name == b"CPU %d, supervisor mode, running" % number
            hart, base = look(gdb, number + 1, MHARTID, S1)
            assert (hart, base) == (number, SYMBOLS["counters"] + 64 * number)
        gdb.ask(b"Hg3")
        assert gdb.ask(b"P8=0000000000010000") == b"OK"
        assert machine.cpu(2).registers["s0"] == 0x10000000000
        assert all(machine.cpu(n).registers["s0"] < 1 << 40 for n in (0, 1, 3))
        assert f"CPU 3, running: pc {machine.cpu(3).registers['pc']:#x}" in gdb.monitor("info")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("clock", ("host", "instructions"))
def test_a_breakpoint_stops_whoever_comes_to_it_and_all_others(engine: str, clock: str) -> None:
    with debugged(engine, clock=clock) as (_, gdb):
        assert gdb.ask(b"Z0,%x,4" % SYMBOLS["store"]) == b"OK"
        met = set()
        for _ in range(400 if clock == "host" else 4):
            thread = thread_of(gdb.ask(b"vCont;c"))
            assert look(gdb, thread, PC) == [SYMBOLS["store"]]
            met.add(thread)
            if len(met) == CPUS:
                break
        assert len(met) > 1 or clock == "instructions"
        before = counts(gdb)
        time.sleep(0.1)
        assert counts(gdb) == before


def test_no_breakpoint_is_passed_unseen_where_several_come_to_one() -> None:
    """Each hart is stopped at each round of its own loop: what it has counted is what was reported."""
    with debugged() as (_, gdb):
        for thread in range(1, CPUS + 1):
            gdb.ask(b"Hg%x" % thread)
            gdb.ask(b"P20=" + SYMBOLS["loop"].to_bytes(8, "little").hex().encode())
        before = counts(gdb)
        assert gdb.ask(b"Z1,%x,4" % SYMBOLS["store"]) == b"OK"
        reported = dict.fromkeys(range(1, CPUS + 1), 0)
        for _ in range(60):
            reported[thread_of(gdb.ask(b"vCont;c"))] += 1
        for thread, (after, first) in enumerate(zip(counts(gdb), before, strict=True), 1):
            assert after - first in (reported[thread], reported[thread] + 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_is_of_one_thread_and_the_others_move_or_not(engine: str) -> None:
    with debugged(engine) as (_, gdb):
        for thread in (3, 2):
            gdb.ask(b"Hg%x" % thread)
            gdb.ask(b"P20=" + SYMBOLS["loop"].to_bytes(8, "little").hex().encode())
            before = counts(gdb)
            assert thread_of(gdb.ask(b"vCont;s:%x" % thread)) == thread
            assert look(gdb, thread, PC) == [SYMBOLS["store"]]
            alone = [count + (number == thread) for number, count in enumerate(before, 1)]
            assert counts(gdb) == alone
            assert thread_of(gdb.ask(b"vCont;s:%x;c" % thread)) == thread
            assert look(gdb, thread, PC) == [SYMBOLS["store"] + 4]
            after = counts(gdb)
            assert all(after[other] > alone[other] for other in range(CPUS) if other != thread - 1)
            assert after[thread - 1] == alone[thread - 1]


def test_stepping_over_a_spin_ends_as_others_go_on() -> None:
    with debugged() as (_, gdb):
        gdb.ask(b"Hg1")
        gdb.ask(b"P20=" + SYMBOLS["spin"].to_bytes(8, "little").hex().encode())
        reply = gdb.ask(b"vCont;r%x,%x:1;c" % (SYMBOLS["spin"], SYMBOLS["spun"]))
        assert thread_of(reply) == 1
        assert look(gdb, 1, PC) == [SYMBOLS["spun"]]


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_named_thread_goes_on(engine: str) -> None:
    with debugged(engine) as (_, gdb):
        before = counts(gdb)
        gdb.send(b"vCont;c:2")
        time.sleep(0.3)
        gdb.interrupt()
        assert gdb.receive().startswith(b"T02")
        after = counts(gdb)
        assert after[1] > before[1]
        assert (after[0], *after[2:]) == (before[0], *before[2:])
        gdb.send(b"vCont;c")
        time.sleep(0.3)
        gdb.interrupt()
        assert gdb.receive().startswith(b"T02")
        assert all(new > old for new, old in zip(counts(gdb), after, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_watchpoint_tells_which_thread_wrote(engine: str) -> None:
    with debugged(engine) as (_, gdb):
        for thread in (4, 1):
            address = SYMBOLS["counters"] + 64 * (thread - 1)
            assert gdb.ask(b"Z2,%x,8" % address) == b"OK"
            for _ in range(3):
                reply = gdb.ask(b"vCont;c")
                assert b"watch:%x" % address in reply and thread_of(reply) == thread
                pc, count = look(gdb, thread, PC, S0)
                written = bytes.fromhex(gdb.ask(b"m%x,8" % address).decode())
                assert (pc, int.from_bytes(written, "little")) == (SYMBOLS["store"] + 4, count)
            assert gdb.ask(b"z2,%x,8" % address) == b"OK"


def test_harts_that_are_not_started_are_threads_too() -> None:
    kernel = assembled(TEXT).data
    with Machine(kernel=kernel, memory="64M", cpus=CPUS) as machine:
        run = Running(machine, wait=True)
        with connected(run.port.address) as gdb:
            gdb.no_acknowledgements()
            assert b", off" in bytes.fromhex(gdb.ask(b"qThreadExtraInfo,2").decode())
            assert thread_of(gdb.ask(b"vCont;s:2")) == 2
            assert look(gdb, 2, PC) == look(gdb, 1, PC) == [KERNEL]
            assert thread_of(gdb.ask(b"vCont;s:1")) == 1
            assert look(gdb, 1, PC) == [KERNEL + 4]
        machine.stop()
        run.end()
