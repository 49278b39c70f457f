"""The protocol alone, over a target that is a few dictionaries."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse import UserError
from guesthouse.virtual.machine.gdb.packets import PACKET_SIZE
from guesthouse.virtual.machine.gdb.session import INTERRUPTED, KEPT_WHILE_RUNNING, Phase, Session, Stopped
from guesthouse.virtual.machine.gdb.target import Kind, Point
from tests.virtual.machine.gdb.client import packed

RAM = range(0x8000_0000, 0x8000_8000)


class FakeTarget:
    """Two processors, 32 KiB of memory."""

    def __init__(self) -> None:
        self.processors = {
            1: SimpleNamespace(registers={"mode": 1}, doing="running"),
            2: SimpleNamespace(registers={"mode": 3}, doing="waiting"),
        }
        self.thread = 1
        self.physical = False
        self.memory = bytearray(len(RAM))
        self.registers = {thread: dict.fromkeys(range(65), 0) for thread in (1, 2)}
        self.points: set[Point] = set()

    def read_general(self, thread: int) -> bytes:
        return b"".join(self.read_register(thread, number) for number in range(65))

    def write_general(self, thread: int, data: bytes) -> None:
        for number in range(len(data) // 8):
            self.write_register(thread, number, data[8 * number : 8 * number + 8])

    def read_register(self, thread: int, number: int) -> bytes:
        return self.registers[thread][number].to_bytes(8, "little")

    def write_register(self, thread: int, number: int, data: bytes) -> None:
        if number not in self.registers[thread]:
            raise UserError("no such register")
        self.registers[thread][number] = int.from_bytes(data, "little")

    def read_memory(self, thread: int, address: int, length: int) -> bytes:
        if address not in RAM:
            raise UserError("no memory")
        return bytes(self.memory[address - RAM[0] :][:length])

    def write_memory(self, thread: int, address: int, data: bytes) -> None:
        self.read_memory(thread, address, 1)
        self.memory[address - RAM[0] : address - RAM[0] + len(data)] = data

    def insert(self, thread: int, point: Point) -> None:
        self.points.add(point)

    def remove(self, kind: Kind, address: int, length: int) -> None:
        self.points = {p for p in self.points if (p.kind, p.address, p.length) != (kind, address, length)}


class Talk:
    def __init__(self) -> None:
        self.target = FakeTarget()
        self.session = Session(self.target)  # type: ignore[arg-type]
        assert self.ask(b"QStartNoAckMode", b"+") == b"OK"

    def ask(self, payload: bytes, ahead: bytes = b"") -> bytes:
        answer = self.session.feed(packed(payload))
        assert answer == ahead + packed(answer[len(ahead) + 1 : -3])
        return answer[len(ahead) + 1 : -3]

    def silent(self, payload: bytes) -> None:
        assert self.session.feed(packed(payload)) == b""


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_acknowledgements_until_they_are_switched_off() -> None:
    session = Session(FakeTarget())  # type: ignore[arg-type]
    assert session.feed(packed(b"qC")) == b"+" + packed(b"QC1")
    assert session.feed(b"-") == packed(b"QC1")
    assert session.feed(b"$qC#00") == b"-"
    assert session.feed(b"+") == b""
    assert session.feed(packed(b"QStartNoAckMode")) == b"+" + packed(b"OK")
    assert session.feed(b"+" + packed(b"qC")) == packed(b"QC1")
    assert session.feed(b"$qC#00-") == b""


def test_what_is_supported(talk: Talk) -> None:
    features = talk.ask(b"qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;vContSupported+").split(b";")
    assert {b"PacketSize=4000", b"qXfer:features:read+", b"QStartNoAckMode+", b"swbreak+", b"hwbreak+"} <= set(features)
    assert talk.ask(b"vCont?") == b"vCont;c;C;s;S;r"
    for unknown in (b"vMustReplyEmpty", b"qCRC:80000000,4", b"!", b"QNonStop:1", b"vRun;", b"", b"i"):
        assert talk.ask(unknown) == b""


def test_registers(talk: Talk) -> None:
    assert talk.ask(b"Pa=8877665544332211") == b"OK"
    assert talk.target.registers[1][10] == 0x1122334455667788
    assert talk.ask(b"pa") == b"8877665544332211"
    assert talk.ask(b"g") == b"0" * 160 + b"8877665544332211" + b"0" * (16 * 54)
    assert talk.ask(b"G" + b"01" * 8 + b"02" * 8) == b"OK"
    assert talk.target.registers[1][1] == 0x0202020202020202
    for wrong in (b"pzz", b"p", b"P3=zz", b"Pffff=00", b"G0", b"p-1", b"p" + b"1" * 40):
        assert talk.ask(wrong)[:1] == b"E"


def test_memory_in_hexadecimal_and_binary(talk: Talk) -> None:
    assert talk.ask(b"M80000010,4:01020304") == b"OK"
    assert talk.ask(b"X80000014,3:}\x03}\x04}\x5d") == b"OK"
    assert talk.ask(b"m80000010,8") == b"0102030423247d00"
    assert talk.ask(b"X80000000,0:") == b"OK"
    assert len(talk.ask(b"m80000000,ffffffff")) == PACKET_SIZE
    for wrong in (b"m0,4", b"m80000000", b"mx,4", b"M80000010,4:0102", b"M80000010,1:zz", b"X80000010,1:ab", b"m,"):
        assert talk.ask(wrong)[:1] == b"E"


def test_the_description_is_given_in_parts(talk: Talk) -> None:
    whole, part = b"", b"m"
    while part[:1] == b"m":
        part = talk.ask(b"qXfer:features:read:target.xml:%x,400" % len(whole))
        assert b"}" not in part
        whole += part[1:]
    assert whole.startswith(b"<?xml") and whole.rstrip().endswith(b"</target>")
    assert talk.ask(b"qXfer:features:read:target.xml:fffffff,400") == b"l"
    assert talk.ask(b"qXfer:features:read:other.xml:0,400") == b"E00"


def test_threads_are_processors(talk: Talk) -> None:
    assert talk.ask(b"qfThreadInfo") == b"m1,2"
    assert talk.ask(b"qsThreadInfo") == b"l"
    assert bytes.fromhex(talk.ask(b"qThreadExtraInfo,2").decode()) == b"CPU 1, machine mode, waiting"
    assert (talk.ask(b"T2"), talk.ask(b"T3")[:1]) == (b"OK", b"E")
    assert (talk.ask(b"Hg2"), talk.ask(b"qC"), talk.ask(b"Hg0"), talk.ask(b"Hc-1")) == (b"OK", b"QC2", b"OK", b"OK")
    talk.ask(b"P5=0100000000000000")
    assert (talk.target.registers[1][5], talk.target.registers[2][5]) == (0, 1)
    assert talk.ask(b"Hg7")[:1] == b"E"
    assert talk.ask(b"qAttached") == b"1"


def test_who_runs_steps_and_rests(talk: Talk) -> None:
    for packet, stepping, resting in (
        (b"c", (), ()),
        (b"vCont;c", (), ()),
        (b"vCont;c:2", (), (1,)),
        (b"vCont;s:2;c", (2,), ()),
        (b"vCont;s:1", (1,), (2,)),
        (b"vCont;r80000000,80000008:2;c", (2,), ()),
        (b"s", (1,), ()),
    ):
        talk.silent(packet)
        assert talk.session.phase is (Phase.STEPPING if stepping else Phase.RUNNING)
        assert (talk.session.stepping, talk.session.resting) == (frozenset(stepping), frozenset(resting)), packet
        talk.session.stopped(Stopped())


def test_points(talk: Talk) -> None:
    for kind in Kind:
        assert talk.ask(b"Z%d,80000100,8" % kind) == b"OK"
    assert {point.kind for point in talk.target.points} == set(Kind)
    assert talk.ask(b"z3,80000100,8") == b"OK"
    assert len(talk.target.points) == 4
    for wrong in (b"Z9,80000100,8", b"Z0", b"Z0,1", b"z0,x,y", b"Z-1,1,1"):
        assert talk.ask(wrong)[:1] == b"E"


@pytest.mark.parametrize(
    ("request_", "phase", "stepping"),
    (
        (b"c", Phase.RUNNING, ()),
        (b"C05", Phase.RUNNING, ()),
        (b"s", Phase.STEPPING, (1,)),
        (b"S05", Phase.STEPPING, (1,)),
        (b"vCont;c", Phase.RUNNING, ()),
        (b"vCont;s:2;c", Phase.STEPPING, (2,)),
        (b"vCont;s", Phase.STEPPING, (1, 2)),
        (b"vCont;r80000000,80000010:1;c:-1", Phase.STEPPING, (1,)),
    ),
)
def test_going_on(talk: Talk, request_: bytes, phase: Phase, stepping: tuple[int, ...]) -> None:
    talk.silent(request_)
    assert (talk.session.phase, talk.session.stepping) == (phase, frozenset(stepping))
    assert talk.session.range == ((0x8000_0000, 0x8000_0010) if b"r8" in request_ else (0, 0))
    assert talk.session.stopped(Stopped()) == packed(b"T05thread:1;20:0000000000000000;")
    assert talk.session.phase is Phase.HELD


def test_going_on_from_an_address(talk: Talk) -> None:
    talk.silent(b"c80000044")
    assert talk.target.registers[1][32] == 0x8000_0044
    talk.session.stopped(Stopped())
    for wrong in (b"vCont", b"vCont;", b"vCont;t", b"vCont;x:1", b"vCont;c:9", b"vCont;r1:1", b"cxyz", b"vCont;:1"):
        assert talk.ask(wrong)[:1] == b"E"
        assert talk.session.phase is Phase.HELD


def test_reasons_of_a_stop(talk: Talk) -> None:
    def after(stopped: Stopped) -> bytes:
        talk.silent(b"c")
        return talk.session.stopped(stopped)[1:-3].split(b";")[0]

    assert after(Stopped(INTERRUPTED)) == b"T02thread:1"
    assert after(Stopped(point=Point(Kind.WRITE, 0x80, 8), address=0x84)) == b"T05watch:84"
    assert after(Stopped(point=Point(Kind.READ, 0x80, 8), address=0x84)) == b"T05rwatch:84"
    assert after(Stopped(point=Point(Kind.ACCESS, 0x80, 8), address=0x84)) == b"T05awatch:84"
    assert after(Stopped(point=Point(Kind.SOFTWARE, 0x80, 2))) == b"T05thread:1"
    talk.ask(b"qSupported:swbreak+;hwbreak+")
    assert after(Stopped(point=Point(Kind.SOFTWARE, 0x80, 2))) == b"T05swbreak:"
    assert after(Stopped(point=Point(Kind.HARDWARE, 0x80, 2), thread=2)) == b"T05hwbreak:"
    assert talk.ask(b"?").startswith(b"T05hwbreak:;thread:2;")
    assert talk.ask(b"qC") == b"QC2"


def test_an_interrupt_while_it_runs(talk: Talk) -> None:
    talk.silent(b"c")
    assert not talk.session.wants_interrupt
    assert talk.session.feed(b"\x03") == b""
    assert talk.session.wants_interrupt
    assert talk.session.stopped(Stopped(INTERRUPTED)).startswith(b"$T02")
    assert talk.session.feed(b"\x03" + packed(b"qC")) == packed(b"QC1")  # where it stands, it asks for nothing


def test_what_comes_while_it_runs_is_answered_later(talk: Talk) -> None:
    talk.silent(b"c")
    assert talk.session.feed(packed(b"qC")) == b""
    assert talk.session.stopped(Stopped()).endswith(packed(b"QC1"))


def test_a_flood_while_it_runs_ends_the_session(talk: Talk) -> None:
    talk.silent(b"c")
    for _ in range(KEPT_WHILE_RUNNING // 1000 + 1):
        talk.session.feed(packed(b"x" * 996))
    assert talk.session.phase is Phase.BROKEN


def test_the_ends_of_a_session() -> None:
    for request, answer, phase in (
        (b"D", b"OK", Phase.DETACHED),
        (b"vKill;1", b"OK", Phase.KILLED),
        (b"qRcmd," + b"quit".hex().encode(), b"OK", Phase.KILLED),
    ):
        talk = Talk()
        assert talk.ask(request) == answer
        assert talk.session.phase is phase
    talk = Talk()
    talk.silent(b"k")
    assert talk.session.phase is Phase.KILLED
    talk = Talk()
    talk.silent(b"c")
    assert talk.session.exited(7) == packed(b"W07")
    talk = Talk()
    assert talk.session.feed(b"GET / HTTP/1.1\r\n") == b""
    assert talk.session.phase is Phase.BROKEN


def test_physical_addresses_as_qemu_has_them(talk: Talk) -> None:
    assert talk.ask(b"qqemu.PhyMemMode") == b"0"
    assert talk.ask(b"Qqemu.PhyMemMode:1") == b"OK"
    assert talk.ask(b"qqemu.PhyMemMode") == b"1"
    talk.ask(b"Z2,80000100,8")
    assert talk.target.points == {Point(Kind.WRITE, 0x8000_0100, 8, physical=True)}
    talk.ask(b"Qqemu.PhyMemMode:0")
    assert not talk.target.physical


WORDS = [*(bytes([c]) for c in b"?gGpPmMXZzHTcCsSDqQv"), b"vCont;", b"80000000", b",", b":", b"=", b"ff", b";", b"-1"]
WORDS += [b"qXfer:features:read:target.xml:", b"qSupported:", b"qThreadExtraInfo,", b"\xff", b"}", b"0", b"r"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6), max_size=20))
def test_nonsense_is_answered_or_refused(requests: list[list[bytes]]) -> None:
    session = Session(FakeTarget())  # type: ignore[arg-type]
    for words in requests:
        answer = session.feed(packed(b"".join(words)))
        assert len(answer) <= 2 * PACKET_SIZE + 8
        if session.phase in (Phase.RUNNING, Phase.STEPPING):
            session.stopped(Stopped())
