"""The machine's end of a network, between a real wire and a card that is not real."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.network_wires import PLAIN, PacketWire, open_stream
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.machine.engines import make_state
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.machine.network import AT_ONCE, Cable, NetworkLink
from guesthouse.virtual.machine.network_port import MOST, NetworkPort

MAC = bytes.fromhex("525400123456")
FRAME = bytes(range(60))


class Card:
    """Takes packets while it has room."""

    def __init__(self) -> None:
        self.room = 1000
        self.got: list[bytes] = []
        self.links: list[bool] = []
        self.sends = self.settled = 0

    def deliver(self, packet: memoryview) -> bool:
        if len(self.got) >= self.room:
            return False
        self.got.append(bytes(packet[12:]))
        return True

    def settle(self) -> None:
        self.settled += 1

    def send_all(self) -> None:
        self.sends += 1

    def set_link(self, up: bool) -> None:
        self.links.append(up)


def plugged(link: Cable) -> tuple[Card, Inbox]:
    card, inbox = Card(), Inbox(make_state(ISA))
    link.connect(inbox)
    link.attach(card)
    link.room()
    return card, inbox


def serve_until(inbox: Inbox, wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not wanted():
        assert time.monotonic() < deadline
        inbox.wait(0.05)
        inbox.serve()


@pytest.fixture
def ends() -> Iterator[tuple[NetworkLink, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = NetworkLink(PacketWire(ours.detach()), MAC)
    with theirs:
        yield link, theirs
    link.close()


def test_packets_pass_both_ways_and_are_looked_at(ends: tuple[NetworkLink, socket.socket]) -> None:
    link, theirs = ends
    seen: list[tuple[bytes, bool]] = []
    link.look = lambda frame, sent: seen.append((bytes(frame), sent))
    card, inbox = plugged(link)
    assert link.send([memoryview(PLAIN), memoryview(FRAME)]) and theirs.recv(100) == PLAIN + FRAME
    for number in range(3 * AT_ONCE):
        theirs.send(PLAIN + bytes([number]))
        serve_until(inbox, lambda number=number: len(card.got) > number)  # type: ignore[misc]
    assert card.got == [bytes([number]) for number in range(3 * AT_ONCE)]
    assert seen == [(FRAME, True)] + [(frame, False) for frame in card.got]


def test_many_packets_at_once_leave_the_guest_its_turns(ends: tuple[NetworkLink, socket.socket]) -> None:
    link, theirs = ends
    theirs.setblocking(False)
    sent = 0
    try:
        while sent < 3 * AT_ONCE:
            theirs.send(PLAIN + bytes([sent]))
            sent += 1
    except BlockingIOError:
        pass
    card, inbox = plugged(link)
    assert len(card.got) <= AT_ONCE
    serve_until(inbox, lambda: len(card.got) == sent)


def test_what_the_guest_has_no_room_for_waits(ends: tuple[NetworkLink, socket.socket]) -> None:
    link, theirs = ends
    card, inbox = plugged(link)
    card.room = 2
    for number in range(5):
        theirs.send(PLAIN + bytes([number]))
    serve_until(inbox, lambda: len(card.got) == 2)
    settled = card.settled
    time.sleep(0.1)
    inbox.serve()
    assert card.settled == settled, "nobody looks while there is no room"
    card.room = 100
    link.room()
    serve_until(inbox, lambda: len(card.got) == 5)
    assert card.got == [bytes([number]) for number in range(5)]


def test_a_full_wire_is_told_and_told_again_when_there_is_room(ends: tuple[NetworkLink, socket.socket]) -> None:
    link, theirs = ends
    seen: list[bool] = []
    link.look = lambda frame, sent: seen.append(sent)
    card, inbox = plugged(link)
    count = 0
    while link.send([memoryview(PLAIN), memoryview(bytes(5000))]):
        count += 1
    assert len(seen) == count, "what was not taken has not been seen"
    assert card.sends == 0
    for _ in range(count):
        theirs.recv(6000)
    serve_until(inbox, lambda: card.sends > 0)
    assert link.send([memoryview(PLAIN), memoryview(FRAME)])


def test_a_network_that_ends_is_a_cable_pulled_out(ends: tuple[NetworkLink, socket.socket]) -> None:
    link, theirs = ends
    card, inbox = plugged(link)
    assert link.up and not card.links
    theirs.close()
    serve_until(inbox, lambda: bool(card.links))
    assert card.links == [False] and not link.up
    assert link.send([memoryview(PLAIN), memoryview(FRAME)]), "swallowed, not kept for ever"
    link.room()
    assert card.links == [False]


def test_the_cable_of_a_listening_socket_follows_its_peers(tmp_path: Path) -> None:
    path = str(tmp_path / "net")
    link = NetworkLink(open_stream(path), MAC)
    assert not link.up and not link.offload
    card, inbox = plugged(link)
    for turn in range(1, 4):
        peer = open_stream(path)
        serve_until(inbox, lambda: card.links[-1:] == [True])
        assert link.send([memoryview(PLAIN), memoryview(FRAME)])
        peer.send([memoryview(PLAIN), memoryview(FRAME)])
        serve_until(inbox, lambda turn=turn: len(card.got) == turn)  # type: ignore[misc]
        peer.close()
        serve_until(inbox, lambda: card.links[-1:] == [False])
    assert card.links == [True, False] * 3
    link.close()


def test_a_port_gives_and_takes_frames_as_bytes() -> None:
    port = NetworkPort()
    assert port.put(FRAME), "before there is a machine"
    card, inbox = plugged(port)
    assert card.got == [FRAME]
    card.room = 1
    port.put(FRAME + b"2")
    inbox.serve()
    assert card.got == [FRAME]
    card.room = 9
    port.room()
    assert card.got == [FRAME, FRAME + b"2"]
    assert port.get() is None
    assert port.send([memoryview(PLAIN), memoryview(FRAME)]) and port.get() == FRAME
    for number in range(MOST + 5):
        port.send([memoryview(PLAIN), memoryview(number.to_bytes(4, "big"))])
    assert port.get() == (5).to_bytes(4, "big"), "the oldest are forgotten"
    port.set_link(False)
    inbox.serve()
    assert card.links == [False]


def test_a_port_is_bounded_and_refuses_what_is_no_frame() -> None:
    port = NetworkPort(offload=True)
    for data in (b"", bytes(25), bytes(70_000)):
        with pytest.raises(ValueError, match="bytes"):
            port.put(data)
    assert [port.put(PLAIN + FRAME) for _ in range(MOST + 1)] == [True] * MOST + [False]
    for mac in ("52:54", "53:54:00:00:00:00"):
        with pytest.raises(UserError, match="no address of a card"):
            NetworkPort(mac)
