"""The protocol of virtio sockets: connections, credit, halves, resets; and whatever a hostile guest may send."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse.virtual.sockets.connection import Connection, State
from guesthouse.virtual.sockets.exchange import FIRST_PORT, Exchange
from guesthouse.virtual.sockets.packets import (
    BUFFER,
    CREDIT_REQUEST,
    CREDIT_UPDATE,
    DATA,
    GUEST,
    HOST,
    LAST_PORT,
    NO_RECEIVE,
    NO_SEND,
    PACKET,
    REQUEST,
    RESPONSE,
    RST,
    SHUTDOWN,
    Header,
    unpack,
)

PORT, SERVICE = 1024, 80
ROOM = 1 << 16


class World:
    """An exchange with a guest and a host that are played by the test."""

    def __init__(self, most: int = 8) -> None:
        self.exchange = Exchange(self, self._take, most)
        self.packets: list[tuple[Header, bytes]] = []
        self.served = {SERVICE}
        self.last: Connection | None = None
        self.changes = 0

    def _take(self, packet: bytes) -> None:
        self.packets.append((unpack(packet), packet[PACKET.size :]))

    def asked(self, connection: Connection) -> bool:
        self.last = connection
        return connection.host_port in self.served

    def changed(self, connection: Connection) -> None:
        self.last = connection
        self.changes += 1

    def guest(self, operation: int, data: bytes = b"", **fields: int) -> list[tuple[int, int]]:
        """A packet of the guest's; returns the operation and flags of each answer."""
        usual = {"source": GUEST, "destination": HOST, "source_port": PORT, "destination_port": SERVICE}
        header = Header(**{**usual, "length": len(data), "buffer": ROOM, "operation": operation, **fields})
        self.exchange.receive(memoryview(header.pack() + data))
        return self.told()

    def told(self) -> list[tuple[int, int]]:
        packets, self.packets = self.packets, []
        self.headers = [header for header, _ in packets]
        self.data = b"".join(data for _, data in packets)
        return [(header.operation, header.flags) for header in self.headers]

    def connected(self) -> Connection:
        assert self.guest(REQUEST) == [(RESPONSE, 0)]
        assert self.last is not None
        return self.last


@pytest.fixture
def world() -> World:
    return World()


def test_the_guest_reaches_a_port_of_the_host(world: World) -> None:
    connection = world.connected()
    answer = world.headers[0]
    assert (answer.source, answer.destination, answer.source_port, answer.destination_port) == (2, 3, SERVICE, PORT)
    assert (answer.buffer, answer.forwarded, answer.type, answer.length) == (BUFFER, 0, 1, 0)
    assert connection.state is State.OPEN and connection.room == ROOM and len(world.exchange) == 1


def test_a_port_where_nobody_is_refuses(world: World) -> None:
    assert world.guest(REQUEST, destination_port=81) == [(RST, 0)]
    assert (world.headers[0].source_port, world.headers[0].destination_port) == (81, PORT)
    assert len(world.exchange) == 0


def test_the_host_reaches_a_port_of_the_guest(world: World) -> None:
    connection = world.exchange.connect(5000)
    assert connection is not None and world.told() == [(REQUEST, 0)]
    assert (world.headers[0].source_port, world.headers[0].destination_port) == (FIRST_PORT, 5000)
    assert connection.state is State.ASKED and connection.room == 0
    assert world.guest(RESPONSE, source_port=5000, destination_port=FIRST_PORT, buffer=10) == []
    assert connection.state is State.OPEN and connection.room == 10 and world.last is connection


def test_the_guest_may_refuse(world: World) -> None:
    connection = world.exchange.connect(5000)
    assert connection is not None
    world.told()
    assert world.guest(RST, source_port=5000, destination_port=FIRST_PORT) == []
    assert connection.state is State.GONE and world.last is connection and len(world.exchange) == 0


@pytest.mark.parametrize("operation", [REQUEST, DATA, SHUTDOWN, CREDIT_UPDATE, CREDIT_REQUEST, 0, 99])
def test_nothing_but_an_answer_is_an_answer(world: World, operation: int) -> None:
    connection = world.exchange.connect(5000)
    assert connection is not None
    world.told()
    assert world.guest(operation, source_port=5000, destination_port=FIRST_PORT) == [(RST, 0)]
    assert connection.state is State.GONE


def test_bytes_come_in_their_order_and_credit_goes_back(world: World) -> None:
    connection = world.connected()
    assert world.guest(DATA, b"one ") == [] and world.guest(DATA, b"two") == []
    assert connection.received == b"one two"
    world.exchange.forward(connection, 3)
    assert world.told() == [] and connection.received == b" two"
    assert world.guest(CREDIT_REQUEST) == [(CREDIT_UPDATE, 0)]
    assert world.headers[0].forwarded == 3
    world.guest(DATA, bytes(BUFFER // 2))
    world.exchange.forward(connection, BUFFER // 2)
    assert world.told() == [(CREDIT_UPDATE, 0)] and world.headers[0].forwarded == BUFFER // 2 + 3


def test_more_than_the_credit_ends_the_connection(world: World) -> None:
    connection = world.connected()
    assert world.guest(DATA, bytes(BUFFER)) == []
    assert world.guest(DATA, b"x") == [(RST, 0)]
    assert connection.state is State.GONE and not connection.received and len(world.exchange) == 0


def test_the_guest_gets_as_much_as_it_takes(world: World) -> None:
    connection = world.connected()
    world.exchange.send(connection, b"hello")
    assert world.told() == [(DATA, 0)] and world.data == b"hello" and world.headers[0].length == 5
    assert connection.room == ROOM - 5
    world.exchange.send(connection, bytes(ROOM - 5))
    assert world.told() == [(DATA, 0), (CREDIT_REQUEST, 0)] and connection.room == 0
    changes = world.changes
    world.guest(CREDIT_UPDATE, forwarded=5)
    assert connection.room == 5 and world.changes == changes + 1
    world.guest(CREDIT_UPDATE, forwarded=5)
    assert world.changes == changes + 1, "nothing new"
    world.guest(CREDIT_UPDATE, forwarded=ROOM + 1, buffer=0xFFFF_FFFF)
    assert connection.room == 0, "it has taken more than there was"


def test_counts_of_bytes_go_round(world: World) -> None:
    connection = world.connected()
    sent = 0
    for _ in range(3):
        connection._sent = connection._sent + (3 << 29) & 0xFFFF_FFFF
        sent += 3 << 29
        world.guest(CREDIT_UPDATE, forwarded=sent & 0xFFFF_FFFF)
        assert connection.room == ROOM
    connection._forwarded = connection._told = 0xFFFF_FFFF
    world.guest(DATA, bytes(BUFFER // 2))
    world.exchange.forward(connection, BUFFER // 2)
    assert world.told() == [(CREDIT_UPDATE, 0)] and world.headers[0].forwarded == BUFFER // 2 - 1


def test_either_side_may_stop_sending_alone(world: World) -> None:
    connection = world.connected()
    world.guest(DATA, b"last words")
    assert world.guest(SHUTDOWN, flags=NO_SEND) == []
    assert not connection.guest_sends and connection.received == b"last words" and connection.room == ROOM
    world.exchange.send(connection, b"answer")
    assert world.told() == [(DATA, 0)]
    world.exchange.shut(connection, NO_SEND)
    assert world.told() == [(SHUTDOWN, NO_SEND)] and connection.room == 0
    assert world.guest(SHUTDOWN, flags=NO_RECEIVE) == [(RST, 0)]
    assert connection.state is State.GONE and connection.received == b"last words", "the host still gets it"


def test_what_the_guest_does_not_receive_is_not_sent(world: World) -> None:
    connection = world.connected()
    world.guest(SHUTDOWN, flags=NO_RECEIVE)
    assert connection.room == 0 and connection.guest_sends
    assert world.guest(DATA, b"still") == [] and connection.received == b"still"


def test_sending_behind_its_end_is_wrong(world: World) -> None:
    connection = world.connected()
    world.guest(SHUTDOWN, flags=NO_SEND)
    assert world.guest(DATA, b"x") == [(RST, 0)] and connection.state is State.GONE


def test_the_host_may_close_both_and_waits_for_the_guest(world: World) -> None:
    connection = world.connected()
    world.guest(DATA, b"unread")
    world.exchange.shut(connection, NO_SEND | NO_RECEIVE)
    assert world.told() == [(SHUTDOWN, NO_SEND | NO_RECEIVE)] and not connection.received
    assert world.guest(DATA, b"under way") == [] and not connection.received
    assert world.guest(RST) == [] and len(world.exchange) == 0 and connection.state is State.GONE


def test_a_reset_takes_what_was_not_complete_with_it(world: World) -> None:
    connection = world.connected()
    world.guest(DATA, b"half")
    assert world.guest(RST) == [] and not connection.received
    connection = world.connected()
    world.guest(DATA, b"whole")
    world.guest(SHUTDOWN, flags=NO_SEND)
    assert world.guest(RST) == [] and connection.received == b"whole"


def test_strange_packets_are_dropped_or_refused(world: World) -> None:
    for fields in ({"source": 4}, {"source": HOST}, {"destination": 3}, {"destination": 1 << 40}):
        assert world.guest(REQUEST, **fields) == [] and len(world.exchange) == 0
    world.exchange.receive(memoryview(bytes(PACKET.size - 1)))
    assert world.guest(DATA, b"x") == [(RST, 0)], "of no connection"
    assert world.guest(RST) == [], "resets are not answered"
    assert world.guest(REQUEST, type=2) == [(RST, 0)] and world.headers[0].type == 2
    assert world.guest(REQUEST, source_port=LAST_PORT + 1) == [(RST, 0)]
    world.connected()
    assert world.guest(DATA, b"x", length=2) == [(RST, 0)] and len(world.exchange) == 0
    world.connected()
    assert world.guest(REQUEST) == [(RST, 0)] and len(world.exchange) == 0


def test_there_are_only_so_many_connections(world: World) -> None:
    for port in range(8):
        assert world.guest(REQUEST, source_port=port) == [(RESPONSE, 0)]
    assert world.guest(REQUEST, source_port=9) == [(RST, 0)]
    assert world.exchange.connect(1) is None
    world.guest(RST, source_port=3)
    assert world.exchange.connect(1) is not None


def test_ports_of_the_host_s_are_not_used_twice(world: World) -> None:
    world.exchange._next_port = LAST_PORT
    first, second, third = (world.exchange.connect(7) for _ in range(3))
    assert first and second and third
    assert [each.host_port for each in (first, second, third)] == [LAST_PORT, FIRST_PORT, FIRST_PORT + 1]
    world.exchange._next_port = FIRST_PORT
    fourth = world.exchange.connect(7)
    assert fourth and fourth.host_port == FIRST_PORT + 2


def test_a_driver_that_starts_anew_has_no_connections(world: World) -> None:
    connection = world.connected()
    world.guest(DATA, b"half")
    asked = world.exchange.connect(1)
    world.told()
    world.exchange.reset()
    assert world.told() == [] and len(world.exchange) == 0
    assert asked and asked.state is connection.state is State.GONE and not connection.received
    world.exchange.shut(connection, NO_SEND)
    world.exchange.abort(connection)
    assert world.told() == []


numbers = st.one_of(st.integers(0, 8), st.integers(0, 0xFFFF_FFFF), st.sampled_from((BUFFER, 0xFFFF_FFFF, FIRST_PORT)))
headers = st.builds(
    Header,
    source=st.sampled_from((GUEST, GUEST, GUEST, GUEST, 2, 1 << 60)),
    destination=st.sampled_from((HOST, HOST, HOST, HOST, 0, 3)),
    source_port=st.integers(0, 3),
    destination_port=st.sampled_from((SERVICE, SERVICE, 81, FIRST_PORT, FIRST_PORT + 1)),
    length=numbers,
    type=st.sampled_from((1, 1, 1, 1, 2, 0xFFFF)),
    operation=st.one_of(st.integers(0, 8), st.integers(0, 0xFFFF)),
    flags=st.one_of(st.integers(0, 3), numbers),
    buffer=numbers,
    forwarded=numbers,
)


@settings(max_examples=300, deadline=None)
@given(packets=st.lists(st.tuples(headers, st.integers(0, BUFFER + 9), st.booleans()), max_size=60), seed=st.integers())
def test_a_hostile_guest_breaks_nothing(packets: list[tuple[Header, int, bool]], seed: int) -> None:
    world, dice, known = World(most=4), random.Random(seed), set[Connection]()
    for header, size, honest in packets:
        if honest:
            header.length = size
        world.exchange.receive(memoryview(header.pack() + bytes(size)))
        assert len(world.told()) <= 1
        if dice.random() < 0.3:
            world.exchange.connect(dice.randrange(4))
        known.update(world.exchange)
        for connection in sorted(known, key=lambda each: (each.guest_port, each.host_port)):
            choice = dice.randrange(8)
            if choice == 0 and connection.room:
                world.exchange.send(connection, bytes(min(connection.room, 100)))
            elif choice == 1:
                world.exchange.forward(connection, dice.randint(0, len(connection.received)))
            elif choice == 2 and connection.state is State.OPEN:
                world.exchange.shut(connection, dice.choice((1, 2, 3)))
            elif choice == 3 and dice.random() < 0.1:
                world.exchange.abort(connection)
            assert len(connection.received) <= BUFFER and 0 <= connection.room <= 0xFFFF_FFFF
        world.told()
        assert len(world.exchange) <= 4
        assert all(each.state is not State.GONE for each in world.exchange)
