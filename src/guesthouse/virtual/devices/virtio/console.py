"""The virtio console (section 5.3) with several ports: port 0 is a console, the others are named byte streams.

No input is lost: it waits in the port, bounded, until the guest has opened the port and gives a buffer. When the host
side disconnects, the guest is told after the last byte has been handed over, so that its reader sees the end of file.

Not modelled: removing ports, and the resize message (Linux and the specification order its fields differently; the
configuration space tells the size).
"""

import struct
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from guesthouse.virtual.devices.state import Register, State, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import CHUNK, Chain, RingError
from guesthouse.virtual.devices.wires import PortBackend

SIZE, MULTIPORT, EMERGENCY_WRITE = 0, 1, 2
CONTROL = struct.Struct("<IHH")
DEVICE_READY, PORT_ADD, PORT_READY, CONSOLE_PORT, PORT_OPEN, PORT_NAME = 0, 1, 3, 4, 6, 7
CONTROL_IN, CONTROL_OUT = 2, 3
BACKLOG = 1 << 16
MAX_MESSAGES = 256
MAX_WRITE = 1 << 24


class PortDefinition(msgspec.Struct, frozen=True):
    """One port: its name in the guest (/sys/class/virtio-ports/*/name) and the host's end."""

    name: str
    backend: PortBackend | None = None


class Port(Stateful):
    """The host's end of one port."""

    input: bytearray
    connected: bool
    announced: bool
    guest_open: bool

    state = (
        State("input", bytearray(), "bytes the guest has not taken", keep=True),
        State("connected", True, "the host's end is open", keep=True),
        State("announced", False, "the guest has been told that the host's end is open"),
        State("guest_open", False, "the guest has opened its end"),
    )

    def __init__(self, console: "VirtioConsole", number: int, definition: PortDefinition) -> None:
        self.console = console
        self.number = number
        self.name = definition.name
        self.backend = definition.backend
        self.start()

    def resume(self) -> None:
        """Tell the host's end how the guest's stands."""
        if self.backend is not None:
            self.backend.opened(self.guest_open)

    def room(self) -> int:
        """Return how many bytes `receive` would accept now."""
        return BACKLOG - len(self.input) if self.connected else 0

    def receive(self, data: bytes) -> int:
        """Take input from the host side, and return how many bytes of it fitted."""
        taken = data[: self.room()]
        self.input += taken
        self.console.deliver(self)
        return len(taken)

    def connect(self) -> None:
        """Open the host's end (it is open from the start)."""
        self.connected = True
        self.console.deliver(self)

    def disconnect(self) -> None:
        """Close the host's end: the guest reads what is waiting, then the end of file."""
        self.connected = False
        self.console.deliver(self)


class VirtioConsole(Function):
    """A console of `columns` by `rows` characters, and ports."""

    columns: int
    rows: int
    messages: list[list[int]]
    device_id: ClassVar[int] = 3
    registers = (
        Register("columns", 0, 2, "characters in a line", reset=80),
        Register("rows", 2, 2, "lines", reset=24),
        Register("max_nr_ports", 4, stored=False, doc="number of ports"),
        Register(
            "emergency_write", 8, writable=0xFFFF_FFFF, stored=False, effects=True,
            doc="puts out its low byte at any time",
        ),
    )  # fmt: skip
    state = (State("messages", [], "control messages waiting for a buffer, each id, event, value"),)

    def __init__(self, ports: Sequence[PortDefinition]) -> None:
        self.ports = [Port(self, number, definition) for number, definition in enumerate(ports)]
        self.queue_sizes = (128, 128, 64, 64) + (128, 128) * (len(self.ports) - 1)
        self.features = 1 << SIZE | 1 << MULTIPORT | 1 << EMERGENCY_WRITE
        self.start()

    def parts(self) -> dict[str, Stateful]:
        """The ports, by number (a name need not be unique)."""
        return {f"port{port.number}": port for port in self.ports}

    def on_read_max_nr_ports(self) -> int:
        """Answer the number of ports."""
        return len(self.ports)

    def on_write_emergency_write(self, value: int) -> None:
        """Put out one character, even without a driver."""
        self._put(self.ports[0], bytes((value & 0xFF,)))

    def resize(self, columns: int, rows: int) -> None:
        """Tell the guest the terminal's size in characters."""
        self.columns, self.rows = columns & 0xFFFF, rows & 0xFFFF
        self.transport.config_changed()

    def notify(self, queue: int) -> None:
        """Take output, control messages, or fresh room for input."""
        if queue == CONTROL_OUT:
            self.transport.serve(queue, self._control)
            self._flush_control()
        elif queue == CONTROL_IN:
            self._flush_control()
        else:
            port = self.ports[max(0, queue // 2 - 1)]
            if queue % 2:
                self.transport.serve(queue, lambda chain: self._output(port, chain))
            else:
                self.deliver(port)

    def _multiport(self) -> bool:
        return self.transport.accepted(MULTIPORT)

    # Data.

    def _put(self, port: Port, data: bytes) -> None:
        if port.backend is not None:
            port.backend.write(data)

    def _output(self, port: Port, chain: Chain) -> int:
        length = chain.to_read
        if length > MAX_WRITE:
            raise RingError("more output at once than any driver gives")
        for start in range(0, length, CHUNK):
            self._put(port, chain.read(self.transport.memory, start, CHUNK))
        return 0

    def deliver(self, port: Port) -> None:
        """Hand waiting input to a port of the guest, and then tell it of the host's end where that has changed."""
        queue = 2 * port.number + 2 if port.number else 0
        if port.guest_open or not self._multiport():
            self.transport.serve(queue, lambda chain: self._input(port, chain), lambda: bool(port.input))
        if port.guest_open and port.announced != port.connected and (port.connected or not port.input):
            self._announce(port, port.connected)

    def _input(self, port: Port, chain: Chain) -> int:
        data = bytes(port.input[: min(chain.to_write, BACKLOG)])
        if not data:
            raise RingError("an input buffer without room")
        chain.write(self.transport.memory, 0, data)
        del port.input[: len(data)]
        return len(data)

    # Control messages (section 5.3.6.2).

    def _control(self, chain: Chain) -> int:
        if chain.to_read < CONTROL.size:
            return 0
        number, event, value = CONTROL.unpack(chain.read(self.transport.memory, 0, CONTROL.size))
        if event == DEVICE_READY and value:
            for port in self.ports:
                self._send(port.number, PORT_ADD, 1)
        elif number < len(self.ports):
            self._port_event(self.ports[number], event, value)
        return 0

    def _port_event(self, port: Port, event: int, value: int) -> None:
        if event == PORT_READY and value:
            if port.number == 0:
                self._send(0, CONSOLE_PORT, 1)
            # Before the name, by which a program finds the port: reading a port that is not open ends at once. A port
            # whose host side has closed already starts open too, so that its reader sees what it wrote, then the end.
            self._announce(port, True)
            if port.number:
                self._send(port.number, PORT_NAME, 1)
        elif event == PORT_OPEN:
            was_open, port.guest_open = port.guest_open, bool(value)
            if port.backend is not None and was_open != port.guest_open:
                port.backend.opened(port.guest_open)
            self.deliver(port)

    def _announce(self, port: Port, is_open: bool) -> None:
        port.announced = is_open
        self._send(port.number, PORT_OPEN, int(is_open))

    def _send(self, number: int, event: int, value: int = 0) -> None:
        if self._multiport() and len(self.messages) < MAX_MESSAGES:
            self.messages.append([number, event, value])
            self._flush_control()

    def _flush_control(self) -> None:
        self.transport.serve(CONTROL_IN, self._next_message, lambda: bool(self.messages))

    def _next_message(self, chain: Chain) -> int:
        number, event, value = self.messages.pop(0)
        data = CONTROL.pack(number, event, value)
        if event == PORT_NAME:
            data += self.ports[number].name.encode()
        chain.write(self.transport.memory, 0, data)
        return min(len(data), chain.to_write)
