"""The name server: names of its own, questions that go on, answers that count for the rules; scapy reads along."""

import struct

import pytest

from guesthouse.virtual.network.addresses import packed
from guesthouse.virtual.network.names import GRACE, MOST_ADDRESSES, Names
from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.plan import NetworkPlan
from guesthouse.virtual.network.rules import Rules, parse_rule
from tests.virtual.network.tcp_peer import Peer
from tests.virtual.network.world import DNS, DNS6, World

scapy = pytest.importorskip("scapy.all")
RESOLVER = packed("9.9.9.9")
PUBLIC = "93.184.216.34"


def world_with(*rules: str, **options) -> World:
    plan = NetworkPlan(
        offload=False,
        rules=tuple(map(parse_rule, rules)),
        resolvers=("9.9.9.9", "8.8.8.8#5353"),
        host_name="box",
        **options,
    )
    return World(plan)


def question(name: str, kind: str = "A", number: int = 7) -> bytes:
    return bytes(scapy.DNS(id=number, rd=1, qd=scapy.DNSQR(qname=name, qtype=kind)))


def ask(world: World, name: str, kind: str = "A", to: bytes = DNS):
    """What comes back at once, read by scapy; None for nothing."""
    frames = world.udp(question(name, kind), to, 53)
    return scapy.Ether(frames[0])[scapy.DNS] if frames else None


def answer(asked: bytes, *records) -> bytes:
    message = scapy.DNS(asked)
    return bytes(scapy.DNS(id=message.id, qr=1, ra=1, qd=message.qd, an=list(records)))


def resolve(world: World, name: str, *addresses: str, ttl: int = 60):
    """Ask, and answer as the resolver."""
    assert ask(world, name) is None
    opened = world.outside.sockets[-1]
    sent, address, port = opened.sent[-1]
    records = [scapy.DNSRR(rrname=name, type="AAAA" if ":" in one else "A", rdata=one, ttl=ttl) for one in addresses]
    opened.received(answer(sent, *records), address, port)
    (frame,) = world.settle()
    return scapy.Ether(frame)[scapy.DNS]


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("host.guesthouse", "A", "10.0.2.2"),
        ("Gateway", "A", "10.0.2.2"),
        ("gateway.guesthouse", "AAAA", "fd00:6768::2"),
        ("box", "A", "10.0.2.15"),
        ("db.internal", "A", "10.9.9.9"),
        ("2.2.0.10.in-addr.arpa", "PTR", b"host.guesthouse."),
    ],
)
def test_names_of_this_network(name: str, kind: str, data) -> None:
    world = world_with("deny any", names={"db.internal": "10.9.9.9"})
    for server in (DNS, DNS6):
        reply = ask(world, name, kind, server)
        assert (reply.rcode, reply.id, reply.aa, reply.ra) == (0, 7, 1, 1)
        assert reply.an[0].rdata == data
    assert not world.outside.sockets


def test_names_of_this_network_that_are_not_there() -> None:
    world = world_with()
    assert ask(world, "nobody.guesthouse").rcode == 3
    assert ask(world, "box", "AAAA").ancount == 0
    assert ask(world, "box", "MX").rcode == 0


def test_a_question_goes_on_and_its_answer_comes_back() -> None:
    world = world_with()
    reply = resolve(world, "example.org", PUBLIC, "2606:2800::1", ttl=99)
    assert (reply.id, [one.rdata for one in reply.an]) == (7, [PUBLIC, "2606:2800::1"])
    sent, address, port = world.outside.sockets[0].sent[0]
    assert (address, port) == (RESOLVER, 53)
    assert sent[:2] != b"\0\7", "a number that nobody can guess"
    assert world.outside.sockets[0].closed
    assert world.stack.names.of(packed(PUBLIC), world.now) == ["example.org"]
    assert world.stack.dns.pending == 0


def test_answers_that_nobody_asked_for_are_ignored() -> None:
    world = world_with()
    ask(world, "example.org")
    opened = world.outside.sockets[0]
    sent = opened.sent[0][0]
    good = answer(sent, scapy.DNSRR(rrname="example.org", rdata=PUBLIC))
    opened.received(good, packed("6.6.6.6"), 53)
    opened.received(good, RESOLVER, 54)
    opened.received(bytes([good[0] ^ 1]) + good[1:], RESOLVER, 53)
    opened.received(answer(sent.replace(b"example", b"exampl3")), RESOLVER, 53)
    opened.received(sent, RESOLVER, 53)
    opened.received(b"", RESOLVER, 53)
    assert not world.settle()
    assert not world.stack.names.of(packed(PUBLIC), world.now)
    opened.received(good, RESOLVER, 53)
    assert len(world.settle()) == 1


def test_resolvers_that_are_silent_or_absent() -> None:
    world = world_with()
    ask(world, "example.org")
    world.outside.sockets[0].bounced(RESOLVER, 53, Problem.REFUSED)
    world.settle()
    assert world.outside.sockets[1].sent[0][1:] == (packed("8.8.8.8"), 5353)
    assert world.run(lambda: bool(world.frames), 10, step=0.1)
    assert scapy.Ether(world.frames[0])[scapy.DNS].rcode == 2
    assert len(world.outside.sockets) == 4
    assert all(opened.closed for opened in world.outside.sockets)
    lonely = World(NetworkPlan(offload=False))
    assert ask(lonely, "example.org").rcode == 2


def test_questions_are_bounded() -> None:
    world = world_with()
    for number in range(400):
        ask(world, f"name{number}.example.org")
    assert world.stack.dns.pending == 256
    assert sum(not opened.closed for opened in world.outside.sockets) == 256


@pytest.mark.parametrize(
    "message",
    [
        question("a.b")[:11],
        bytes(12),
        struct.pack("!HHHHHH", 1, 0, 2, 0, 0, 0) + question("a.b")[12:] * 2,
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\x3fa",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\x01a" * 200 + b"\0\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0x2800, 1, 0, 0, 0) + question("a.b")[12:],
        struct.pack("!HHHHHH", 1, 0x8000, 1, 0, 0, 0) + question("a.b")[12:],
    ],
)
def test_malformed_questions(message: bytes) -> None:
    world = world_with()
    frames = world.udp(message, DNS, 53)
    assert not world.outside.sockets
    for frame in frames:
        assert scapy.Ether(frame)[scapy.DNS].rcode in (1, 4)


def test_malformed_answers_are_read_as_far_as_they_go() -> None:
    world = world_with()
    ask(world, "example.org")
    opened = world.outside.sockets[0]
    good = answer(opened.sent[0][0], scapy.DNSRR(rrname="example.org", rdata=PUBLIC))
    opened.received(good[:-1], RESOLVER, 53)
    assert len(world.settle()) == 1
    assert not world.stack.names.of(packed(PUBLIC), world.now)


def test_a_rule_with_a_name_holds_for_the_addresses_that_the_guest_was_told() -> None:
    world = world_with("allow *.example.org 443/udp", "deny any")
    world.udp(b"x", packed(PUBLIC), 443)
    assert not world.outside.sockets, "nobody has asked yet"
    resolve(world, "www.example.org", PUBLIC)
    world.frames.clear()
    assert not world.udp(b"x", packed(PUBLIC), 443)
    assert world.outside.sockets[-1].sent == [(b"x", packed(PUBLIC), 443)]
    (told,) = world.udp(b"x", packed(PUBLIC), 80)
    assert scapy.Ether(told)[scapy.ICMP].code == 13
    assert world.refused[-1].name == "www.example.org"
    world.run(seconds=60 + GRACE + 5, step=5)
    assert world.udp(b"x", packed(PUBLIC), 443), "its time is over"


def test_questions_for_names_that_are_denied_go_nowhere() -> None:
    world = world_with("deny bad.example.org", "allow *.example.org", "deny any")
    assert ask(world, "bad.example.org").rcode == 5
    assert ask(world, "secret-data.attacker.net").rcode == 5
    assert ask(world, "example.org").rcode == 5
    assert [(one.protocol, one.name) for one in world.refused[:2]] == [
        ("dns", "bad.example.org"), ("dns", "secret-data.attacker.net"),
    ]  # fmt: skip
    assert not world.outside.sockets
    assert ask(world, "good.example.org") is None
    assert len(world.outside.sockets) == 1


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "127.0.0.1", "10.0.2.2", "169.254.169.254", "::1", "fd00:6768::2", "64:ff9b::a00:1"]
)
def test_an_answer_with_a_private_address_opens_nothing(address: str) -> None:
    world = world_with("allow *.attacker.net", "deny any")
    resolve(world, "rebind.attacker.net", address)
    opened = len(world.outside.sockets)
    world.udp(b"x", packed(address), 80)
    assert len(world.outside.sockets) == opened
    assert world.refused[-1].address == str(address)


def test_an_address_that_is_allowed_by_number_needs_no_name() -> None:
    rules = Rules([parse_rule("allow 10.0.0.0/8 80"), parse_rule("deny any")])
    assert rules.allows("tcp", packed("10.1.1.1"), 80, [])
    assert not rules.allows("tcp", packed("10.1.1.1"), 81, [])
    assert not rules.allows("tcp", packed("64:ff9b::a01:101"), 80, []), "a rule for IPv4 allows no IPv6"
    denied = Rules([parse_rule("deny 10.0.0.0/8")])
    assert not denied.allows("tcp", packed("64:ff9b::a01:101"), 80, []), "but what it denies, it denies in disguise"
    assert denied.allows("tcp", packed("64:ff9b::801:101"), 80, [])


def test_names_are_bounded_and_the_oldest_go() -> None:
    names = Names()
    for number in range(MOST_ADDRESSES + 10):
        names.remember("a", number.to_bytes(4, "big"), 60, 0)
    assert len(names) == MOST_ADDRESSES
    assert not names.of(bytes(4), 0)
    for number in range(100):
        names.remember(f"name{number}", b"\1\1\1\1", 1e12, 0)
    assert names.of(b"\1\1\1\1", 0)[-1] == "name99"
    assert len(names.of(b"\1\1\1\1", 0)) == 16
    assert not names.of(b"\1\1\1\1", 1e9), "no answer holds for ever"


def test_questions_over_tcp() -> None:
    world = world_with()
    peer = Peer(world, to_port=53, to=DNS)
    assert world.run(lambda: peer.open)
    asked = question("box")
    peer.send(len(asked).to_bytes(2, "big") + asked[:5])
    world.run(seconds=0.05)
    peer.send(asked[5:])
    assert world.run(lambda: len(peer.got) > 2)
    assert scapy.DNS(bytes(peer.got[2:])).an[0].rdata == "10.0.2.15"
    peer.got.clear()

    asked = question("example.org", number=9)
    peer.send(len(asked).to_bytes(2, "big") + asked)
    assert world.run(lambda: bool(world.outside.streams))
    upstream = world.outside.streams[0]
    assert (upstream.address, upstream.port) == (RESOLVER, 53)
    assert world.run(lambda: len(upstream.got) == 2 + len(asked))
    reply = answer(bytes(upstream.got[2:]), *[scapy.DNSRR(rrname="example.org", rdata=PUBLIC)] * 100)
    message = len(reply).to_bytes(2, "big") + reply
    upstream.give(message[:50])
    upstream.give(message[50:])
    assert world.run(lambda: len(peer.got) == len(message))
    assert scapy.DNS(bytes(peer.got[2:])).ancount == 100
    assert world.stack.names.of(packed(PUBLIC), world.now) == ["example.org"]
    peer.finish()
    assert world.run(lambda: peer.ended and len(world.stack.tcp) == 0)


def test_over_tcp_the_next_resolver_is_tried_and_nonsense_is_reset() -> None:
    world = world_with()
    world.outside.answers[RESOLVER, 53] = Problem.REFUSED
    world.outside.answers[packed("8.8.8.8"), 5353] = None
    peer = Peer(world, to_port=53, to=DNS)
    asked = question("example.org", number=9)
    assert world.run(lambda: peer.open)
    peer.send(len(asked).to_bytes(2, "big") + asked)
    assert world.run(lambda: len(peer.got) > 2, 20, step=0.01)
    assert scapy.DNS(bytes(peer.got[2:])).rcode == 2
    assert all(stream.closed for stream in world.outside.streams)
    peer.send(b"\0\1x")
    assert world.run(lambda: peer.reset)
    assert world.stack.dns.pending == 0
