"""A guest that sends whatever it likes: nothing raises, and memory stays bounded."""

import random
import struct

import pytest

from guesthouse.virtual.network.plan import NetworkPlan
from guesthouse.virtual.network.rules import parse_rule
from tests.virtual.network.tcp_peer import Peer
from tests.virtual.network.test_dns import question
from tests.virtual.network.world import (
    DNS,
    GATEWAY,
    GATEWAY_MAC,
    GUEST,
    GUEST_MAC,
    PLAIN,
    World,
    ip_packet,
    with_checksum,
)

scapy = pytest.importorskip("scapy.all")
dhcp6 = pytest.importorskip("scapy.layers.dhcp6")
FRONT = GATEWAY_MAC + GUEST_MAC


def seeds() -> list[bytes]:
    """Good frames of every kind, to be spoilt."""
    ether = scapy.Ether(src=GUEST_MAC, dst=GATEWAY_MAC)
    four = ether / scapy.IP(src="10.0.2.15", dst="10.0.2.2")
    six = ether / scapy.IPv6(src="fd00:6768::15", dst="fd00:6768::2", hlim=255)
    away = ether / scapy.IP(src="10.0.2.15", dst="93.184.216.34")
    boot = scapy.BOOTP(chaddr=GUEST_MAC) / scapy.DHCP(options=[("message-type", "discover"), "end"])
    packets = [
        ether / scapy.ARP(hwsrc=GUEST_MAC, psrc="10.0.2.15", pdst="10.0.2.2"),
        four / scapy.ICMP(id=1) / b"ping",
        away / scapy.ICMP(id=1) / b"ping",
        away / scapy.UDP(sport=1, dport=2) / b"data",
        away / scapy.TCP(sport=1, dport=2, flags="S", options=[("MSS", 1460), ("WScale", 7)]),
        four / scapy.TCP(sport=1, dport=2, flags="SA") / b"data",
        four / scapy.UDP(sport=68, dport=67) / boot,
        ether / scapy.IP(src="10.0.2.15", dst="10.0.2.3") / scapy.UDP(sport=9, dport=53) / question("example.org"),
        six / scapy.ICMPv6EchoRequest(data=b"x"),
        six / scapy.ICMPv6ND_NS(tgt="fd00:6768::2") / scapy.ICMPv6NDOptSrcLLAddr(lladdr=GUEST_MAC),
        six / scapy.ICMPv6ND_RS(),
        six / scapy.IPv6ExtHdrHopByHop() / scapy.IPv6ExtHdrDestOpt() / scapy.UDP(dport=9) / b"data",
        six / scapy.IPv6ExtHdrFragment(m=1, id=4) / bytes(64),
        six / scapy.TCP(sport=1, dport=2, flags="S"),
        ether / scapy.IPv6(src="fe80::1", dst="ff02::1:2") / scapy.UDP(sport=546, dport=547) / dhcp6.DHCP6_Solicit()
        / dhcp6.DHCP6OptClientId(duid=dhcp6.DUID_LL(lladdr=GUEST_MAC)) / dhcp6.DHCP6OptIA_NA(),
        away.__class__(bytes(ether / scapy.IP(src="10.0.2.15", dst="9.9.9.9", flags="MF", id=3) / bytes(64))),
    ]  # fmt: skip
    return [bytes(packet) for packet in packets]


def spoilt(frame: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, removed or put in; now and then with right checksums, which get deeper."""
    data = bytearray(frame)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(12, len(data))
        what = chance.randrange(5)
        if what < 3 or len(data) < 60:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif what == 3:
            del data[at : at + chance.randrange(1, 40)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 40))
    header = bytearray(PLAIN)
    if chance.random() < 0.7:
        header[0] = 1  # the checksum is not looked at
    if chance.random() < 0.2:
        header[1] = chance.randrange(8)
        header[4:6] = chance.randbytes(2)
    if data[12:14] == b"\x08\x00" and len(data) > 34 and chance.random() < 0.8:
        size = (data[14] & 15) * 4
        if 20 <= size <= len(data) - 14:
            data[16:18] = (len(data) - 14).to_bytes(2, "big")
            data[24:26] = b"\0\0"
            words = sum(struct.unpack(f"!{size // 2}H", data[14 : 14 + size])) % 0xFFFF
            data[24:26] = (0xFFFF - words).to_bytes(2, "big")
    return bytes(header + data)


@pytest.mark.parametrize("seed", range(12))
def test_spoilt_frames_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    rules = tuple(map(parse_rule, ("allow *.example.org", "deny 8.0.0.0/8"))) if seed % 2 else ()
    world = World(NetworkPlan(offload=bool(seed & 2), resolvers=("9.9.9.9",), rules=rules))
    good = seeds()
    for _ in range(10_000):
        world.send_raw(spoilt(chance.choice(good), chance))
        if chance.random() < 0.2:
            world.step(chance.choice((0.001, 0.1, 3)))
            world.frames.clear()
    stack = world.stack
    assert len(stack.tcp) <= 512 + 1024
    assert len(stack.udp) <= 2048
    assert len(stack.echo) <= 64
    assert stack.dns.pending <= 256
    assert stack._frames.waiting <= 64
    assert stack.tcp.budget.used < 1 << 20
    assert world.ask(ip_packet(GUEST, GATEWAY, 1, bytes(scapy.ICMP()))), "it still answers"


@pytest.mark.parametrize("seed", range(2))
def test_bytes_without_sense_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    world = World(NetworkPlan(resolvers=("9.9.9.9",)))
    for _ in range(10_000):
        front = chance.choice(
            (b"", PLAIN, PLAIN + FRONT, PLAIN + FRONT + b"\x08\x00\x45", PLAIN + FRONT + b"\x86\xdd\x60")
        )
        world.send_raw(front + chance.randbytes(chance.randrange(0, 120)))
        if chance.random() < 0.1:
            world.step(1)
    world.frames.clear()
    assert world.ask(ip_packet(GUEST, GATEWAY, 1, bytes(scapy.ICMP())))


@pytest.mark.parametrize("seed", range(10))
def test_wild_segments_within_connections_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    world = World(NetworkPlan(offload=bool(seed % 2)))
    for number in range(30):
        peer = Peer(world, port=1000 + number)
        assert world.run(lambda: peer.open)  # noqa: B023
        peer.silent = True
        stream = world.outside.streams[-1]
        stream.room = chance.choice((0, 1000, 1 << 20))
        stream.give(bytes(chance.randrange(0, 200_000)), end=chance.random() < 0.3)
        for _ in range(300):
            if stream.closed:
                break
            seq = (
                peer.base + 1 + chance.choice((0, 0, -1, 1, chance.randrange(-70_000, 1 << 21), chance.getrandbits(32)))
            )
            peer.ack += chance.choice((0, 0, 1, 1000, chance.randrange(-1000, 70_000), chance.getrandbits(32)))
            flags = ACK_MOST if chance.random() < 0.9 else chance.getrandbits(6)
            window = chance.choice((0, 1, 100, 65535, 1 << 20))
            peer.emit(seq, flags, chance.randbytes(chance.choice((0, 0, 1, 1460))), window)
            world.step(chance.choice((0.001, 0.001, 0.3, 2)))
            if chance.random() < 0.1:
                stream.make_room(10_000)
        assert len(stream.got) <= 1 << 22
        assert world.stack.tcp.budget.used <= 3 << 20
        world.stack.tcp.host_closed()
        assert world.stack.tcp.budget.used == 0
        world.listeners.clear()
        world.tickers.clear()


ACK_MOST = 0x10


def test_data_for_many_hosts_that_take_nothing_is_bounded() -> None:
    world = World(NetworkPlan(offload=False))
    peers = [Peer(world, port=2000 + number) for number in range(120)]
    assert world.run(lambda: all(peer.open for peer in peers), 10, step=0.02)
    for stream in world.outside.streams:
        stream.room = 0
    payload = bytes(1 << 20)
    for peer in peers:
        peer.mss = 65000
        peer.send(payload)
    world.run(seconds=0.6, step=0.02)
    budget = world.stack.tcp.budget
    assert budget.used >= sum(stream.user.receiver.waiting for stream in world.outside.streams)
    assert budget.total // 2 < budget.used <= budget.total + 120 * (16 << 10) + 65000
    world.stack.tcp.host_closed()
    assert budget.used == 0


def test_a_name_server_of_another_kind_is_not_reached() -> None:
    world = World(NetworkPlan(offload=False))
    datagram = struct.pack("!HHHH", 9, 54, 12, 0) + b"data"
    world.ask(ip_packet(GUEST, DNS, 17, with_checksum(GUEST, DNS, 17, datagram, 6)))
    assert not world.outside.sockets
