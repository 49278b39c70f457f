"""Connections carried on to the host's sockets, by the loop that the process has, with a guest played by the test."""

import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from guesthouse.host.guest_sockets import opened_listener
from guesthouse.virtual.sockets import companion as module
from guesthouse.virtual.sockets.companion import Service
from guesthouse.virtual.sockets.exchange import FIRST_PORT
from guesthouse.virtual.sockets.packets import (
    BUFFER,
    CARRY,
    CREDIT_UPDATE,
    DATA,
    GUEST,
    HOST,
    MESSAGE,
    NO_RECEIVE,
    NO_SEND,
    PACKET,
    REQUEST,
    RESET,
    RESET_DONE,
    RESPONSE,
    RST,
    SHUTDOWN,
    Header,
    message,
    unpack,
)

WAIT = 20.0


class Guest:
    """The device's end of the process's socket."""

    def __init__(self, folder: Path, most: int = 8) -> None:
        self.folder = folder
        self.path = str(folder / "s")
        self.link, theirs = socket.socketpair()
        self.link.settimeout(WAIT)
        with opened_listener(self.path) as (listening, _, name):
            listener = socket.socket(fileno=os.dup(listening))
        service = Service(theirs.detach(), listener, str(folder).encode() + b"/" + name, most)
        self.service = service
        self.thread = threading.Thread(target=service.serve)
        self.thread.start()
        self.listener = listener
        self.buffer = b""

    def close(self) -> None:
        self.link.close()
        self.thread.join(WAIT)
        self.listener.close()
        assert not self.thread.is_alive()

    def send(
        self, operation: int, data: bytes = b"", port: int = 5000, host_port: int = FIRST_PORT, **fields: int
    ) -> None:
        usual = {"source": GUEST, "destination": HOST, "source_port": port, "destination_port": host_port}
        header = Header(**{**usual, "length": len(data), "buffer": 1 << 16, "operation": operation, **fields})
        self.link.sendall(message(CARRY, 0, header.pack(), data))

    def take(self) -> tuple[int, int, bytes]:
        """The next message: kind, serial, content."""
        while len(self.buffer) < 4 or len(self.buffer) < struct.unpack_from("<I", self.buffer)[0]:
            data = self.link.recv(1 << 16)
            assert data, "the process has ended"
            self.buffer += data
        size, kind, serial = MESSAGE.unpack_from(self.buffer)
        found, self.buffer = self.buffer[MESSAGE.size : size], self.buffer[size:]
        return kind, serial, found

    def heard(self) -> tuple[Header, bytes]:
        kind, _, content = self.take()
        assert kind == CARRY
        return unpack(content), content[PACKET.size :]

    def expect(self, operation: int) -> Header:
        header, _ = self.heard()
        assert header.operation == operation, header
        return header

    def program(self, text: bytes) -> socket.socket:
        """A program of the host that connects and says this."""
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(WAIT)
        end.connect(self.path)
        end.sendall(text)
        return end

    def connected(self, port: int = 5000, **fields: int) -> socket.socket:
        end = self.program(b"CONNECT %d\n" % port)
        asked = self.expect(REQUEST)
        self.send(RESPONSE, port=port, host_port=asked.source_port, **fields)
        assert line(end) == b"OK %d\n" % asked.source_port
        return end

    def service_at(self, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(WAIT)
        listener.bind(f"{self.path}_{port}")
        listener.listen()
        return listener


def line(end: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and (byte := end.recv(1)):
        found += byte
    return found


def everything(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.close()


def test_a_program_reaches_the_guest(guest: Guest) -> None:
    end = guest.program(b"CONNECT 5000\nhello")
    asked = guest.expect(REQUEST)
    assert (asked.destination_port, asked.source_port) == (5000, FIRST_PORT)
    guest.send(RESPONSE)
    assert line(end) == b"OK %d\n" % FIRST_PORT
    assert guest.heard()[1] == b"hello"
    guest.send(DATA, b"and back")
    assert end.recv(100) == b"and back"
    end.close()
    assert guest.expect(SHUTDOWN).flags == NO_SEND | NO_RECEIVE
    guest.send(RST)


@pytest.mark.parametrize(
    "text", [b"connect 1\n", b"CONNECT x\n", b"CONNECT 4294967295\n", b"CONNECT " + b"1" * 40, b"\n"]
)
def test_a_program_that_says_nonsense_is_left(guest: Guest, text: bytes) -> None:
    with suppress(ConnectionResetError):  # where not all of it was read
        assert everything(guest.program(text)) == b""
    assert guest.connected()


def test_a_port_where_nobody_listens_ends_the_connection(guest: Guest) -> None:
    end = guest.program(b"CONNECT 7\n")
    guest.expect(REQUEST)
    guest.send(RST, port=7)
    assert everything(end) == b""


def test_the_guest_reaches_a_program(guest: Guest) -> None:
    with guest.service_at(80) as listener:
        guest.send(REQUEST, host_port=80)
        guest.expect(RESPONSE)
        end, _ = listener.accept()
        end.settimeout(WAIT)
        guest.send(DATA, b"question", host_port=80)
        assert end.recv(100) == b"question"
        end.sendall(b"answer")
        assert guest.heard()[1] == b"answer"
        guest.send(SHUTDOWN, host_port=80, flags=NO_SEND)
        assert end.recv(100) == b"" and end.send(b"more") == 4
        assert guest.heard()[1] == b"more"
        guest.send(SHUTDOWN, host_port=80, flags=NO_RECEIVE)
        guest.expect(RST)
        with pytest.raises(BrokenPipeError):
            for _ in range(100):
                end.send(b"x")
                time.sleep(0.01)


def test_ports_without_a_program_refuse(guest: Guest) -> None:
    guest.send(REQUEST, host_port=81)
    guest.expect(RST)
    (guest.folder / "s_82").write_text("no socket")
    guest.send(REQUEST, host_port=82)
    guest.expect(RST)
    guest.service_at(83).close()
    guest.send(REQUEST, host_port=83)
    guest.expect(RST)


def test_a_program_may_end_its_half_first(guest: Guest) -> None:
    end = guest.connected()
    end.sendall(b"all")
    end.shutdown(socket.SHUT_WR)
    assert guest.heard()[1] == b"all"
    assert guest.expect(SHUTDOWN).flags == NO_SEND
    guest.send(DATA, b"the answer")
    guest.send(SHUTDOWN, flags=NO_SEND | NO_RECEIVE)
    guest.expect(RST)
    assert everything(end) == b"the answer"


def test_a_program_that_does_not_read_loses_nothing(guest: Guest) -> None:
    end = guest.connected()
    sent = os.urandom(BUFFER)
    guest.send(DATA, sent)
    more = os.urandom(BUFFER // 2)
    header = guest.expect(CREDIT_UPDATE)
    assert BUFFER // 2 <= header.forwarded <= BUFFER
    guest.send(DATA, more[: header.forwarded])
    guest.send(SHUTDOWN, flags=NO_SEND | NO_RECEIVE)
    while (answer := guest.heard()[0]).operation == CREDIT_UPDATE:
        pass
    assert answer.operation == RST, "the guest need not wait for the program"
    guest.send(RST)
    assert everything(end) == sent + more


def test_the_guest_gets_no_more_than_it_takes(guest: Guest) -> None:
    end = guest.connected(buffer=1000)
    data = os.urandom(2500)
    end.sendall(data)
    got = b""
    while len(got) < 2500:
        header, content = guest.heard()
        if header.operation == DATA:
            got += content
            assert len(got) % 1000 == 0 or len(got) == 2500
        else:
            guest.send(CREDIT_UPDATE, buffer=1000, forwarded=len(got))
    assert got == data


def test_a_guest_that_hears_nothing_holds_nobody_up(guest: Guest) -> None:
    first = guest.connected(port=1, buffer=1 << 30)
    first.settimeout(1.0)
    with pytest.raises(TimeoutError):
        while True:
            first.send(bytes(1 << 16))
    assert len(guest.service._outlet.buffer) < 4 * BUFFER
    with guest.service_at(90) as listener:
        guest.send(REQUEST, port=2, host_port=90)
        end, _ = listener.accept()
        guest.send(DATA, b"still heard", port=2, host_port=90)
        assert end.recv(100) == b"still heard"
        end.close()
    first.close()


def test_answers_that_nobody_takes_are_bounded(guest: Guest) -> None:
    guest.link.settimeout(1.0)
    with pytest.raises(TimeoutError):
        while True:
            guest.link.sendall(message(CARRY, 0, Header(source=3, destination=2, operation=DATA).pack()) * 1000)
    assert len(guest.service._outlet.buffer) < module.MOST_WAITING + 1000


def test_only_so_many_connections(guest: Guest) -> None:
    ends = [guest.connected(port=port) for port in range(8)]
    with suppress(ConnectionError):  # as soon as that
        assert everything(guest.program(b"CONNECT 1\n")) == b""
    guest.send(REQUEST, host_port=99)
    guest.expect(RST)
    ends[0].close()
    guest.expect(SHUTDOWN)
    guest.send(RST, port=0)
    time.sleep(0.1)
    assert guest.connected(port=9)


def test_a_reset_ends_all_connections_and_says_so(guest: Guest) -> None:
    end, asking = guest.connected(), guest.program(b"CONNECT 6\n")
    guest.expect(REQUEST)
    guest.send(DATA, b"unfinished")
    guest.link.sendall(message(RESET, 77))
    assert guest.take()[:2] == (RESET_DONE, 77)
    assert everything(end) == b"unfinished" and everything(asking) == b""
    assert guest.connected(port=8)


def test_nonsense_on_the_link_ends_it(tmp_path: Path) -> None:
    guest = Guest(tmp_path)
    guest.link.sendall(b"\xff" * 8)
    guest.thread.join(WAIT)
    guest.close()


def do_something(ends: list[socket.socket], dice: random.Random) -> None:
    """What a program may do with its connection."""
    end = dice.choice(ends)
    end.setblocking(False)
    with suppress(OSError):
        choice = dice.randrange(4)
        if choice == 0:
            end.send(b"CONNECT 2\n" + bytes(dice.randrange(3000)))
        elif choice == 1:
            end.recv(1 << 18)
        elif choice == 2:
            end.shutdown(dice.randrange(3))
        else:
            ends.remove(end)
            end.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_guest_and_hasty_programs_end_nothing(guest: Guest, seed: int) -> None:
    dice = random.Random(seed)
    with guest.service_at(80) as listener:
        listener.setblocking(False)
        ends: list[socket.socket] = []
        for _ in range(1500):
            data = dice.randbytes(dice.choice((0, 0, 1, 500, BUFFER // 3)))
            header = Header(
                source=GUEST,
                destination=HOST,
                source_port=dice.randrange(4),
                destination_port=dice.choice((80, 80, 81, FIRST_PORT + dice.randrange(30))),
                length=len(data) if dice.random() < 0.95 else dice.getrandbits(32),
                type=dice.choice((1,) * 30 + (2,)),
                operation=dice.choice((1, 2, 2, 2, 3, 4, 5, 5, 5, 5, 6, 7, 9)),
                flags=dice.randrange(4),
                buffer=dice.choice((0, 1 << 16, 0xFFFF_FFFF)),
                forwarded=dice.choice((0, dice.getrandbits(32), dice.getrandbits(12))),
            )
            kind = RESET if dice.random() < 0.01 else CARRY
            guest.link.sendall(message(kind, 1, header.pack(), data))
            while select.select([guest.link], [], [], 0)[0]:
                assert guest.link.recv(1 << 20), "the process has ended"
            with suppress(OSError):
                ends.append(listener.accept()[0])
            with suppress(BrokenPipeError):  # there are too many
                ends += [guest.program(b"")] if dice.random() < 0.2 else []
            if ends:
                do_something(ends, dice)
        for end in ends:
            end.close()
    assert guest.thread.is_alive()
    relay, until = guest.service._relay, time.monotonic() + WAIT
    while relay._count or len(relay.exchange):  # what a program had said last may be read behind a reset
        assert time.monotonic() < until
        guest.link.sendall(message(RESET, 7))
        assert guest.link.recv(1 << 20)
        time.sleep(0.01)
    assert not relay._by_connection and not relay._paused
