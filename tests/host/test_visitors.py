"""A port for one client at a time, served by a thread."""

import queue
import socket
import time
from collections.abc import Iterator

import pytest

from guesthouse.errors import UserError
from guesthouse.host.visitors import PIECE, Visitor, VisitorsThread, address_of, listen


class Hall:
    """Notes what happens; clients are let go on by the test."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[str, Visitor, bytes]] = queue.Queue()

    def attach(self, client: Visitor) -> None:
        self.heard.put(("attach", client, b""))

    def receive(self, client: Visitor, data: bytes) -> None:
        self.heard.put(("receive", client, data))

    def leave(self, client: Visitor) -> None:
        self.heard.put(("leave", client, b""))

    def next(self, kind: str) -> tuple[Visitor, bytes]:
        found, client, data = self.heard.get(timeout=10)
        assert found == kind
        return client, data


class Place:
    def __init__(self) -> None:
        self.hall = Hall()
        self._listener = listen("127.0.0.1", 0)
        self.address = self._listener.getsockname()
        self.thread = VisitorsThread(self._listener, self.hall)

    def visit(self) -> socket.socket:
        return socket.create_connection(self.address, 10)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.thread.close()


def test_a_visit(place: Place) -> None:
    caller = place.visit()
    client, _ = place.hall.next("attach")
    caller.sendall(b"one")
    assert place.hall.next("receive") == (client, b"one")
    caller.sendall(b"two")
    time.sleep(0.05)
    assert place.hall.heard.empty()  # until the first has been dealt with
    client.send(b"answer")
    client.taken()
    assert caller.recv(100) == b"answer"
    assert place.hall.next("receive") == (client, b"two")
    client.taken()
    caller.close()
    assert place.hall.next("leave") == (client, b"")


def test_what_is_queued_goes_before_the_line_is_cut(place: Place) -> None:
    caller = place.visit()
    client, _ = place.hall.next("attach")
    client.send(b"last words")
    client.hang_up()
    assert caller.recv(100) == b"last words"
    assert caller.recv(100) == b""
    place.hall.next("leave")


def test_pieces_are_small_and_an_answer_that_nobody_reads_stops_the_questions(place: Place) -> None:
    caller = place.visit()
    client, _ = place.hall.next("attach")
    caller.sendall(b"x" * 10 * PIECE)
    _, data = place.hall.next("receive")
    assert len(data) <= PIECE
    client.send(bytes(20 << 20))  # more than sockets hold
    client.taken()
    time.sleep(0.1)
    assert place.hall.heard.empty()
    left = 20 << 20
    while left:
        left -= len(caller.recv(1 << 20))
    place.hall.next("receive")  # now there is room again
    caller.close()


def test_who_comes_second_is_turned_away_and_who_comes_behind_waits(place: Place) -> None:
    first = place.visit()
    client, _ = place.hall.next("attach")
    assert place.visit().recv(1) == b""
    first.close()
    assert place.hall.next("leave") == (client, b"")
    second, third = place.visit(), place.visit()
    assert third.recv(1) == b""  # one may wait, not many
    assert place.hall.heard.empty()
    client.taken()  # its end has been dealt with
    place.hall.next("attach")
    second.close()


def test_closing_lets_the_client_go(place: Place) -> None:
    caller = place.visit()
    client, _ = place.hall.next("attach")
    place.thread.close()
    assert caller.recv(1) == b""
    place.hall.next("leave")
    client.send(b"nobody is there")
    client.taken()
    with pytest.raises(OSError):
        place.visit()


def test_addresses() -> None:
    with listen("localhost", 0) as listener:
        assert address_of(listener).rpartition(":")[0] in ("127.0.0.1", "[::1]")
    for host, port in (("no such host", 1), ("192.0.2.1", 1)):
        with pytest.raises(UserError, match="choose another port"):
            listen(host, port)
    with pytest.raises(UserError, match="no port 65536"):
        listen("127.0.0.1", 65536)
