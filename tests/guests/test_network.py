"""A real Linux on networks: Python at the other end, another guest, and the host's loopback."""

import hashlib
import http.server
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap

import guesthouse
from guesthouse import Machine, NetworkPort
from tests.cli.programs import ENVIRONMENT, PROGRAM, call

pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
]

PROMPT = ":~# "
US, GUEST = "10.9.0.1", "10.9.0.2"
OUR_MAC, ITS_MAC = "52:54:00:00:00:01", "52:54:00:12:34:56"
CONFIGURE = f"killall udhcpc; ip addr add {GUEST}/24 dev eth0"


class Peer:
    """The machine at the other end, in scapy: answers ARP, keeps the rest, and whether all checksums were right."""

    def __init__(self, offload: bool = False) -> None:
        self.offload = offload
        self.port = NetworkPort(ITS_MAC, offload=offload, on_frame=self.frame)
        self.headers: list[bytes] = []
        self.packets: list[Packet] = []
        self.wrong = 0

    def frame(self, data: bytes) -> None:
        head, data = (data[:12], data[12:]) if self.offload else (bytes(12), data)
        packet = Ether(data)
        if ARP in packet and packet[ARP].op == 1 and packet[ARP].pdst == US:
            self.say(Ether(dst=ITS_MAC, src=OUR_MAC) / ARP(op=2, hwsrc=OUR_MAC, psrc=US, hwdst=ITS_MAC, pdst=GUEST))
        elif IP in packet and packet[IP].src == GUEST:
            self.headers.append(head)
            self.packets.append(packet)
            if not head[0] & 1 and not right(packet, data):
                self.wrong += 1

    def say(self, packet: Packet, head: bytes = bytes(10) + b"\1\0") -> None:
        assert self.port.put((head if self.offload else b"") + bytes(packet))


def right(packet: Packet, data: bytes) -> bool:
    """Whether scapy computes the same checksums."""
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(fresh)[: len(data)] == data


def boot(peer: Peer, cpus: int = 1, bus: str = "mmio") -> Machine:
    machine = Machine(image=guesthouse.image("tiny"), network=peer.port, cpus=cpus, bus=bus)
    machine.console.expect(PROMPT, timeout=120)
    shell(machine, CONFIGURE)
    return machine


def shell(machine: Machine, command: str) -> str:
    machine.console.write(f"{command}; echo END''ED\n")
    return machine.console.expect("ENDED\r\n", timeout=60)


def run_until(machine: Machine, wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < deadline, "it did not come about"
        machine.run(timeout=0.05)


def to_guest() -> Packet:
    return Ether(dst=ITS_MAC, src=OUR_MAC) / IP(src=US, dst=GUEST)


@pytest.mark.parametrize(("cpus", "bus", "offload"), [(1, "mmio", False), (2, "pci", True)])
def test_linux_answers_a_peer_written_in_python(cpus: int, bus: str, offload: bool) -> None:
    peer = Peer(offload)
    with boot(peer, cpus, bus) as machine:
        for size in (0, 1, 56, 1000, 1472):
            peer.packets.clear()
            peer.say(to_guest() / ICMP(id=7, seq=size) / Raw(b"p" * size))
            run_until(machine, lambda: any(ICMP in packet for packet in peer.packets))
            answer = next(packet for packet in peer.packets if ICMP in packet)[ICMP]
            assert (answer.type, answer.id, answer.seq) == (0, 7, size)
            assert bytes(answer.payload)[:size] == b"p" * size
        peer.packets.clear()
        peer.say(to_guest() / UDP(sport=5, dport=4242) / Raw(b"nobody"))
        run_until(machine, lambda: any(ICMP in packet and packet[ICMP].type == 3 for packet in peer.packets))
        peer.say(to_guest() / TCP(sport=5, dport=4242, flags="S", seq=100))
        run_until(machine, lambda: any(TCP in packet for packet in peer.packets))
        refusal = next(packet for packet in peer.packets if TCP in packet)[TCP]
        assert str(refusal.flags) == "RA" and refusal.ack == 101
        assert "icmp" in shell(machine, "cat /proc/net/snmp | tr A-Z a-z")
        assert peer.wrong == 0


def collect(peer: Peer, machine: Machine, size: int) -> bytes:
    """Take a connection of the guest's and all it sends, acknowledging everything."""
    sent: dict[int, bytes] = {}
    machine.console.write(f"head -c {size} /dev/zero | tr '\\0' x | nc {US} 99\n")
    start, done, seen = 0, 0, 0
    deadline = time.monotonic() + 60
    while done < size:
        assert time.monotonic() < deadline
        machine.run(timeout=0.02)
        for packet in [packet for packet in peer.packets[seen:] if TCP in packet and packet[TCP].dport == 99]:
            tcp = packet[TCP]
            if tcp.flags.S:
                start = tcp.seq + 1
                options = [("MSS", 1460)]
                peer.say(to_guest() / TCP(sport=99, dport=tcp.sport, flags="SA", seq=1, ack=start, options=options))
                continue
            data = bytes(tcp.payload)[: packet[IP].len - 20 - tcp.dataofs * 4]
            sent[(tcp.seq - start) % (1 << 32)] = data
            while sent.get(done):
                done += len(sent[done])
            if data:
                answer = TCP(sport=99, dport=tcp.sport, flags="A", seq=2, ack=(start + done) % (1 << 32), window=65535)
                peer.say(to_guest() / answer)
        seen = len(peer.packets)
    return b"".join(sent[at] for at in sorted(sent))


@pytest.mark.parametrize("offload", [False, True])
def test_a_stream_of_the_guest_s_is_whole_with_and_without_offloads(offload: bool) -> None:
    peer = Peer(offload)
    with boot(peer) as machine:
        assert collect(peer, machine, 200_000) == b"x" * 200_000
        longest = max(len(packet) for packet in peer.packets)
        segmented = [head for head in peer.headers if head[1]]
        assert bool(segmented) == offload and (longest > 1514) == offload
        assert peer.wrong == 0, "each packet that claims a whole checksum has a right one"


def test_the_guest_takes_half_checksums_and_long_segments() -> None:
    peer = Peer(offload=True)
    with boot(peer) as machine:
        machine.console.write("nc -l -p 80 | md5sum\n")
        machine.run(timeout=1)
        peer.say(to_guest() / TCP(sport=5, dport=80, flags="S", seq=99, options=[("MSS", 1460)]))
        run_until(machine, lambda: any(TCP in packet for packet in peer.packets))
        theirs = next(packet for packet in peer.packets if TCP in packet)[TCP]
        data = bytes(index % 251 for index in range(20_000))
        long = to_guest() / TCP(sport=5, dport=80, flags="A", seq=100, ack=theirs.seq + 1) / Raw(data)
        # flags: checksum to be made; kind: TCP over IPv4; 54 bytes of headers, pieces of 1460; TCP begins at 34
        peer.say(long, bytes((1, 1)) + b"".join(n.to_bytes(2, "little") for n in (54, 1460, 34, 16, 1)))
        peer.say(to_guest() / TCP(sport=5, dport=80, flags="FA", seq=100 + len(data), ack=theirs.seq + 1))
        assert hashlib.md5(data).hexdigest() in machine.console.expect("  -", timeout=30)


def test_the_cable_can_be_pulled() -> None:
    peer = Peer()
    with boot(peer) as machine:
        assert "1" in shell(machine, "cat /sys/class/net/eth0/carrier")
        peer.port.set_link(False)
        machine.run(timeout=1)
        assert "0\r" in shell(machine, "cat /sys/class/net/eth0/carrier")
        peer.port.set_link(True)
        machine.run(timeout=1)
        assert "1\r" in shell(machine, "cat /sys/class/net/eth0/carrier")


def test_a_saved_guest_goes_on_with_its_network() -> None:
    peer = Peer()
    with boot(peer) as machine:
        saved = machine.save()
    other = Peer()
    with Machine.load(saved, network=other.port) as machine:
        other.say(to_guest() / ICMP(seq=3))
        run_until(machine, lambda: any(ICMP in packet for packet in other.packets))
        assert other.packets[-1][ICMP].seq == 3 and other.wrong == 0


def test_two_guests_on_one_socket_reach_each_other(tmp_path: Path) -> None:
    path = tmp_path / "net"
    first = subprocess.Popen(
        [*PROGRAM, "run", "tiny", "--network", f"socket:{path}", "--timeout", "100", "--", "sh", "-c",
         "killall udhcpc; ip addr add 10.9.0.1/24 dev eth0; nc -l -p 77 | wc -c"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert first.stderr and b"waits for somebody" in first.stderr.readline()
    second = call(
        "run", "tiny", "--network", f"socket:{path}", "--timeout", "100", "--", "sh", "-c",
        "killall udhcpc; ip addr add 10.9.0.2/24 dev eth0;"
        "for turn in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 1 10.9.0.1 && break; done;"
        "sleep 1; head -c 1000000 /dev/zero | nc 10.9.0.1 77",
        timeout=150,
    )  # fmt: skip
    assert b"64 bytes from 10.9.0.1" in second.stdout
    output, _ = first.communicate(timeout=100)
    assert output.strip() == b"1000000"


@pytest.fixture
def web() -> Iterator[int]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "3000000")
            self.end_headers()
            self.wfile.write(b"abc" * 1_000_000)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_the_user_network_by_address_name_and_page_and_its_capture(tmp_path: Path, web: int) -> None:
    capture = tmp_path / "net.pcap"
    result = call(
        "run", "tiny", "--network", "user", "--pcap", str(capture), "--timeout", "100",
        "--egress", "deny 192.0.2.0/24", "--", "sh", "-c",
        f"ip addr show eth0; ping -c 1 10.0.2.2; wget -q -O - http://host.guesthouse:{web}/ | md5sum;"
        "nc -w 3 192.0.2.1 80 || echo denied",
        timeout=150,
    )  # fmt: skip
    assert b"inet 10.0.2.15/24" in result.stdout and b"64 bytes from 10.0.2.2" in result.stdout
    assert hashlib.md5(b"abc" * 1_000_000).hexdigest().encode() in result.stdout
    assert b"denied" in result.stdout and b"refused the guest tcp to 192.0.2.1" in result.stderr
    packets = rdpcap(str(capture))
    assert sum(len(packet[TCP].payload) for packet in packets if TCP in packet) > 3_000_000
    assert any(ARP in packet for packet in packets)


def test_a_published_port_leads_to_the_guest() -> None:
    guest = subprocess.Popen(
        [*PROGRAM, "run", "tiny", "--publish", "0:80", "--timeout", "100", "--", "sh", "-c",
         "echo hello from within > index.html; httpd -p 80; echo up; read line"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert guest.stdout and guest.stderr and guest.stdin
    port = int(guest.stderr.readline().split(b"localhost:")[1].split()[0])
    assert guest.stdout.read(3) == b"up\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
        assert page.read() == b"hello from within\n"
    guest.communicate(b"\n", timeout=100)
