"""A debugger at a real machine, through a real port."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from guesthouse import Machine, Reason, Stop, UserError
from guesthouse.guest.hello import SOURCE
from guesthouse.manager.hello import hello_kernel
from tests.virtual.machine.gdb.client import RemoteClient, connected, packed
from tests.virtual.machine.programs import KERNEL, POWER_OFF, assembled

ENGINES = ("reference", "interpreter", "translator")
STOPPED_BY_STEP, STOPPED_BY_INTERRUPT = b"T05thread:1;", b"T02thread:1;"
PC, S0, A0, MSTATUS, MHARTID, PRIVILEGE = 32, 8, 10, 65 + 0x300, 65 + 0xF14, 65 + 4096

LOOP = """
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
    sb s0, 7(s2)
    j loop
    .balign 4096
data:
    .space 4096
"""


class Running:
    """A machine that runs in a thread of its own, with a port."""

    def __init__(self, machine: Machine, wait: bool, **options: object) -> None:
        self.machine = machine
        self.port = machine.gdb(wait=wait)
        self.stop: Stop | None = None
        self._options = options
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.stop = self.machine.run(**{"timeout": 60, **self._options})  # type: ignore[arg-type]

    def end(self) -> Stop:
        """How the run came back."""
        self._thread.join(20)
        assert self.stop is not None
        return self.stop


@contextmanager
def running(
    text: str | bytes, *, engine: str = "interpreter", wait: bool = True, **options: object
) -> Iterator[Running]:
    kernel = text if isinstance(text, bytes) else assembled(text).data
    with Machine(kernel=kernel, memory="64M", engine=engine) as machine:
        run = Running(machine, wait, **options)
        try:
            yield run
        finally:
            machine.stop()
            run.end()


def symbol(name: str) -> int:
    return assembled(LOOP).symbols[name]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_from_start_to_detach(engine: str) -> None:
    with running(LOOP, engine=engine) as run, connected(run.port.address) as gdb:
        gdb.no_acknowledgements()
        gdb.ask(b"qSupported:swbreak+;hwbreak+")
        assert gdb.ask(b"?").startswith(b"T05thread:1;")
        assert (gdb.register(PC), gdb.register(PRIVILEGE), run.machine.instructions) == (KERNEL, 1, 0)
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert (gdb.register(PC), run.machine.instructions) == (KERNEL + 4, 1)
        for kind, reason in ((b"0", b"swbreak"), (b"1", b"hwbreak")):
            assert gdb.ask(b"Z%s,%x,4" % (kind, symbol("store"))) == b"OK"
            for _ in range(2):
                before = gdb.register(S0)
                assert gdb.ask(b"vCont;c").startswith(b"T05" + reason)
                assert (gdb.register(PC), gdb.register(S0)) == (symbol("store"), before + 1)
            assert gdb.ask(b"z%s,%x,4" % (kind, symbol("store"))) == b"OK"
        gdb.send(b"c")
        time.sleep(0.2)
        gdb.interrupt()
        assert gdb.receive().startswith(STOPPED_BY_INTERRUPT)
        count = gdb.register(S0)
        assert count > 100
        assert gdb.ask(b"D") == b"OK"
        assert gdb.closed
        time.sleep(0.2)
        run.machine.stop()
        assert run.end().reason is Reason.STOPPED
        assert run.machine.registers["s0"] > count


@pytest.mark.parametrize("engine", ENGINES)
def test_watchpoints_report_behind_the_access(engine: str) -> None:
    place = symbol("data") + 8
    with running(LOOP, engine=engine) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"Z2,%x,8" % place) == b"OK"
        for count in (1, 2, 3):
            assert gdb.ask(b"c").startswith(b"T05watch:%x;" % place)
            assert gdb.register(PC) == symbol("load")
            assert gdb.ask(b"m%x,8" % place) == count.to_bytes(8, "little").hex().encode()
        assert gdb.ask(b"z2,%x,8" % place) == b"OK"
        assert gdb.ask(b"Z3,%x,4" % (place + 12)) == b"OK"
        assert gdb.ask(b"c").startswith(b"T05rwatch:%x;" % (place + 12))
        assert gdb.register(PC) == symbol("device")
        assert gdb.ask(b"z3,%x,4" % (place + 12)) == b"OK"
        assert gdb.ask(b"Z4,%x,8" % (place + 8)) == b"OK"
        assert gdb.ask(b"c").startswith(b"T05awatch:%x;" % (place + 8))
        assert gdb.ask(b"z4,%x,8" % (place + 8)) == b"OK"
        assert gdb.ask(b"Z2,10000007,1") == b"OK"  # a device's register
        assert gdb.ask(b"c").startswith(b"T05watch:10000007;")
        assert gdb.register(PC) == symbol("device") + 4
        assert gdb.ask(b"Z2,%x,8" % (1 << 60))[:1] == b"E"
        assert gdb.ask(b"Z2,%x,ffffff" % place)[:1] == b"E"


def test_a_step_over_breakpoints_that_are_taken_away_meanwhile_as_gdb_does() -> None:
    with running(LOOP) as run, connected(run.port.address) as gdb:
        point = b"0,%x,4" % symbol("store")
        for count in range(1, 5):
            assert gdb.ask(b"Z" + point) == b"OK"
            assert gdb.ask(b"c").startswith(b"T05")
            assert gdb.ask(b"z" + point) == b"OK"
            assert (gdb.register(PC), gdb.register(S0)) == (symbol("store"), count)
            assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
            assert gdb.register(PC) == symbol("load")
        assert gdb.ask(b"vCont;r%x,%x:1" % (symbol("load"), symbol("device"))).startswith(STOPPED_BY_STEP)
        assert gdb.register(PC) == symbol("device")
        gdb.send(b"c")  # the breakpoint is gone
        time.sleep(0.1)
        gdb.interrupt()
        assert gdb.receive().startswith(STOPPED_BY_INTERRUPT)


def test_registers_and_memory_are_the_machines() -> None:
    with running(LOOP) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"P%x=efcdab8967452301" % A0) == b"OK"
        assert run.machine.registers["a0"] == 0x0123456789ABCDEF
        general = bytes.fromhex(gdb.ask(b"g").decode())
        assert len(general) == 65 * 8 and general[8 * A0 : 8 * A0 + 8] == bytes.fromhex("efcdab8967452301")
        assert gdb.ask(b"G" + general.hex().encode()) == b"OK"
        assert gdb.register(MSTATUS) == run.machine.registers["mstatus"]
        assert gdb.ask(b"P%x=0100000000000000" % MHARTID)[:1] == b"E"
        assert gdb.ask(b"P%x=02" % PRIVILEGE)[:1] == b"E"
        assert gdb.ask(b"pffff")[:1] == b"E"
        assert gdb.ask(b"M%x,4:11223344" % (KERNEL + 0x10000)) == b"OK"
        assert run.machine.memory.read(KERNEL + 0x10000, 4) == b"\x11\x22\x33\x44"
        end = run.machine.memory.base + run.machine.memory.size
        assert gdb.ask(b"m%x,10" % (end - 4)) == b"00" * 4
        assert gdb.ask(b"M%x,8:" % (end - 4) + b"00" * 8)[:1] == b"E"
        for address in (0, 0x1000_0000, (1 << 64) - 8):
            assert gdb.ask(b"m%x,10" % address)[:1] == b"E"


def test_memory_by_virtual_and_physical_address() -> None:
    with running(hello_kernel()) as run, connected(run.port.address) as gdb:
        # The page fault that hello takes on purpose, in its upper half.
        pc = 0xFFFF_FFC0_0000_0000 + assembled(SOURCE).symbols["trap"]
        assert gdb.ask(b"Z1,%x,4" % pc) == b"OK"
        assert gdb.ask(b"c").startswith(b"T05")
        assert gdb.register(PC) == pc
        code = gdb.ask(b"m%x,10" % pc)
        physical = int(gdb.monitor(f"translate {pc:#x}"), 16)
        assert run.machine.memory.read(physical, 16).hex().encode() == code
        assert gdb.ask(b"Qqemu.PhyMemMode:1") == b"OK"
        assert gdb.ask(b"m%x,10" % physical) == code
        assert gdb.ask(b"m%x,10" % pc)[:1] == b"E"
        assert "virtual" in gdb.monitor("phys off")
        assert gdb.ask(b"m%x,10" % pc) == code
        assert gdb.ask(b"c") == b"W00"
        assert run.end().reason is Reason.POWER_OFF


def test_sessions_come_and_go_and_the_guest_goes_on() -> None:
    with running(LOOP, wait=False) as run:
        for _ in range(4):
            with connected(run.port.address) as gdb:
                assert gdb.ask(b"?").startswith(b"T05")
                assert gdb.ask(b"Z0,%x,4" % symbol("load")) == b"OK"
                assert gdb.ask(b"c").startswith(b"T05")
                count = gdb.register(S0)
            deadline = time.monotonic() + 10
            while run.machine.registers["s0"] < count + 1000 and time.monotonic() < deadline:  # no breakpoint any more
                time.sleep(0.01)
            assert run.machine.registers["s0"] > count + 1000


def test_one_debugger_at_a_time() -> None:
    with running(LOOP) as run, connected(run.port.address) as first:
        assert first.ask(b"?")
        with connected(run.port.address) as second:
            assert second.closed
        assert first.ask(b"qC") == b"QC1"


def test_a_restart_keeps_the_session_and_its_breakpoints() -> None:
    reset = LOOP.replace("j loop", "li a7, 0x53525354\nli a6, 0\nli a0, 1\nli a1, 0\necall")
    names = assembled(reset).symbols
    with running(reset) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"Z0,%x,4" % names["load"]) == b"OK"
        for _ in range(3):
            assert gdb.ask(b"c").startswith(b"T05")
            assert (gdb.register(PC), gdb.register(S0)) == (names["load"], 1)
        assert f"{KERNEL:#x}" in gdb.monitor("reset")
        assert (gdb.register(PC), run.machine.memory.read(names["data"] + 8, 1)) == (KERNEL, b"\0")
        assert gdb.ask(b"c").startswith(b"T05")
        assert gdb.register(PC) == names["load"]


def test_kill_and_quit_end_the_run() -> None:
    for way in (b"k", b"vKill;1", b"qRcmd," + b"quit".hex().encode()):
        with running(LOOP) as run, connected(run.port.address) as gdb:
            gdb.send(way)
            assert run.end().reason is Reason.STOPPED


def test_a_stop_reaches_a_machine_that_a_debugger_holds() -> None:
    with running(LOOP) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"?")
        run.machine.stop()
        assert run.end().reason is Reason.STOPPED
    with running(LOOP, timeout=0.3) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"?")
        assert run.end().reason is Reason.TIMEOUT


def test_budgets_stay_exact_under_a_debugger() -> None:
    with running(LOOP, budget=100) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.ask(b"Z0,%x,4" % symbol("store")) == b"OK"
        assert gdb.ask(b"c").startswith(b"T05")
        assert gdb.ask(b"z0,%x,4" % symbol("store")) == b"OK"
        gdb.send(b"c")
        assert run.end().reason is Reason.BUDGET
        assert run.machine.instructions == 100


TIMER = f"""
    la t0, handler
    csrw stvec, t0
    li t0, -1
    csrw stimecmp, t0
    li t0, 32
    csrw sie, t0
    csrwi stimecmp, 0
    csrsi sstatus, 2
here: nop
    nop
    nop
1:  j 1b
{POWER_OFF}
    .balign 4
handler:
    j handler
"""


def test_a_step_takes_no_interrupt_unless_that_is_wanted() -> None:
    with running(TIMER) as run, connected(run.port.address) as gdb:
        while gdb.register(PC) != assembled(TIMER).symbols["here"]:
            assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.register(PC) == assembled(TIMER).symbols["here"] + 4
        assert gdb.register(65 + 0x104) == 32  # sie is as it was
        assert "takes the interrupts" in gdb.monitor("interrupts on")
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.register(PC) == assembled(TIMER).symbols["handler"]
        assert run.machine.registers["scause"] == 1 << 63 | 5


def test_the_guests_clock_stands_still_while_it_is_held() -> None:
    with running(LOOP, wait=False) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"?")
        gdb.ask(b"s")
        before = gdb.register(65 + 0xC01)
        time.sleep(0.3)
        gdb.ask(b"s")
        assert gdb.register(65 + 0xC01) - before < 1_000_000  # of ten million a second


def test_a_waiting_guest_can_be_held_and_resumed() -> None:
    with running("1: wfi\nj 1b", wait=False) as run, connected(run.port.address) as gdb:
        assert gdb.ask(b"?").startswith(b"T05")
        gdb.send(b"c")
        time.sleep(0.1)
        gdb.interrupt()
        assert gdb.receive().startswith(STOPPED_BY_INTERRUPT)
        pc = gdb.register(PC)
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)  # waiting, stepped, takes no time
        assert gdb.register(PC) != pc
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.register(PC) == pc
        gdb.monitor("interrupts on")
        gdb.ask(b"s")
        gdb.ask(b"s")
        gdb.send(b"s")  # waits now
        time.sleep(0.1)
        gdb.interrupt()
        assert gdb.receive().startswith(STOPPED_BY_INTERRUPT)
        assert run.stop is None


def test_a_step_that_restarts_the_guest_leaves_no_trace() -> None:
    text = "li t0, 32\ncsrw sie, t0\nli t0, 0x100000\nli t1, 0x7777\nstore: sw t1, (t0)\n1: j 1b"
    with running(text) as run, connected(run.port.address) as gdb:
        while gdb.register(PC) != assembled(text).symbols["store"]:
            assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert gdb.register(65 + 0x104) == 32
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
        assert (gdb.register(PC), gdb.register(65 + 0x104)) == (KERNEL, 0)
        assert run.stop is None


def test_other_hooks_of_the_machine_go_on_working() -> None:
    seen = []
    with running(LOOP) as run, connected(run.port.address) as gdb:
        run.machine.on_execute(symbol("store"), lambda machine: seen.append(machine.registers["s0"]))
        assert gdb.ask(b"Z0,%x,4" % symbol("store")) == b"OK"
        for _ in range(3):
            assert gdb.ask(b"c").startswith(b"T05")
        assert gdb.ask(b"s").startswith(STOPPED_BY_STEP)
    assert seen[:3] == [1, 2, 3]


@pytest.mark.parametrize(
    "nonsense",
    (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"$" + b"a" * 100_000,
        b"\x00" * 10_000,
        b"$c#63" + b"$qC#b4" * 50_000,
        packed(b"qRcmd,zz") + packed(b"Z0,,") + packed(b"G" + b"00" * 5) + packed(b"vCont;s:-1;r") + b"$",
    ),
)
def test_a_hostile_client_harms_nobody(nonsense: bytes) -> None:
    with running(LOOP, wait=False) as run:
        bad = RemoteClient(run.port.address)
        try:
            bad.socket.sendall(nonsense)
            bad.socket.settimeout(0.3)
            while bad.socket.recv(65536):
                pass
        except OSError:
            pass
        finally:
            bad.close()
        with connected(run.port.address) as gdb:
            assert gdb.ask(b"?").startswith(b"T05")


def test_a_client_that_never_reads_holds_up_only_itself() -> None:
    request = packed(b"m%x,2000" % KERNEL) * 1_000_000
    with running(LOOP, wait=False) as run:
        bad = RemoteClient(run.port.address)
        bad.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            bad.socket.sendall(request)
        run.machine.stop()
        assert run.end().reason is Reason.STOPPED
        bad.close()


def test_clients_that_only_knock_leave_nothing_behind_while_nobody_runs_the_machine() -> None:
    with Machine(kernel=assembled(LOOP).data, memory="64M", engine="reference") as machine, machine.gdb() as port:
        for _ in range(50):
            with connected(port.address):
                pass
        time.sleep(0.1)
        assert len(machine._core.inbox._calls) < 10
        assert machine.run(budget=100).reason is Reason.BUDGET


def test_a_port_that_is_taken_is_said() -> None:
    with Machine(kernel=assembled(LOOP).data, memory="64M", engine="reference") as machine:
        port = int(machine.gdb().address.rpartition(":")[2])
        with Machine(kernel=assembled(LOOP).data, memory="64M", engine="reference") as other:
            with pytest.raises(UserError, match=f"Can't listen at 127.0.0.1:{port}"):
                other.gdb(port)
            with pytest.raises(UserError, match="choose another port"):
                other.gdb(0, host="no such host")


def test_the_monitors_commands_are_listed_and_told_apart() -> None:
    with running(LOOP) as run, connected(run.port.address) as gdb:
        listed = gdb.monitor("help")
        for name in ("help", "info", "phys", "interrupts", "translate", "reset", "quit"):
            assert f"\n{name}" in "\n" + listed
        assert "uart 0x10000000" in gdb.monitor("info")
        assert "no command 'nonsense'" in gdb.monitor("nonsense")
        assert gdb.monitor("") == listed
        assert "Give an address" in gdb.monitor("translate it")
        assert run.stop is None
