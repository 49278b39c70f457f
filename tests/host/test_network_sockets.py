"""The host's sockets behind a guest's network: real servers on loopback, through the stack, over a bad wire."""

import errno
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.network_loop import NetworkLoop
from guesthouse.host.network_ports import GuestLink, Listener, UdpPort, bind, link_pair, most_sockets
from guesthouse.host.network_problem import Problem
from guesthouse.host.network_sockets import HostNetwork, packed, problem_of, unpacked
from guesthouse.host.resolvers import host_resolvers
from guesthouse.virtual.network.plan import Forward, NetworkPlan
from tests.virtual.network.tcp_peer import Peer
from tests.virtual.network.world import GATEWAY, GATEWAY6, GUEST6, World

DATA = random.Random(9).randbytes(400_000)


def serve(work: Callable[[socket.socket], None], address: str = "127.0.0.1") -> int:
    """A server for one client; its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, 0), family=family)

    def run() -> None:
        with listening, listening.accept()[0] as client:
            client.settimeout(60)
            work(client)

    threading.Thread(target=run, daemon=True).start()
    return listening.getsockname()[1]


def echo(client: socket.socket) -> None:
    while data := client.recv(65536):
        client.sendall(data)


@pytest.fixture
def world() -> Iterator[World]:
    world = World(NetworkPlan(offload=False), real=True)
    yield world
    world.stack.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_real_server_echoes_everything_over_a_bad_wire(loss: float) -> None:
    world = World(NetworkPlan(offload=bool(loss)), real=True, loss=loss)
    peer = Peer(world, to_port=serve(echo))
    data = DATA if not loss else DATA[:150_000]
    peer.send(data)
    peer.finish()
    assert world.run(lambda: peer.ended and peer.fin_acked, 60)
    assert bytes(peer.got) == data
    assert world.run(lambda: world.stack.tcp.budget.used == 0)
    world.stack.close()


@pytest.mark.skipif(not has_ipv6(), reason="the host has no IPv6")
def test_a_real_server_over_ipv6(world: World) -> None:
    peer = Peer(world, to_port=serve(echo, "::1"), to=GATEWAY6, source=GUEST6, mss=1440)
    peer.send(DATA)
    peer.finish()
    assert world.run(lambda: peer.ended)
    assert bytes(peer.got) == DATA


def test_half_close_both_ways(world: World) -> None:
    seen = []

    def greedy(client: socket.socket) -> None:
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            seen.append(data)

    peer = Peer(world, to_port=serve(greedy))
    assert world.run(lambda: peer.ended)
    peer.send(DATA)
    peer.finish()
    assert world.run(lambda: peer.fin_acked and sum(map(len, seen)) == len(DATA))
    assert b"".join(seen) == DATA

    def late(client: socket.socket) -> None:
        while client.recv(65536):
            pass
        client.sendall(DATA)

    peer = Peer(world, to_port=serve(late), port=40001)
    peer.send(b"question")
    peer.finish()
    assert world.run(lambda: peer.ended)
    assert bytes(peer.got) == DATA


def test_resets_pass_both_ways(world: World) -> None:
    outcome = []

    def victim(client: socket.socket) -> None:
        try:
            client.recv(10)
            client.recv(10)
        except ConnectionResetError:
            outcome.append("reset")

    peer = Peer(world, to_port=serve(victim))
    peer.send(b"x")
    assert world.run(lambda: peer.una > peer.base + 1)
    peer.abort()
    assert world.run(lambda: outcome == ["reset"], 10)

    def rude(client: socket.socket) -> None:
        client.recv(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    peer = Peer(world, to_port=serve(rude), port=40001)
    peer.send(b"x")
    assert world.run(lambda: peer.reset, 10)
    assert len(world.stack.tcp) == 0


def test_nobody_there_is_a_reset(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    peer = Peer(world, to_port=port)
    assert world.run(lambda: peer.reset, 10)
    assert not peer.open


def test_a_server_that_does_not_read_stops_the_guest_and_lets_it_go_on(world: World) -> None:
    go = threading.Event()
    seen = []

    def lazy(client: socket.socket) -> None:
        go.wait(30)
        while data := client.recv(1 << 20):
            seen.append(data)

    peer = Peer(world, to_port=serve(lazy))
    data = DATA * 30
    peer.send(data)
    peer.finish()
    world.run(seconds=2)
    assert peer.una < peer.limit - 1_000_000
    assert world.stack.tcp.budget.used <= 1 << 20
    go.set()
    assert world.run(lambda: peer.fin_acked and sum(map(len, seen)) == len(data))
    assert b"".join(seen) == data


def test_hundreds_of_connections_at_once(world: World) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)

    def work() -> None:
        clients = [listening.accept()[0] for _ in range(300)]
        for client in clients:
            client.sendall(client.recv(100)[::-1])
            client.close()

    threading.Thread(target=work, daemon=True).start()
    port = listening.getsockname()[1]
    peers = [Peer(world, to_port=port, port=2000 + number) for number in range(300)]
    for number, peer in enumerate(peers):
        peer.send(b"number %d" % number)
    assert world.run(lambda: all(peer.ended for peer in peers))
    assert [bytes(peer.got) for peer in peers] == [(b"number %d" % number)[::-1] for number in range(300)]
    listening.close()


def test_udp_to_a_real_server_and_to_nobody(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        port = server.getsockname()[1]
        world.udp(b"question", GATEWAY, port)
        data, where = server.recvfrom(100)
        server.sendto(data[::-1] * 1000, where)
        assert world.run(lambda: len(world.frames) >= 6, 10)
    world.frames.clear()
    told = world.udp(b"anybody?", GATEWAY, port)
    assert world.run(lambda: any(frame[23] == 1 and frame[34:36] == b"\3\3" for frame in told + world.frames), 10)
    world.udp(b"?", GATEWAY, 0)  # no port, no harm


def test_forwarded_ports_lead_to_the_guest(world: World) -> None:
    forward = Forward(0, 22)
    listening = bind("", 0, "tcp")
    ports = {opened.getsockname()[1] for opened in listening}
    assert len(ports) == 1, "one number for both versions"
    for opened in listening:
        Listener(world.loop, opened, partial(world.stack.accepted, forward))
    peer = Peer(world, port=22, listen=True)
    with socket.create_connection(("127.0.0.1", ports.pop())) as client:
        client.sendall(b"hello guest")
        assert world.run(lambda: bytes(peer.got) == b"hello guest")
        assert peer.addresses[1] == GATEWAY
        peer.send(DATA)
        peer.finish()
        client.setblocking(False)
        got = bytearray()

        def ended() -> bool:
            try:
                data = client.recv(65536)
            except BlockingIOError:
                return False
            got.extend(data)
            return not data

        assert world.run(ended)
        assert bytes(got) == DATA


def test_a_guest_that_refuses_and_one_that_is_not_there(world: World) -> None:
    (opened, *others) = bind("127.0.0.1", 0, "tcp")
    assert not others
    Listener(world.loop, opened, partial(world.stack.accepted, Forward(0, 22)))
    client = socket.create_connection(opened.getsockname())
    world.run(seconds=0.2)
    assert len(world.stack.tcp) == 1, "the guest is asked"
    (asked,) = [frame for frame in world.frames if frame[23] == 6]
    seq = int.from_bytes(asked[38:42], "big")
    peer = Peer(world, port=22, to_port=int.from_bytes(asked[34:36], "big"), listen=True)
    peer.ack = seq + 1
    peer.emit(0, 4 | 16)
    client.settimeout(0.001)
    outcome = []

    def was_reset() -> bool:
        try:
            client.recv(1)
        except TimeoutError:
            return False
        except ConnectionResetError:
            outcome.append("reset")
        return True

    assert world.run(was_reset, 10)
    assert outcome == ["reset"]


def test_forwarded_udp_ports(world: World) -> None:
    (opened,) = bind("127.0.0.1", 0, "udp")
    UdpPort(world.loop, opened, partial(world.stack.visited, Forward(0, 7, "", "udp")))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"knock", opened.getsockname())
        assert world.run(lambda: bool(world.frames), 10)
        port = int.from_bytes(world.frames.pop()[34:36], "big")
        assert port == client.getsockname()[1]
        world.udp(b"who is there?", GATEWAY, port, port=7)
        world.run(seconds=0.05)
        assert client.recvfrom(100) == (b"who is there?", opened.getsockname())


def test_a_port_that_is_taken_gets_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port}/tcp at 127.0.0.1 cannot be had: .*; choose another."):
            bind("", port, "tcp")
    with pytest.raises(UserError, match="at \\[2001:db8::1\\]"):
        bind("2001:db8::1", 0, "udp")


def test_a_full_link_says_so_and_tells_when_there_is_room() -> None:
    loop = NetworkLoop()
    device, mine = link_pair()
    device.setblocking(False)
    got, roomy, ended = [], [], []
    link = GuestLink(
        loop, mine.detach(), lambda view: got.append(bytes(view)), lambda: roomy.append(1), lambda: ended.append(1)
    )
    sent = 0
    while link.send([b"head", bytes(60_000)]):
        sent += 1
    assert 2 <= sent < 1000
    loop.turn(0)
    assert not roomy
    for _ in range(sent):
        assert len(device.recv(70_000)) == 60_004
    loop.turn(0)
    loop.turn(0)
    assert roomy == [1]
    for number in range(100):
        device.send(bytes([number]))
    loop.turn(0)
    assert len(got) == 64, "others have their turn, too"
    loop.turn(0)
    assert got == [bytes([number]) for number in range(100)]
    device.close()
    loop.turn(0)
    assert ended == [1]
    assert link.send([b"nobody"]), "lost, as on a wire"


def test_echoes_by_an_unprivileged_socket() -> None:
    """In a network namespace of its own, where everybody may send them."""
    code = (
        "import ctypes, os, subprocess\n"
        "assert not ctypes.CDLL(None, use_errno=True).unshare(0x50000000), 'unshare'\n"
        "open('/proc/self/setgroups', 'w').write('deny')\n"
        f"open('/proc/self/gid_map', 'w').write('0 {os.getgid()} 1')\n"
        f"open('/proc/self/uid_map', 'w').write('0 {os.getuid()} 1')\n"
        "open('/proc/sys/net/ipv4/ping_group_range', 'w').write('0 0')\n"
        "import fcntl, socket, struct\n"
        "s = socket.socket()\n"
        "fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 1))\n"
        "from tests.host.test_network_sockets import ping\n"
        "ping()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    if "unshare" in run.stderr or "gid_map" in run.stderr:
        pytest.skip("no namespaces here")
    assert run.stdout == "echoed 4\nechoed 6\n", run.stderr


def ping() -> None:
    """What runs in that namespace: the host's loopback echoes."""
    loop = NetworkLoop()
    outside = HostNetwork(loop)
    for version, address, message in ((4, "127.0.0.1", b"\x08\0\xf7\xff"), (6, "::1", b"\x80\0\0\0")):
        got: list[bytes] = []
        echoes = outside.echoes(version, lambda data, source, port: got.append(data))  # noqa: B023
        assert echoes is not None
        assert echoes.send(message + b"\0\1\0\2data", packed(address), 0) is None
        for _ in range(20):
            loop.turn(0.1)
            if got:
                break
        assert got[0][0] == (0 if version == 4 else 129)
        assert got[0][6:] == b"\0\2data"
        print(f"echoed {version}")


def test_what_the_host_says_is_told_as_it_is() -> None:
    assert problem_of(errno.ECONNREFUSED) is Problem.REFUSED
    assert problem_of(errno.ENETUNREACH) is Problem.NO_NETWORK
    assert problem_of(12345) is Problem.NO_HOST
    assert problem_of(None) is Problem.NO_HOST
    assert packed("fe80::1%lo") == packed("fe80::1")
    assert unpacked(packed("10.1.2.3")) == "10.1.2.3"
    assert most_sockets() >= 64


def test_a_host_that_cannot_make_sockets_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr("guesthouse.host.network_sockets.socket.socket", none)
    assert world.outside.connect(packed("::1"), 80, None) is Problem.NO_NETWORK
    assert world.outside.datagrams(6, None, None) is None
    assert world.outside.echoes(6, None) is None
    peer = Peer(world, to_port=80, to=packed("2606:2800::1"), source=GUEST6)
    world.run(seconds=0.1)
    assert any(frame[20] == 58 and frame[54:56] == b"\1\0" for frame in world.frames), "no route, by ICMPv6"
    assert not peer.open


def test_the_hosts_resolvers(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# nothing\nnameserver 9.9.9.9\nnameserver\nnameserver fe80::1%eth0\nsearch x\nnameserver ::1 # six\n"
    )
    assert host_resolvers(file) == ["9.9.9.9", "::1"]
    file.write_text("nameserver dns.example.org\n")
    assert host_resolvers(file) == ["127.0.0.1"]
    assert host_resolvers(tmp_path / "none") == ["127.0.0.1"]
