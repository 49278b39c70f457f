"""The process of a guest's network, with a guest of the tests' own at the other end of the link."""

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.loop import Loop
from guesthouse.manager.network import NetworkCrash, NetworkProcess, start_network
from guesthouse.manager.network_protocol import Unsaid
from guesthouse.virtual.network.plan import NetworkPlan, parse_forward
from guesthouse.virtual.network.rules import parse_rule
from tests.virtual.network.tcp_peer import Peer
from tests.virtual.network.world import (
    DNS,
    GATEWAY,
    GATEWAY_MAC,
    GUEST,
    GUEST_MAC,
    PLAIN,
    folded,
    ip_packet,
    with_checksum,
)

DATA = random.Random(4).randbytes(3_000_000)
ETHERTYPE_ARP = b"\x08\x06"


class RemoteGuest:
    """What `Peer` and `World` are to one another, over a real link."""

    def __init__(self, *, seconds: float = 20.0, **plan: object) -> None:
        self.loop = Loop()
        self.heard: list = []
        self.network: NetworkProcess = start_network(NetworkPlan(**plan), self.loop, self.heard.append)
        self.random = random.Random(1)
        self.listeners: dict[int, Callable[[bytes], bool]] = {}
        self.tickers: list[Callable[[], None]] = []
        self.frames: list[bytes] = []
        self._device = self.network.device
        self._device.setblocking(False)
        self._deadline = time.monotonic() + seconds
        self.loop.on_readable(self._device.fileno(), self._readable)
        announce = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + GUEST_MAC + GUEST + bytes(6) + GATEWAY
        self.send(ETHERTYPE_ARP + announce)
        assert self.run(lambda: any(frame[12:14] == ETHERTYPE_ARP for frame in self.frames))

    @property
    def now(self) -> float:
        return time.monotonic()

    def send(self, frame: bytes, virtio: bytes = PLAIN) -> None:
        with contextlib.suppress(BlockingIOError):  # lost
            self._device.send(virtio + GATEWAY_MAC + GUEST_MAC + frame)

    def udp(self, data: bytes, to: bytes, to_port: int, port: int = 5000) -> None:
        datagram = struct.pack("!HHHH", port, to_port, 8 + len(data), 0) + data
        self.send(ip_packet(GUEST, to, 17, with_checksum(GUEST, to, 17, datagram, 6)))

    def _readable(self) -> None:
        try:
            message = self._device.recv(1 << 17)
        except BlockingIOError:
            return
        if not message:
            self.loop.on_readable(self._device.fileno(), None)
            return
        listener = self.listeners.get(int.from_bytes(message[48:50], "big"))
        if not listener or not listener(message):
            self.frames.append(message[12:])

    def run(self, until: Callable[[], bool]) -> bool:
        while time.monotonic() < self._deadline:
            if until():
                return True
            self.loop.turn(0.01)
            for ticker in self.tickers:
                ticker()
        return until()

    def stop(self) -> int:
        self.loop.on_readable(self._device.fileno(), None)
        return self.network.stop()


@pytest.fixture
def echo_port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client = listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=echo, args=(client,), daemon=True).start()

    def echo(client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            while data := client.recv(65536):
                client.sendall(data)

    serving = threading.Thread(target=serve)
    serving.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    serving.join()
    listening.close()


@pytest.mark.parametrize("offload", [True, False])
def test_a_stream_through_the_process(echo_port: int, offload: bool) -> None:
    guest = RemoteGuest(offload=offload)
    peer = Peer(guest, to_port=echo_port)
    peer.send(DATA)
    peer.finish()
    assert guest.run(lambda: peer.ended and peer.fin_acked)
    assert bytes(peer.got) == DATA
    largest = max(size for _, _, _, size in peer.segments)
    assert largest > 60_000 if offload else largest <= 1460
    assert guest.stop() == 0


def test_the_process_is_confined_and_ends_with_the_device() -> None:
    guest = RemoteGuest()
    assert guest.network.confinement["seccomp"] == "" or "not" in guest.network.confinement["seccomp"]
    assert guest.network.confinement["no new privileges"] == ""
    status = Path(f"/proc/{guest.network.pid}/status").read_text()
    if not guest.network.confinement["seccomp"]:
        assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    names = [os.readlink(f"/proc/{guest.network.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{guest.network.pid}/fd")]
    files = [name for name in names if name.startswith("/") and not name.startswith("/dev/")]
    assert not [name for name in files if "/pytest" not in name and not name.startswith("/tmp")], "no file of ours"
    if threading.active_count() == 1:
        assert Path(f"/proc/{guest.network.pid}/comm").read_text().strip() == "guest network"
    guest.loop.on_readable(guest.network.device.fileno(), None)
    guest.network.device.close()
    assert guest.run(lambda: guest.network.died)
    assert guest.network.stop() == 0


def test_it_ends_with_whoever_began_it(echo_port: int) -> None:
    guest = RemoteGuest()
    peer = Peer(guest, to_port=echo_port)
    assert guest.run(lambda: peer.open)
    device = guest.network.device.dup()
    guest.loop.on_readable(guest.network.device.fileno(), None)
    assert guest.network.stop() == 0
    device.close()


def test_forwarded_ports_and_rules_and_their_log(echo_port: int) -> None:
    rules = tuple(map(parse_rule, (f"allow 10.0.2.2 {echo_port}/tcp", "deny any")))
    guest = RemoteGuest(forwards=(parse_forward("0:22"), parse_forward("0:9/udp")), rules=rules)
    tcp, udp = guest.network.forwards
    assert tcp.host_port
    assert udp.host_port
    listening = Peer(guest, port=22, listen=True)
    with socket.create_connection(("127.0.0.1", tcp.host_port)) as client:
        client.sendall(b"hello guest")
        assert guest.run(lambda: bytes(listening.got) == b"hello guest")
    assert guest.run(lambda: listening.ended)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"knock", ("127.0.0.1", udp.host_port))
        assert guest.run(lambda: any(frame.endswith(b"knock") for frame in guest.frames))
    peer = Peer(guest, to_port=echo_port, port=50000)
    assert guest.run(lambda: peer.open)
    Peer(guest, to_port=echo_port + 1, port=50001).silent = True
    assert guest.run(lambda: bool(guest.heard))
    refusal = guest.heard[0]
    assert (refusal.protocol, refusal.address, refusal.port) == ("tcp", "10.0.2.2", echo_port + 1)
    assert abs(refusal.time - time.time()) < 20
    for _ in range(300):
        guest.udp(b"x", GATEWAY, 1)
    assert guest.run(lambda: isinstance(guest.heard[-1], Unsaid))
    assert 50 <= len(guest.heard) <= 60
    assert guest.heard[-1].count + len(guest.heard) - 2 == 300, "none is forgotten"
    guest.stop()


def test_questions_reach_a_resolver_of_the_hosts() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            data, where = server.recvfrom(512)
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x5d\xb8\xd8\x22"
            server.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:] + record, where)

        threading.Thread(target=answer, daemon=True).start()
        guest = RemoteGuest(resolvers=(f"127.0.0.1#{server.getsockname()[1]}",))
        question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"
        guest.udp(question, DNS, 53)
        assert guest.run(lambda: any(frame[23] == 17 for frame in guest.frames))
        (frame,) = [frame for frame in guest.frames if frame[23] == 17]
        assert folded(frame[14:34]) == 0xFFFF
        assert frame[42:44] == b"\x12\x34"
        assert frame.endswith(b"\x5d\xb8\xd8\x22")
        guest.stop()


def test_a_guest_that_does_not_read_loses_nothing_of_a_stream(echo_port: int) -> None:
    guest = RemoteGuest()
    peer = Peer(guest, to_port=echo_port, window=8 << 20)
    assert guest.run(lambda: peer.open)
    guest.loop.on_readable(guest.network.device.fileno(), None)
    peer.send(DATA[:1_000_000])
    for _ in range(30):
        guest.loop.turn(0.01)
    guest.loop.on_readable(guest.network.device.fileno(), guest._readable)
    peer.send(DATA[1_000_000:])
    peer.finish()
    assert guest.run(lambda: peer.ended)
    assert bytes(peer.got) == DATA
    guest.stop()


def test_what_the_user_can_mend_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        forward = parse_forward(f"127.0.0.1:{listening.getsockname()[1]}:22")
        with pytest.raises(UserError, match="cannot be had"):
            start_network(NetworkPlan(forwards=(forward,)), Loop())
    with pytest.raises(UserError, match="is not an IPv4 network"):
        start_network(NetworkPlan(subnet="everything"), Loop())
    with pytest.raises(UserError, match="is no resolver"):
        start_network(NetworkPlan(resolvers=("x",)), Loop())


def test_a_process_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("guesthouse.manager.network.WORKER", "guesthouse.no_such_worker")
    with pytest.raises(NetworkCrash, match="could not begin"):
        start_network(NetworkPlan(), Loop())
    assert "no_such_worker" in capfd.readouterr().err


def test_beside_other_threads_it_is_a_python_of_its_own(echo_port: int) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        guest = RemoteGuest()
        peer = Peer(guest, to_port=echo_port)
        peer.send(b"hello")
        assert guest.run(lambda: bytes(peer.got) == b"hello")
        assert guest.stop() == 0
    finally:
        stop.set()
        thread.join()
