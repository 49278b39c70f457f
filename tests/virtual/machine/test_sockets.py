"""The machine's end of a guest's sockets, with the real process that has the host's."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.devices.virtio.vsock import EVENT, HEADER, RECEIVE, TRANSMIT, VirtioVsock
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.sockets import SocketLink
from guesthouse.virtual.sockets.packets import DATA, REQUEST, RESPONSE, RST, SHUTDOWN, Header, unpack
from tests.virtual.devices.virtio.driver import Driver
from tests.virtual.machine.test_shares import Inbox

LOOP = bytes.fromhex("6f000000")


class Guest:
    """A driver that has sockets."""

    def __init__(self, path: Path) -> None:
        self.inbox = Inbox()
        self.path = path
        self.link = SocketLink(str(path))
        self.link.connect(self.inbox)  # type: ignore[arg-type]
        self.driver = Driver(VirtioVsock(self.link), features=1, indirect=True)
        self.given = 0

    def send(self, operation: int, port: int, host_port: int, data: bytes = b"", flags: int = 0) -> None:
        self.driver.free = self.driver.area(0, 0x10000)
        ports = {"source_port": port, "destination_port": host_port}
        header = Header(3, 2, **ports, length=len(data), operation=operation, flags=flags, buffer=1 << 16)
        self.driver.ask(TRANSMIT, [header.pack(), data] if data else [header.pack()])

    def take(self, room: int = 300) -> tuple[Header, bytes]:
        self.driver.free = self.driver.area(0, 0x20000)
        self.driver.add(RECEIVE, [], [room])
        self.driver.kick(RECEIVE)
        done = self.await_(RECEIVE)[2]
        header = unpack(done)
        return header, done[HEADER : HEADER + header.length]

    def await_(self, queue: int) -> tuple[int, int, bytes]:
        until = time.monotonic() + 20
        while not (done := self.driver.take(queue)):
            assert time.monotonic() < until and not self.driver.broken
            self.inbox.serve()
            time.sleep(0.001)
        return done

    def connected(self, port: int = 5000) -> tuple[socket.socket, int]:
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(20)
        end.connect(str(self.path))
        end.sendall(b"CONNECT %d\n" % port)
        asked, _ = self.take()
        assert (asked.operation, asked.destination_port) == (REQUEST, port)
        self.send(RESPONSE, port, asked.source_port)
        assert end.recv(100) == b"OK %d\n" % asked.source_port
        return end, asked.source_port


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path / "s")
    yield guest
    guest.link.close()


def test_bytes_both_ways_through_all_of_it(guest: Guest) -> None:
    end, host_port = guest.connected()
    data = os.urandom(1000)
    end.sendall(data)
    got = b""
    while len(got) < 1000:
        header, part = guest.take()
        assert header.operation == DATA and len(part) <= 300 - HEADER
        got += part
    assert got == data
    guest.send(DATA, 5000, host_port, b"answer")
    assert end.recv(100) == b"answer"
    guest.send(SHUTDOWN, 5000, host_port, flags=3)
    assert guest.take()[0].operation == RST and end.recv(100) == b""


def test_the_guest_reaches_the_socket_beside(guest: Guest) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{guest.path}_80")
        listener.listen()
        guest.send(REQUEST, 1024, 80)
        assert guest.take()[0].operation == RESPONSE
        listener.accept()[0].close()
        assert guest.take()[0].operation == SHUTDOWN
    guest.send(REQUEST, 1025, 81)
    assert guest.take()[0].operation == RST


def test_a_reset_ends_connections_and_nothing_old_arrives(guest: Guest) -> None:
    end, _ = guest.connected()
    end.sendall(b"old")
    time.sleep(0.05)
    guest.driver = Driver(guest.driver.device.function, features=1, indirect=True)
    with suppress(ConnectionResetError):  # as what it had sent was not read
        assert end.recv(100) == b""
    assert guest.connected(6000)


def test_many_resets_leave_nothing_behind(guest: Guest) -> None:
    for _ in range(20_000):
        guest.driver.device.write(0x70, 4, 0)
    assert len(guest.link._companion._left) < 100
    guest.driver = Driver(guest.driver.device.function, features=1, indirect=True)
    assert guest.connected()


def test_a_guest_that_takes_nothing_costs_nothing(guest: Guest) -> None:
    end, _ = guest.connected()
    end.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            end.send(bytes(1 << 16))
            guest.inbox.serve()
    waiting = guest.driver.device.function._waiting
    assert sum(map(len, waiting)) < 1 << 19
    woken = 0
    for _ in range(50):
        woken += len(guest.inbox.calls)
        guest.inbox.serve()
        time.sleep(0.001)
    assert woken <= 2, "nobody is woken again and again"


def test_behind_a_restore_the_guest_is_told(guest: Guest, tmp_path: Path) -> None:
    guest.connected()
    guest.driver.add(EVENT, [], [4])
    saved = guest.driver.device.save()
    other = Guest(tmp_path / "t")
    driver = other.driver = guest.driver
    driver.connect(VirtioVsock(other.link))
    driver.device.load(saved)
    assert other.await_(EVENT)[1:] == (4, bytes(4))
    assert other.connected(7)
    other.link.close()


def test_a_process_that_dies_ends_the_connections_and_nothing_else(guest: Guest) -> None:
    end, host_port = guest.connected()
    guest.driver.add(EVENT, [], [4])
    guest.link._companion._process.kill()
    assert guest.await_(EVENT)[1] == 4 and end.recv(10) == b""
    for _ in range(3):
        guest.send(DATA, 5000, host_port, b"into the void")
    guest.driver.device.write(0x70, 4, 0)


def test_the_process_can_reach_nothing_but_the_folder(guest: Guest, tmp_path: Path) -> None:
    guest.connected()
    process = guest.link._companion._process
    pid = getattr(process, "pid", None) or process._pid  # type: ignore[attr-defined]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status
    opened = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    opened = {target for target in opened if not target.startswith("socket:")}
    assert opened <= {"/dev/null", os.readlink("/proc/self/fd/2"), f"/proc/{pid}/fd"}
    assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)


def test_it_ends_with_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Machine(firmware=LOOP, memory="64M", vsock=path) as machine:
        link = machine._core._sockets
        assert path.is_socket() and link is not None
        assert "virtio-vsock" in [slot.kind for slot in machine._core.board.slots]
        with pytest.raises(UserError, match="Another program listens at the socket"):
            Machine(firmware=LOOP, vsock=path)
        saved = machine.save()
        with Machine.load(saved, vsock=tmp_path / "t"):
            assert (tmp_path / "t").is_socket()
    assert link._companion._process.wait(5) == 0 and not path.exists()
    with Machine.load(saved):
        assert path.is_socket()


def test_what_can_t_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Can't open the folder of the socket .*none/s"):
        Machine(firmware=LOOP, vsock=tmp_path / "none/s")
    disks = [(os.devnull, True)] * 6
    with pytest.raises(UserError, match="room for 5 disks, but 6"):
        Machine(firmware=LOOP, vsock=tmp_path / "s", balloon=True, disks=disks)
    with pytest.raises(UserError, match="Can't open the disk"):
        Machine(firmware=LOOP, vsock=tmp_path / "s", disks=[tmp_path / "none"])
    assert not (tmp_path / "s").exists()
