from collections.abc import Iterable

import pytest

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.machine.engines import make_state
from guesthouse.virtual.machine.harts import Harts
from guesthouse.virtual.machine.sbi import BASE, DBCN, HSM, IPI, RFENCE, SRST, TIME, Sbi
from guesthouse.virtual.memory.guest import GuestMemory

RAM = 0x8000_0000
MASK64 = (1 << 64) - 1


class Board:
    def __init__(self) -> None:
        self.memory = GuestMemory(RAM, 1 << 20)
        self.output = b""
        self.input = b""
        self.ends: list[object] = []

    def console_write(self, data: bytes) -> None:
        self.output += data

    def console_read(self, limit: int) -> bytes:
        data, self.input = self.input[:limit], self.input[limit:]
        return data

    def power_off(self, code: int) -> None:
        self.ends.append(code)

    def restart(self) -> None:
        self.ends.append("restart")


class Environment:
    forgotten = 0

    def forget_translations(self) -> None:
        self.forgotten += 1


@pytest.fixture
def sbi():
    state = make_state(ISA)
    state.environment = Environment()
    sbi = Sbi(0, state, Board(), Harts([Cpu(0, state, None)]))
    yield sbi
    sbi.board.memory.close()


def call(sbi: Sbi, extension: int, function: int, *arguments: int) -> tuple[int, int]:
    x = sbi.state.x
    for number, value in enumerate((*arguments, *[0] * (6 - len(arguments)))):
        x[10 + number] = value
    x[16], x[17] = function, extension
    sbi.call()
    error = x[10] - (1 << 64) if x[10] >> 63 else x[10]
    return error, x[11]


def test_base(sbi: Sbi) -> None:
    assert call(sbi, BASE, 0) == (0, 2 << 24)
    for extension in (BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, 0, 8):
        assert call(sbi, BASE, 3, extension) == (0, 1)
    assert call(sbi, BASE, 3, 0x12345) == (0, 0)
    assert call(sbi, BASE, 7)[0] == -2
    assert call(sbi, 0x12345, 0)[0] == -2


def test_timer(sbi: Sbi) -> None:
    assert call(sbi, TIME, 0, 12345) == (0, 0)
    assert sbi.state.stimecmp == 12345 and sbi.state.attention == 1
    assert call(sbi, TIME, 1)[0] == -2


def test_interrupts_between_processors_and_fences(sbi: Sbi) -> None:
    assert call(sbi, IPI, 0, 1, 0) == (0, 0)
    assert sbi.state.mip == 2
    assert call(sbi, IPI, 0, 0, MASK64) == (0, 0)
    assert call(sbi, IPI, 0, 2, 0)[0] == -3
    assert call(sbi, IPI, 0, 1, 1)[0] == -3
    assert call(sbi, RFENCE, 0, 1, 0) == (0, 0) and sbi.state.environment.forgotten == 0
    for function in (1, 2):
        assert call(sbi, RFENCE, function, 1, 0, 0, MASK64) == (0, 0)
    assert sbi.state.environment.forgotten == 2
    assert call(sbi, RFENCE, 9)[0] == -2


def test_processors(sbi: Sbi) -> None:
    assert call(sbi, HSM, 2, 0) == (0, 0)
    assert call(sbi, HSM, 2, 1)[0] == -3
    assert call(sbi, HSM, 0, 0)[0] == -6
    assert call(sbi, HSM, 0, 1)[0] == -3
    assert call(sbi, HSM, 1)[0] == -1


class FourHarts:
    """Hart 3 is stopped."""

    count = 4

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def interrupt(self, number: int) -> None:
        self.asked.append(("interrupt", number))

    def fence_code(self, numbers: Iterable[int]) -> None:
        self.asked.append(("code", *numbers))

    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None:
        self.asked.append((list(numbers), address, pages, space))

    def started(self, number: int) -> bool:
        return number != 3

    def start(self, number: int, address: int, opaque: int) -> None:
        self.asked.append(("start", number, address, opaque))

    def stop(self, number: int) -> None:
        self.asked.append(("stop", number))

    def suspend(self, number: int) -> None:
        self.asked.append(("suspend", number))

    def last(self) -> bool:
        return False


def test_calls_of_one_hart_among_four(sbi: Sbi) -> None:
    four = Sbi(1, sbi.state, sbi.board, FourHarts())
    asked = four.harts.asked  # type: ignore[attr-defined]
    assert call(four, IPI, 0, 0b1011, 0) == (0, 0)
    assert asked == [("interrupt", 0), ("interrupt", 3)] and four.state.mip == 2
    asked.clear()
    assert call(four, IPI, 0, 0b11, 2) == (0, 0) and asked == [("interrupt", 2), ("interrupt", 3)]
    asked.clear()
    assert call(four, IPI, 0, 0b11, 3)[0] == -3 and call(four, IPI, 0, 1, 1 << 40)[0] == -3 and not asked
    assert call(four, RFENCE, 0, 0, MASK64) == (0, 0)
    assert call(four, RFENCE, 2, 1, 2, 0x1FFF, 4096, 7) == (0, 0)
    assert call(four, RFENCE, 1, 0b11, 0, 0, MASK64) == (0, 0)
    everything = 1 << 52
    assert asked == [("code", 0, 1, 2, 3), ([2], 0x1000, 2, 8), ([0, 1], 0, everything, 0)]
    asked.clear()
    assert call(four, HSM, 0, 3, RAM + 4, 99) == (0, 0) and asked == [("start", 3, RAM + 4, 99)]
    assert call(four, HSM, 0, 3, 0)[0] == -5
    assert call(four, HSM, 0, 2, RAM)[0] == -6 and call(four, HSM, 0, 4, RAM)[0] == -3
    assert [call(four, HSM, 2, hart) for hart in range(4)] == [(0, 0), (0, 0), (0, 0), (0, 1)]
    asked.clear()
    assert call(four, HSM, 1) == (0, 0) and call(four, HSM, 3, 0) == (0, 0) and call(four, HSM, 3, 1 << 31)[0] == -2
    assert asked == [("stop", 1), ("suspend", 1)]


@pytest.mark.parametrize(("kind", "reason", "end"), [(0, 0, 0), (0, 1, 1), (1, 0, "restart"), (2, 0, "restart")])
def test_reset(sbi: Sbi, kind: int, reason: int, end: object) -> None:
    call(sbi, SRST, 0, kind, reason)
    assert sbi.board.ends == [end]
    assert call(sbi, SRST, 0, 3, 0)[0] == -3
    assert call(sbi, SRST, 0, 0, 9)[0] == -3


def test_debug_console(sbi: Sbi) -> None:
    sbi.board.memory.write(RAM + 100, b"hello")
    assert call(sbi, DBCN, 0, 5, RAM + 100, 0) == (0, 5)
    assert call(sbi, DBCN, 2, ord("!")) == (0, 0)
    assert sbi.board.output == b"hello!"
    sbi.board.input = b"abc"
    assert call(sbi, DBCN, 1, 2, RAM, 0) == (0, 2)
    assert sbi.board.memory.read(RAM, 3) == b"ab\0"
    assert call(sbi, DBCN, 1, 9, RAM, 0) == (0, 1)
    for address, high in ((0, 0), (RAM + (1 << 20) - 2, 0), (RAM, 1)):
        assert call(sbi, DBCN, 0, 5, address, high)[0] == -3
        assert call(sbi, DBCN, 1, 5, address, high)[0] == -3
    assert call(sbi, DBCN, 3)[0] == -2


def test_legacy_console_gives_only_one_register(sbi: Sbi) -> None:
    sbi.state.x[11] = 77
    x = sbi.state.x
    x[10], x[17] = ord("z"), 1
    sbi.call()
    assert sbi.board.output == b"z" and x[11] == 77
    x[17] = 2
    sbi.call()
    assert x[10] == MASK64
    sbi.board.input, x[17] = b"q", 2
    sbi.call()
    assert x[10] == ord("q")
    x[17] = 8
    sbi.call()
    assert sbi.board.ends == [0]
