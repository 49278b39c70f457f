import struct

from guesthouse.virtual.devices.virtio.console import (
    CONSOLE_PORT,
    CONTROL_IN,
    CONTROL_OUT,
    DEVICE_READY,
    MULTIPORT,
    PORT_ADD,
    PORT_NAME,
    PORT_OPEN,
    PORT_READY,
    PortDefinition,
    VirtioConsole,
)
from tests.virtual.devices.fakes import Output
from tests.virtual.devices.virtio.driver import Driver

RECEIVE, TRANSMIT = 4, 5
"""The queues of port 1."""


class Guest(Driver):
    """A driver that has started the ports."""

    def __init__(self, packed: bool = False, ready: bool = True) -> None:
        self.outputs = [Output(), Output()]
        names = ("console", "guesthouse.stdin")
        self.console = VirtioConsole([PortDefinition(*pair) for pair in zip(names, self.outputs, strict=True)])
        super().__init__(self.console, packed=packed, features=1 << MULTIPORT)
        self.events: list[tuple[int, int, int, bytes]] = []
        if ready:
            self.room_for_control()
            self.say(0, DEVICE_READY, 1)
            self.say(1, PORT_READY, 1)

    def room_for_control(self) -> None:
        for _ in range(4):
            self.add(CONTROL_IN, [], [32])
        self.kick(CONTROL_IN)

    def say(self, port: int, event: int, value: int) -> None:
        self.ask(CONTROL_OUT, [struct.pack("<IHH", port, event, value)])

    def hear(self) -> list[tuple[int, int, int, bytes]]:
        events = []
        while (done := self.take(CONTROL_IN)) is not None:
            _, length, data = done
            events.append((*struct.unpack("<IHH", data[:8]), data[8:length]))
            self.add(CONTROL_IN, [], [32])
            self.kick(CONTROL_IN)
        return events


def test_ports_are_announced_and_named() -> None:
    for packed in (False, True):
        guest = Guest(packed, ready=False)
        assert guest.device.read(0x104, 4) == 2
        guest.room_for_control()
        guest.say(0, DEVICE_READY, 1)
        assert guest.hear() == [(0, PORT_ADD, 1, b""), (1, PORT_ADD, 1, b"")]
        guest.say(0, PORT_READY, 1)
        assert guest.hear() == [(0, CONSOLE_PORT, 1, b""), (0, PORT_OPEN, 1, b"")]
        guest.say(1, PORT_READY, 1)
        assert guest.hear() == [(1, PORT_OPEN, 1, b""), (1, PORT_NAME, 1, b"guesthouse.stdin")]


def test_control_messages_wait_for_room() -> None:
    guest = Guest(ready=False)
    guest.say(0, DEVICE_READY, 1)
    assert guest.hear() == []
    guest.room_for_control()
    assert [event[:2] for event in guest.hear()] == [(0, PORT_ADD), (1, PORT_ADD)]


def test_output_reaches_its_backend() -> None:
    guest = Guest()
    guest.ask(TRANSMIT, [b"hello ", b"host"])
    guest.ask(1, [b"console"])
    assert (guest.outputs[1].data, guest.outputs[0].data) == (b"hello host", b"console")


def test_input_waits_until_the_port_is_open_and_has_room() -> None:
    guest = Guest()
    port = guest.console.ports[1]
    assert port.receive(b"abcdef") == 6
    guest.add(RECEIVE, [], [4])
    guest.kick(RECEIVE)
    assert guest.take(RECEIVE) is None
    guest.say(1, PORT_OPEN, 1)
    assert guest.outputs[1].is_open
    done = guest.take(RECEIVE)
    assert done is not None and done[1:] == (4, b"abcd")
    guest.add(RECEIVE, [], [4])
    guest.kick(RECEIVE)
    done = guest.take(RECEIVE)
    assert done is not None and done[1:] == (2, b"ef\0\0")


def test_input_is_bounded() -> None:
    port = Guest().console.ports[1]
    room = port.room()
    assert port.receive(bytes(room + 5)) == room
    assert port.room() == 0


def test_the_end_of_input_comes_after_the_last_byte() -> None:
    guest = Guest()
    guest.hear()
    port = guest.console.ports[1]
    port.receive(b"last")
    port.disconnect()
    guest.say(1, PORT_OPEN, 1)
    assert guest.hear() == []
    guest.add(RECEIVE, [], [8])
    guest.kick(RECEIVE)
    assert guest.take(RECEIVE) is not None
    assert guest.hear() == [(1, PORT_OPEN, 0, b"")]


def test_a_port_closed_before_it_was_opened_still_ends() -> None:
    guest = Guest(ready=False)
    guest.console.ports[1].disconnect()
    guest.room_for_control()
    guest.say(0, DEVICE_READY, 1)
    guest.say(1, PORT_READY, 1)
    guest.say(1, PORT_OPEN, 1)
    assert (1, PORT_OPEN, 0, b"") in guest.hear()


def test_the_guest_s_closing_is_heard() -> None:
    guest = Guest()
    guest.say(1, PORT_OPEN, 1)
    guest.say(1, PORT_OPEN, 0)
    assert not guest.outputs[1].is_open
    guest.say(1, PORT_OPEN, 1)
    guest.device.write(0x70, 4, 0)
    assert not guest.outputs[1].is_open


def test_emergency_write_needs_no_driver() -> None:
    guest = Guest(ready=False)
    guest.device.write(0x108, 4, ord("!"))
    assert guest.outputs[0].data == b"!"


def test_resizing_changes_the_configuration() -> None:
    guest = Guest()
    guest.acknowledge()
    generation = guest.device.read(0xFC, 4)
    guest.console.resize(132, 43)
    assert (guest.device.read(0x100, 2), guest.device.read(0x102, 2)) == (132, 43)
    assert guest.device.read(0xFC, 4) != generation
    assert guest.acknowledge() & 2
