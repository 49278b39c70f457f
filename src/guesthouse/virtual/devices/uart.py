"""The ns16550a serial port, the board's console.

Source: National Semiconductor PC16550D data sheet; the loop-back, IIR and IER behaviour is what Linux's 8250 driver
probes for. Output leaves at once, so the transmitter is always empty. A kernel's console polls the line status for each
byte; while no transmitter interrupt can come of it, both go by the shortcut.

No input is ever lost. What arrives waits on our side, and the guest's FIFO is a window on its first 16 bytes, so
resetting the FIFO takes nothing away. Linux resets it when it opens the port and then reads the data register twice
to be sure; hence after a reset input stays hidden until the guest enables the receive interrupt or, as a polling
guest does, has asked the line status `QUIET_POLLS` times. A guest that drops RTS while its receive interrupt is on
(Linux with `stty crtscts`) gets no more until it raises it.

Not modelled: baud rate, parity and framing (any setting works), break, receive errors, modem lines but in loop-back,
DMA mode, auto flow control; FIFO trigger levels choose only between the two interrupt codes.
"""

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, State
from guesthouse.virtual.devices.wires import CharacterBackend, Irq, Shortcut

DATA, LINE_STATUS = 0, 5
FIFO_SIZE = 16
BACKLOG = 4096
QUIET_POLLS = 16

IER_RECEIVE, IER_TRANSMIT = 0x01, 0x02
IIR_NONE, IIR_TRANSMIT, IIR_RECEIVE, IIR_TIMEOUT, IIR_FIFO = 0x01, 0x02, 0x04, 0x0C, 0xC0
FCR_ENABLE, FCR_CLEAR_RECEIVE = 0x01, 0x02
LCR_DLAB = 0x80
MCR_DTR, MCR_RTS, MCR_OUT1, MCR_OUT2, MCR_LOOP = 0x01, 0x02, 0x04, 0x08, 0x10
LSR_DATA, LSR_EMPTY = 0x01, 0x60
MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD = 0x10, 0x20, 0x40, 0x80
TRIGGER_LEVELS = (1, 4, 8, 14)


class Uart(Device):
    """A 16550A with its receive FIFO backed by up to `BACKLOG` bytes of waiting input."""

    line_control: int
    modem_control: int
    scratch: int
    divisor: int
    interrupt_enable: int
    fifo_control: int
    transmit_pending: bool
    looped: bytearray
    input: bytearray
    quiet: int
    throttled: bool

    registers = (
        Register(
            "data", DATA, 1, "receive and transmit; with DLAB the divisor's low byte",
            writable=0xFF, stored=False, effects=True,
        ),
        Register("enable", 1, 1, "interrupts enabled; with DLAB the divisor's high byte", writable=0xFF, stored=False),
        Register(
            "identity", 2, 1, "reads why it interrupts, writes FIFO control",
            writable=0xFF, stored=False, effects=True,
        ),
        Register("line_control", 3, 1, "frame format and DLAB", writable=0xFF),
        Register("modem_control", 4, 1, "DTR, RTS, OUT1, OUT2, loop-back", writable=0x1F),
        Register(
            "line_status", LINE_STATUS, 1, "data ready, transmitter empty",
            reset=LSR_EMPTY, stored=False, effects=True,
        ),
        Register("modem_status", 6, 1, "CTS, DSR and DCD are up; in loop-back they follow modem control", stored=False),
        Register("scratch", 7, 1, "for the guest's use", writable=0xFF),
    )  # fmt: skip
    state = (
        State("divisor", 0, "baud rate divisor, without effect"),
        State("interrupt_enable", 0, "IER"),
        State("fifo_control", 0, "FCR bits 0, 6 and 7"),
        State("transmit_pending", False, "transmitter-empty interrupt is up"),
        State("looped", bytearray(), "bytes sent to itself in loop-back"),
        State("input", bytearray(), "bytes the guest has not read", keep=True),
        State("quiet", 0, "line status polls until input shows again"),
        State("throttled", False, "the guest has dropped RTS to stop input"),
    )

    def __init__(self, irq: Irq, backend: CharacterBackend | None, shortcut: Shortcut | None = None) -> None:
        self.irq = irq
        self.backend = backend
        self.shortcut = shortcut
        self.start()

    def room(self) -> int:
        """Return how many bytes `receive` would accept now."""
        return BACKLOG - len(self.input)

    def receive(self, data: bytes) -> int:
        """Take input from the host side, and return how many bytes of it fitted."""
        taken = data[: self.room()]
        self.input += taken
        self.resume()
        return len(taken)

    def _source(self) -> bytearray | None:
        """Return where the data register reads from now, or None where the guest is to see nothing."""
        if self.looped:
            return self.looped
        hidden = self.quiet or self.throttled or self.modem_control & MCR_LOOP
        return None if hidden or not self.input else self.input

    def on_read_data(self) -> int:
        """Receive a byte, zero where there is none."""
        if self.line_control & LCR_DLAB:
            return self.divisor & 0xFF
        source = self._source()
        if source is None:
            return 0
        value = source[0]
        del source[:1]
        self.resume()
        return value

    def on_write_data(self, value: int) -> None:
        """Transmit a byte."""
        if self.line_control & LCR_DLAB:
            self.divisor = self.divisor & 0xFF00 | value
            return
        if self.modem_control & MCR_LOOP:
            if len(self.looped) < FIFO_SIZE:
                self.looped.append(value)
        else:
            self.transmit(bytes((value,)))
            return
        self.transmit_pending = True
        self.resume()

    def transmit(self, data: bytes) -> None:
        """Send bytes."""
        if self.backend is not None:
            self.backend.write(data)
        self.transmit_pending = True
        self.resume()

    def on_read_enable(self) -> int:
        """Answer IER, or the divisor's high byte."""
        return self.divisor >> 8 if self.line_control & LCR_DLAB else self.interrupt_enable

    def on_write_enable(self, value: int) -> None:
        """Set IER; Linux relies on the empty transmitter interrupting anew each time its interrupt is enabled."""
        if self.line_control & LCR_DLAB:
            self.divisor = self.divisor & 0xFF | value << 8
            return
        risen = value & ~self.interrupt_enable
        self.interrupt_enable = value & 0x0F
        if risen & IER_RECEIVE:
            self.quiet, self.throttled = 0, False
        if risen & IER_TRANSMIT:
            self.transmit_pending = True
        self.resume()

    def _cause(self) -> int:
        source = self._source()
        if source and self.interrupt_enable & IER_RECEIVE:
            level = TRIGGER_LEVELS[self.fifo_control >> 6]
            return IIR_TIMEOUT if self.fifo_control & FCR_ENABLE and len(source) < level else IIR_RECEIVE
        return IIR_TRANSMIT if self.transmit_pending and self.interrupt_enable & IER_TRANSMIT else IIR_NONE

    def on_read_identity(self) -> int:
        """Answer IIR; reading takes back the transmitter's interrupt where that is the cause."""
        cause = self._cause()
        if cause == IIR_TRANSMIT:
            self.transmit_pending = False
            self.resume()
        return cause | (IIR_FIFO if self.fifo_control & FCR_ENABLE else 0)

    def on_write_identity(self, value: int) -> None:
        """Set FCR; a reset of the receive FIFO hides input for a while and loses none."""
        if value & FCR_CLEAR_RECEIVE or (value ^ self.fifo_control) & FCR_ENABLE:
            self.looped.clear()
            self.quiet = 0 if self.interrupt_enable & IER_RECEIVE else QUIET_POLLS
        self.fifo_control = value & 0xC1
        self.resume()

    def on_write_line_control(self, value: int) -> None:
        """Set LCR, of which DLAB says what the first two registers are."""
        self.line_control = value
        self.resume()

    def on_write_modem_control(self, value: int) -> None:
        """Set MCR; RTS falling while receiving by interrupt stops input, rising lets it in."""
        fallen = self.modem_control & ~value & MCR_RTS
        self.modem_control = value
        self.throttled = not value & MCR_RTS and (
            self.throttled or bool(fallen and self.interrupt_enable & IER_RECEIVE and not value & MCR_LOOP)
        )
        self.resume()

    def on_read_line_status(self) -> int:
        """Answer LSR and count the polls of a guest that waits for hidden input."""
        if self.quiet:
            self.quiet -= 1
            self.resume()
        return self._status()

    def _status(self) -> int:
        return LSR_EMPTY | (LSR_DATA if self._source() else 0)

    def on_read_modem_status(self) -> int:
        """Answer MSR."""
        control = self.modem_control
        if not control & MCR_LOOP:
            return MSR_CTS | MSR_DSR | MSR_DCD
        pairs = ((MCR_RTS, MSR_CTS), (MCR_DTR, MSR_DSR), (MCR_OUT1, MSR_RI), (MCR_OUT2, MSR_DCD))
        return sum(status for bit, status in pairs if control & bit)

    def resume(self) -> None:
        """Drive the interrupt line, and say what may go by the shortcut."""
        self.irq.set(self._cause() != IIR_NONE)
        if self.shortcut is not None:
            sends = not (self.line_control & LCR_DLAB or self.modem_control & MCR_LOOP)
            silent = sends and not self.interrupt_enable & IER_TRANSMIT
            self.shortcut.collect(DATA, self.transmit if silent else None)
            self.shortcut.answer(LINE_STATUS, None if self.quiet else self._status())
