from collections.abc import Callable

import pytest

from guesthouse.virtual.devices.uart import BACKLOG, QUIET_POLLS, Uart
from tests.virtual.devices.fakes import Line, Output

DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)


class Guest:
    """A UART and the registers as a driver sees them."""

    def __init__(self) -> None:
        self.irq, self.output = Line(), Output()
        self.uart = Uart(self.irq, self.output)

    def get(self, register: int) -> int:
        return self.uart.read(register, 1)

    def put(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)

    def drain(self) -> bytes:
        data = bytearray()
        while self.get(LSR) & 1:
            data.append(self.get(DATA))
        return bytes(data)

    def linux_startup(self) -> None:
        """What Linux's serial8250_do_startup does to the registers."""
        for value in (1, 7, 0):
            self.put(IIR, value)
        for register in (LSR, DATA, IIR, MSR):
            self.get(register)
        self.put(LCR, 3)
        self.put(MCR, 8)
        for _ in range(2):
            self.get(LSR)
            self.put(IER, 2)
            self.get(IIR)
            self.put(IER, 0)
        for register in (LSR, DATA, IIR, MSR):
            self.get(register)
        self.put(IER, 5)

    def linux_shutdown(self) -> None:
        self.put(IER, 0)
        self.put(MCR, 8)
        for value in (1, 7, 0):
            self.put(IIR, value)
        self.get(DATA)


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_output_goes_out_at_once(guest: Guest) -> None:
    for byte in b"hi":
        assert guest.get(LSR) & 0x60 == 0x60
        guest.put(DATA, byte)
    assert guest.output.data == b"hi"


def test_linux_probe_finds_a_16550a(guest: Guest) -> None:
    guest.put(IER, 0)
    assert guest.get(IER) == 0
    guest.put(IER, 0x0F)
    assert guest.get(IER) == 0x0F
    guest.put(IER, 0)
    guest.put(MCR, 0x1A)
    assert guest.get(MSR) & 0xF0 == 0x90
    guest.put(MCR, 0)
    guest.put(LCR, 0xBF)
    guest.put(IIR, 0)
    guest.put(LCR, 0)
    guest.put(IIR, 1)
    assert guest.get(IIR) >> 6 == 3
    guest.put(LCR, 0x80)
    assert guest.get(IIR) != 0
    guest.put(LCR, 0xBF)
    assert guest.get(IIR) != 0
    guest.put(LCR, 0)
    guest.put(IER, 0x40)
    assert guest.get(IER) == 0
    guest.put(SCR, 0x5A)
    assert guest.get(SCR) == 0x5A


def test_divisor_lies_behind_dlab(guest: Guest) -> None:
    guest.put(LCR, 0x83)
    guest.put(DATA, 0x34)
    guest.put(IER, 0x12)
    assert (guest.get(DATA), guest.get(IER)) == (0x34, 0x12)
    guest.put(LCR, 3)
    assert guest.get(IER) == 0
    assert guest.output.data == b""


def test_receive_interrupt_follows_the_input(guest: Guest) -> None:
    guest.put(IIR, 0xC1)
    guest.put(IER, 1)
    assert guest.get(IIR) == 0xC1
    guest.uart.receive(b"x")
    assert guest.irq.level and guest.get(IIR) == 0xCC
    guest.uart.receive(b"y" * 14)
    assert guest.get(IIR) == 0xC4
    assert guest.drain() == b"x" + b"y" * 14
    assert not guest.irq.level


def test_transmitter_interrupts_when_enabled_and_after_each_byte(guest: Guest) -> None:
    guest.put(IER, 2)
    assert guest.irq.level and guest.get(IIR) & 0xF == 2
    assert guest.get(IIR) & 0xF == 1 and not guest.irq.level
    guest.put(DATA, 65)
    assert guest.irq.level
    guest.put(IER, 0)
    assert not guest.irq.level
    guest.get(IIR)
    guest.put(IER, 2)
    assert guest.get(IIR) & 0xF == 2


def test_loop_back_returns_what_is_sent(guest: Guest) -> None:
    guest.uart.receive(b"outside")
    guest.put(MCR, 0x10)
    assert guest.drain() == b""
    for byte in b"inside":
        guest.put(DATA, byte)
    assert guest.drain() == b"inside"
    guest.put(MCR, 0)
    assert guest.drain() == b"outside"
    assert guest.output.data == b""


def test_piped_input_outlives_linux_start_up(guest: Guest) -> None:
    guest.uart.receive(b"echo hello\n")
    for _ in range(3):
        guest.linux_startup()
        guest.linux_shutdown()
    guest.linux_startup()
    assert guest.irq.level
    assert guest.drain() == b"echo hello\n"


def test_a_polling_guest_gets_its_input_after_a_fifo_reset(guest: Guest) -> None:
    guest.uart.receive(b"abc")
    guest.put(IIR, 7)
    polls = 0
    while not guest.get(LSR) & 1:
        polls += 1
        assert polls <= QUIET_POLLS
    assert guest.drain() == b"abc"


def test_dropping_rts_stops_input_until_it_rises(guest: Guest) -> None:
    guest.put(MCR, 0x0B)
    guest.put(IER, 1)
    guest.put(MCR, 0x09)
    guest.uart.receive(b"late")
    assert not guest.irq.level and guest.drain() == b""
    guest.put(MCR, 0x0B)
    assert guest.irq.level and guest.drain() == b"late"


def test_a_guest_that_never_raises_rts_is_served(guest: Guest) -> None:
    guest.put(IER, 1)
    guest.put(MCR, 0)
    guest.uart.receive(b"xv6")
    assert guest.drain() == b"xv6"


def test_the_backlog_is_bounded(guest: Guest) -> None:
    assert guest.uart.receive(bytes(BACKLOG + 1)) == BACKLOG
    assert guest.uart.room() == 0
    assert guest.uart.receive(b"x") == 0


def test_input_outlives_a_reset(guest: Guest) -> None:
    guest.uart.receive(b"kept")
    guest.uart.reset()
    assert guest.drain() == b"kept"


class Way:
    """A shortcut that remembers what it was told."""

    def __init__(self) -> None:
        self.known: dict[int, int | None] = {}
        self.take: Callable[[bytes], object] | None = None

    def answer(self, offset: int, value: int | None) -> None:
        self.known[offset] = value

    def collect(self, offset: int, take: Callable[[bytes], object] | None) -> None:
        assert offset == DATA
        self.take = take


def test_polled_output_goes_by_the_shortcut() -> None:
    way, irq, output = Way(), Line(), Output()
    uart = Uart(irq, output, way)
    uart.reset()
    assert way.known == {LSR: 0x60}
    assert way.take is not None
    way.take(b"hello")
    assert bytes(output.data) == b"hello"
    uart.write(IER, 1, 2)
    assert irq.level
    assert uart.read(IIR, 1) & 0xF == 2


@pytest.mark.parametrize(("register", "value"), [(IER, 2), (LCR, 0x80), (MCR, 0x10)])
def test_the_shortcut_is_closed_where_each_byte_has_effects(register: int, value: int) -> None:
    way = Way()
    uart = Uart(Line(), Output(), way)
    uart.reset()
    uart.write(register, 1, value)
    assert way.take is None
    uart.write(register, 1, 0)
    assert way.take is not None


def test_the_shortcut_tells_of_input_and_not_while_polls_are_counted() -> None:
    way = Way()
    uart = Uart(Line(), Output(), way)
    uart.reset()
    uart.receive(b"x")
    assert way.known == {LSR: 0x61}
    assert uart.read(DATA, 1) == ord("x")
    assert way.known == {LSR: 0x60}
    uart.write(IIR, 1, 2)
    assert way.known == {LSR: None}
    for _ in range(QUIET_POLLS):
        uart.read(LSR, 1)
    assert way.known == {LSR: 0x60}
