"""What the gateway says itself, compared with scapy: ARP, neighbours, DHCP, echoes, errors, fragments."""

import struct

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.network.addresses import interface_address, is_public, is_unicast, layout, packed
from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.plan import Forward, NetworkPlan
from guesthouse.virtual.network.rules import parse_rule
from guesthouse.virtual.network.udp import build
from tests.virtual.network.world import GATEWAY, GATEWAY6, GATEWAY_MAC, GUEST_MAC, World

scapy = pytest.importorskip("scapy.all")
dhcp6 = pytest.importorskip("scapy.layers.dhcp6")
OTHER = packed("93.184.216.34")
MAC = "52:54:00:12:34:56"


def exchange(world: World, packet) -> list:
    """Send what scapy made; what comes back, as scapy reads it."""
    raw = bytes(packet)
    message = bytes(10) + b"\1\0" + raw
    world.send_raw(message)
    return [scapy.Ether(frame) for frame in world.settle()]


def ether(**fields):
    return scapy.Ether(src=MAC, dst=GATEWAY_MAC.hex(":"), **fields)


def consistent(packet) -> bool:
    """Whether lengths and checksums are what scapy computes."""
    again = packet.copy()
    for layer in ("IP", "UDP", "TCP", "ICMP", "ICMPv6DestUnreach"):
        if layer in again:
            for field in ("len", "chksum", "cksum"):
                if field in again[layer].fields:
                    delattr(again[layer], field)
    for layer in again.layers():
        if layer.__name__.startswith("ICMPv6") and "cksum" in again[layer].fields:
            del again[layer].cksum
    return bytes(scapy.Ether(bytes(again))) == bytes(packet)


def test_arp_is_answered_for_the_gateway_and_the_name_server_only() -> None:
    world = World()
    for address, answered in (("10.0.2.2", True), ("10.0.2.3", True), ("10.0.2.9", False), ("8.8.8.8", False)):
        frame = scapy.Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(hwsrc=MAC, psrc="10.0.2.15", pdst=address)
        replies = exchange(world, frame)
        assert len(replies) == answered
        if answered:
            reply = replies[0][scapy.ARP]
            assert (reply.op, reply.hwsrc, reply.psrc) == (2, GATEWAY_MAC.hex(":"), address)
            assert (reply.hwdst, reply.pdst, replies[0].dst) == (MAC, "10.0.2.15", MAC)


def test_the_gateway_asks_for_a_guest_it_does_not_know() -> None:
    world = World()
    stream = object()
    world.stack.udp.visited(stream, b"hello", packed("127.0.0.1"), 9, packed("10.0.2.77"), 7)
    (asked,) = [scapy.Ether(frame) for frame in world.settle()]
    assert (asked[scapy.ARP].op, asked[scapy.ARP].pdst, asked[scapy.ARP].psrc) == (1, "10.0.2.77", "10.0.2.2")
    unknown = packed("fd00:6768::77")
    world.stack.udp.visited(stream, b"hello", packed("::1"), 9, unknown, 7)
    (asked,) = [scapy.Ether(frame) for frame in world.settle()]
    assert asked[scapy.ICMPv6ND_NS].tgt == "fd00:6768::77"
    assert asked.dst == "33:33:ff:00:00:77"
    assert consistent(asked)
    world.stack.udp.visited(stream, b"hello", packed("::1"), 9, unknown, 7)
    assert not world.settle(), "not again and again"
    answer = scapy.ICMPv6ND_NA(tgt="fd00:6768::77", S=1) / scapy.ICMPv6NDOptDstLLAddr(lladdr="52:54:00:00:00:77")
    exchange(world, ether() / scapy.IPv6(src="fd00:6768::77", dst="fe80::5055:ff:fe67:6801", hlim=255) / answer)
    world.stack.udp.visited(stream, b"hello", packed("::1"), 9, unknown, 7)
    (told,) = [scapy.Ether(frame) for frame in world.settle()]
    assert told.dst == "52:54:00:00:00:77"
    assert consistent(told)
    assert told[scapy.UDP].dport == 7


def dhcp_message(kind: str, mac: str = MAC, **options):
    boot = scapy.BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")) + bytes(10), xid=77, ciaddr=options.pop("ciaddr", 0))
    said = [("message-type", kind), *options.items(), "end"]
    ip = scapy.IP(src="0.0.0.0", dst="255.255.255.255")
    return (
        scapy.Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
        / ip
        / scapy.UDP(sport=68, dport=67)
        / boot
        / scapy.DHCP(options=said)
    )


def test_dhcp_gives_the_usual_address_and_all_that_goes_with_it() -> None:
    world = World(NetworkPlan(offload=False, host_name="box"))
    (offer,) = exchange(world, dhcp_message("discover"))
    assert consistent(offer)
    assert offer[scapy.BOOTP].yiaddr == "10.0.2.15"
    assert offer[scapy.BOOTP].xid == 77
    said = dict(option[:2] for option in offer[scapy.DHCP].options if isinstance(option, tuple))
    assert said["message-type"] == 2
    assert (said["router"], said["name_server"], said["subnet_mask"]) == ("10.0.2.2", "10.0.2.3", "255.255.255.0")
    assert (said["hostname"], said["domain"], said["server_id"]) == (b"box", b"guesthouse", "10.0.2.2")
    assert said["interface-mtu"] == 1500
    (ack,) = exchange(world, dhcp_message("request", requested_addr="10.0.2.15", server_id="10.0.2.2"))
    assert dict(o[:2] for o in ack[scapy.DHCP].options if isinstance(o, tuple))["message-type"] == 5
    (nak,) = exchange(world, dhcp_message("request", requested_addr="10.0.2.99", server_id="10.0.2.2"))
    assert dict(o[:2] for o in nak[scapy.DHCP].options if isinstance(o, tuple))["message-type"] == 6
    assert nak[scapy.IP].dst == "255.255.255.255"
    assert not exchange(world, dhcp_message("request", requested_addr="10.0.2.15", server_id="10.0.2.9"))
    (other,) = exchange(world, dhcp_message("discover", mac="52:54:00:00:00:09"))
    assert other[scapy.BOOTP].yiaddr == "10.0.2.16"
    exchange(world, dhcp_message("release"))
    (informed,) = exchange(world, dhcp_message("inform", ciaddr="10.0.2.15"))
    assert informed[scapy.BOOTP].yiaddr == "0.0.0.0"
    assert "lease_time" not in dict(o[:2] for o in informed[scapy.DHCP].options if isinstance(o, tuple))


def test_dhcp_leases_are_bounded() -> None:
    world = World()
    offers = [len(exchange(world, dhcp_message("discover", mac=f"52:54:00:00:01:{n:02x}"))) for n in range(40)]
    assert sum(offers) == 16


def test_a_router_tells_of_itself_the_prefix_and_the_name_server() -> None:
    world = World()
    message = scapy.ICMPv6ND_RS() / scapy.ICMPv6NDOptSrcLLAddr(lladdr=MAC)
    replies = exchange(world, ether() / scapy.IPv6(src="fe80::5054:ff:fe12:3456", dst="ff02::2", hlim=255) / message)
    (told,) = replies
    assert consistent(told)
    assert (told.dst, told[scapy.IPv6].hlim) == ("33:33:00:00:00:01", 255)
    assert told[scapy.IPv6].src == "fe80::5055:ff:fe67:6801"
    assert told[scapy.ICMPv6ND_RA].routerlifetime == 1800
    assert told[scapy.ICMPv6ND_RA].O == 1
    prefix = told[scapy.ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.A, prefix.L) == ("fd00:6768::", 64, 1, 1)
    assert told[scapy.ICMPv6NDOptRDNSS].dns == ["fd00:6768::3"]
    assert told[scapy.ICMPv6NDOptDNSSL].searchlist == ["guesthouse."]
    assert told[scapy.ICMPv6NDOptMTU].mtu == 1500
    assert told[scapy.ICMPv6NDOptSrcLLAddr].lladdr == GATEWAY_MAC.hex(":")
    routed = ether() / scapy.IPv6(src="fe80::5054:ff:fe12:3456", dst="ff02::2", hlim=64) / scapy.ICMPv6ND_RS()
    assert not exchange(world, routed), "what came over a router is no neighbour's"


def test_neighbours_are_told_of_the_gateway() -> None:
    world = World()
    for target, router in (("fd00:6768::2", 1), ("fd00:6768::3", 0), ("fe80::5055:ff:fe67:6801", 1)):
        ask = scapy.ICMPv6ND_NS(tgt=target) / scapy.ICMPv6NDOptSrcLLAddr(lladdr=MAC)
        (told,) = exchange(world, ether() / scapy.IPv6(src="fd00:6768::15", dst=target, hlim=255) / ask)
        assert consistent(told)
        assert (told[scapy.ICMPv6ND_NA].tgt, told[scapy.ICMPv6ND_NA].S, told[scapy.ICMPv6ND_NA].R) == (
            target,
            1,
            router,
        )
        assert told[scapy.ICMPv6NDOptDstLLAddr].lladdr == GATEWAY_MAC.hex(":")
    ask = scapy.ICMPv6ND_NS(tgt="fd00:6768::2")
    (told,) = exchange(world, ether() / scapy.IPv6(src="::", dst="ff02::1:ff00:2", hlim=255) / ask)
    assert (told[scapy.IPv6].dst, told[scapy.ICMPv6ND_NA].S) == ("ff02::1", 0)
    assert not exchange(
        world, ether() / scapy.IPv6(src="::", dst="ff02::1:ff00:2", hlim=255) / scapy.ICMPv6ND_NS(tgt="fd00:6768::15")
    )


def test_dhcpv6_tells_the_name_server_and_gives_an_address() -> None:
    world = World()
    ip = scapy.IPv6(src="fe80::5054:ff:fe12:3456", dst="ff02::1:2")
    world.stack.link.learn(packed("fe80::5054:ff:fe12:3456"), GUEST_MAC)
    front = ether() / ip / scapy.UDP(sport=546, dport=547)
    (told,) = exchange(world, front / dhcp6.DHCP6_InfoRequest(trid=5) / dhcp6.DHCP6OptOptReq())
    assert consistent(told)
    assert told[dhcp6.DHCP6_Reply].trid == 5
    assert told[dhcp6.DHCP6OptDNSServers].dnsservers == ["fd00:6768::3"]
    client = dhcp6.DHCP6OptClientId(duid=dhcp6.DUID_LL(lladdr=MAC))
    (offered,) = exchange(world, front / dhcp6.DHCP6_Solicit(trid=6) / client / dhcp6.DHCP6OptIA_NA(iaid=9))
    assert dhcp6.DHCP6_Advertise in offered
    assert offered[dhcp6.DHCP6OptIA_NA].iaid == 9
    assert offered[dhcp6.DHCP6OptIAAddress].addr == "fd00:6768::15"
    server = offered[dhcp6.DHCP6OptServerId].copy()
    server.remove_payload()
    (given,) = exchange(world, front / dhcp6.DHCP6_Request(trid=7) / client / server / dhcp6.DHCP6OptIA_NA(iaid=9))
    assert given[dhcp6.DHCP6_Reply].trid == 7
    foreign = dhcp6.DHCP6OptServerId(duid=dhcp6.DUID_LL(lladdr="00:11:22:33:44:55"))
    assert not exchange(world, front / dhcp6.DHCP6_Request(trid=8) / client / foreign)


def test_the_gateway_echoes() -> None:
    world = World()
    ping = scapy.ICMP(id=3, seq=4) / b"payload"
    (reply,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="10.0.2.2") / ping)
    assert consistent(reply)
    assert (reply[scapy.ICMP].type, reply[scapy.ICMP].id, reply[scapy.ICMP].seq) == (0, 3, 4)
    assert bytes(reply[scapy.ICMP].payload).rstrip(b"\0") == b"payload"
    for to in ("fd00:6768::2", "fe80::5055:ff:fe67:6801"):
        ping = scapy.ICMPv6EchoRequest(id=3, seq=4, data=b"payload")
        (reply,) = exchange(world, ether() / scapy.IPv6(src="fd00:6768::15", dst=to) / ping)
        assert consistent(reply)
        assert reply[scapy.ICMPv6EchoReply].data == b"payload"
    damaged = bytearray(bytes(ether() / scapy.IP(src="10.0.2.15", dst="10.0.2.2") / scapy.ICMP() / b"x"))
    damaged[-1] ^= 1
    assert not exchange(world, bytes(damaged))


def test_echoes_go_on_where_the_host_permits_them() -> None:
    world = World()
    ping = ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.ICMP(id=3, seq=4) / b"payload"
    assert not exchange(world, ping)
    (opened,) = world.outside.sockets
    ((sent, address, _),) = opened.sent
    assert (address, sent[0]) == (OTHER, 8)
    answer = scapy.ICMP(type=0, id=999, seq=4) / b"payload"
    opened.received(bytes(answer), OTHER, 0)
    opened.received(bytes(answer), packed("9.9.9.9"), 0)
    opened.received(b"\0", OTHER, 0)
    (reply,) = [scapy.Ether(frame) for frame in world.settle()]
    assert consistent(reply)
    assert (reply[scapy.ICMP].id, reply[scapy.ICMP].seq, reply[scapy.IP].src) == (3, 4, "93.184.216.34")
    world.run(seconds=70, step=1)
    assert opened.closed
    world.outside.echoes_permitted = False
    (refused,) = exchange(world, ping)
    assert (refused[scapy.ICMP].type, refused[scapy.ICMP].code) == (3, 13)
    assert consistent(refused)
    six = ether() / scapy.IPv6(src="fd00:6768::15", dst="2606:2800::1") / scapy.ICMPv6EchoRequest(data=b"x")
    (refused,) = exchange(world, six)
    assert consistent(refused)
    assert refused[scapy.ICMPv6DestUnreach].code == 1


def test_echoes_are_bounded() -> None:
    world = World()
    for number in range(200):
        exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.ICMP(id=number))
    assert len(world.stack.echo) == 64
    assert sum(not opened.closed for opened in world.outside.sockets) == 64


def test_a_packet_that_has_travelled_too_far_is_answered_so() -> None:
    world = World()
    (told,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34", ttl=1) / scapy.UDP(dport=33434))
    assert (told[scapy.ICMP].type, told[scapy.IP].src) == (11, "10.0.2.2")
    assert consistent(told)
    six = ether() / scapy.IPv6(src="fd00:6768::15", dst="2606:2800::1", hlim=1) / scapy.UDP(dport=33434)
    (told,) = exchange(world, six)
    assert scapy.ICMPv6TimeExceeded in told


@pytest.mark.parametrize("order", [1, -1])
def test_fragments_are_put_together_in_any_order(order: int) -> None:
    world = World()
    data = bytes(range(256)) * 40
    whole = scapy.IP(src="10.0.2.15", dst="93.184.216.34", id=5) / scapy.UDP(sport=9, dport=99) / data
    for piece in scapy.fragment(whole, 1480)[::order]:
        exchange(world, ether() / piece)
    (opened,) = world.outside.sockets
    assert opened.sent == [(data, OTHER, 99)]
    six = (
        scapy.IPv6(src="fd00:6768::15", dst="2606:2800::1")
        / scapy.IPv6ExtHdrFragment()
        / scapy.UDP(sport=8, dport=99)
        / data
    )
    for piece in scapy.fragment6(six, 1400)[::order]:
        exchange(world, ether() / piece)
    assert world.outside.sockets[1].sent == [(data, packed("2606:2800::1"), 99)]
    assert world.stack._frames.waiting == 0


def test_long_datagrams_reach_the_guest_in_fragments() -> None:
    world = World()
    data = bytes(range(256)) * 40
    for version, source in ((4, "93.184.216.34"), (6, "2606:2800::1")):
        ip = scapy.IP(src="10.0.2.15", dst=source) if version == 4 else scapy.IPv6(src="fd00:6768::15", dst=source)
        exchange(world, ether() / ip / scapy.UDP(sport=9, dport=99) / b"?")
        world.outside.sockets[-1].received(data, packed(source), 99)
        frames = [scapy.Ether(frame) for frame in world.settle()]
        assert len(frames) > 5
        assert all(len(frame) <= 1514 for frame in frames)
        if version == 4:
            (whole,) = scapy.defragment([frame[scapy.IP] for frame in frames])
            assert consistent(ether() / whole)
        else:
            whole = scapy.IPv6(bytes(scapy.defragment6([frame[scapy.IPv6] for frame in frames])))
        assert bytes(whole[scapy.UDP].payload) == data


def test_fragments_that_overlap_or_never_end_are_dropped_and_bounded() -> None:
    world = World()
    base = scapy.IP(src="10.0.2.15", dst="93.184.216.34", id=5, proto=17)
    data = struct.pack("!HHHH", 9, 99, 104, 0) + bytes(96)
    for offset, size, more in ((0, 64, 1), (4, 32, 1), (12, 8, 0)):  # the bytes that overlap are as many as lack
        piece = base.copy()
        piece.frag, piece.flags = offset, more
        exchange(world, ether() / piece / data[offset * 8 : offset * 8 + size])
    assert not world.outside.sockets
    for number in range(300):
        piece = base.copy()
        piece.id, piece.flags = 1000 + number, 1
        exchange(world, ether() / piece / bytes(8))
    assert world.stack._frames.waiting == 64
    world.run(seconds=31, step=1)
    piece.id = 3000
    exchange(world, ether() / piece / bytes(8))
    assert world.stack._frames.waiting == 1


def test_where_a_guest_may_not_send() -> None:
    world = World(NetworkPlan(offload=False, loopback=False))
    expected = {
        "10.0.2.2": 3, "10.0.2.77": 1, "10.0.2.3": 3, "127.0.0.1": 0, "0.0.0.1": 0,
    }  # fmt: skip
    for address, code in expected.items():
        (told,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst=address) / scapy.UDP(dport=9))
        assert (told[scapy.ICMP].type, told[scapy.ICMP].code) == (3, code), address
        assert consistent(told)
    for address in ("::1", "::ffff:127.0.0.1", "fe80::1", "2002:7f00:1::", "64:ff9b::7f00:1"):
        (told,) = exchange(world, ether() / scapy.IPv6(src="fd00:6768::15", dst=address) / scapy.UDP(dport=9))
        assert told[scapy.ICMPv6DestUnreach].code == 0, address
    for address in ("224.0.0.251", "255.255.255.255", "10.0.2.255"):
        assert not exchange(world, ether() / scapy.IP(src="10.0.2.15", dst=address) / scapy.UDP(dport=5353))
    assert not exchange(world, ether() / scapy.IPv6(src="fd00:6768::15", dst="ff02::fb") / scapy.UDP(dport=5353))
    for source in ("10.0.2.2", "10.0.2.3", "8.8.8.8", "10.0.2.255"):
        assert not exchange(world, ether() / scapy.IP(src=source, dst="93.184.216.34") / scapy.UDP(dport=9))
    assert not world.outside.sockets


def test_errors_are_not_sent_without_end() -> None:
    world = World()
    for _ in range(300):
        world.send(bytes(ether() / scapy.IP(src="10.0.2.15", dst="93.1.1.1") / scapy.ICMP())[12:])
    world.outside.echoes_permitted = False
    assert len(world.settle()) == 100


def test_without_ipv6_there_is_none() -> None:
    world = World(NetworkPlan(offload=False, subnet6=""))
    ping = ether() / scapy.IPv6(src="fd00:6768::15", dst="fd00:6768::2") / scapy.ICMPv6EchoRequest()
    assert not exchange(world, ping)
    assert not exchange(world, ether() / scapy.IPv6(src="fe80::9", dst="ff02::2", hlim=255) / scapy.ICMPv6ND_RS())


def test_other_networks_may_be_chosen() -> None:
    world = World(NetworkPlan(offload=False, subnet="192.168.77.0/24", subnet6="fd12::/64"))
    (offer,) = exchange(world, dhcp_message("discover"))
    assert offer[scapy.BOOTP].yiaddr == "192.168.77.15"
    for subnet, subnet6 in (("10.0.2.1/24", ""), ("10.0.0.0/30", ""), ("nonsense", ""), ("10.0.2.0/24", "fd00::/48")):
        with pytest.raises(UserError):
            layout(subnet, subnet6)


def test_addresses_that_a_name_may_not_open() -> None:
    private = (
        "10.1.2.3", "127.0.0.1", "192.168.0.1", "169.254.169.254", "172.16.0.1", "100.64.0.1", "224.0.0.1", "0.0.0.0",
        "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
    )  # fmt: skip
    assert not any(is_public(packed(address)) for address in private)
    assert all(is_public(packed(address)) for address in ("93.184.216.34", "2606:2800::1", "64:ff9b::5db8:d822"))
    assert is_unicast(packed("10.1.2.3"))
    assert interface_address(GATEWAY_MAC) == packed("fe80::5055:ff:fe67:6801")


def test_the_rules_refuse_and_tell() -> None:
    rules = tuple(map(parse_rule, ("allow 93.184.216.0/24 99/udp", "deny any")))
    world = World(NetworkPlan(offload=False, rules=rules))
    assert not exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.UDP(dport=99) / b"x")
    (told,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.UDP(dport=98) / b"x")
    assert (told[scapy.ICMP].type, told[scapy.ICMP].code) == (3, 13)
    (told,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.TCP(dport=99))
    assert (told[scapy.ICMP].type, told[scapy.ICMP].code) == (3, 13)
    (told,) = exchange(world, ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.ICMP())
    assert (told[scapy.ICMP].type, told[scapy.ICMP].code) == (3, 13)
    assert [(one.protocol, one.address, one.port) for one in world.refused] == [
        ("udp", "93.184.216.34", 98), ("tcp", "93.184.216.34", 99), ("icmp", "93.184.216.34", 0),
    ]  # fmt: skip
    assert world.refused[0].time == pytest.approx(world.now, abs=1)


def test_udp_goes_out_and_comes_back_from_those_it_went_to_only() -> None:
    world = World()
    world.udp(b"one", OTHER, 99)
    world.udp(b"two", packed("9.9.9.9"), 98)
    (opened,) = world.outside.sockets
    assert opened.sent == [(b"one", OTHER, 99), (b"two", packed("9.9.9.9"), 98)]
    opened.received(b"answer", packed("9.9.9.9"), 98)
    opened.received(b"stranger", packed("9.9.9.8"), 98)
    opened.received(b"stranger", packed("9.9.9.9"), 99)
    (frame,) = world.settle()
    reply = scapy.Ether(frame)
    assert consistent(reply)
    assert (reply[scapy.IP].src, reply[scapy.UDP].sport, reply[scapy.UDP].dport) == ("9.9.9.9", 98, 5000)
    opened.bounced(OTHER, 99, Problem.REFUSED)
    (frame,) = world.settle()
    told = scapy.Ether(frame)
    assert (told[scapy.ICMP].type, told[scapy.ICMP].code) == (3, 3)
    assert (told[scapy.UDPerror].sport, told[scapy.UDPerror].dport) == (5000, 99)
    world.run(seconds=200, step=1)
    assert opened.closed
    assert len(world.stack.udp) == 0


def test_the_gateway_is_the_hosts_loopback() -> None:
    world = World()
    world.udp(b"one", GATEWAY, 99)
    world.udp(b"one", GATEWAY6, 99)
    assert world.outside.sockets[0].sent == [(b"one", packed("127.0.0.1"), 99)]
    assert world.outside.sockets[1].sent == [(b"one", packed("::1"), 99)]
    world.outside.sockets[0].received(b"back", packed("127.0.0.1"), 99)
    (frame,) = world.settle()
    assert scapy.Ether(frame)[scapy.IP].src == "10.0.2.2"


def test_udp_ports_and_peers_are_bounded() -> None:
    world = World()
    for port in range(1200):
        world.udp(b"x", OTHER, 99, port=port + 1)
    assert len(world.stack.udp) == 1024
    assert sum(not opened.closed for opened in world.outside.sockets) == 1024
    for port in range(400):
        world.udp(b"x", OTHER, port + 1, port=9)
    assert all(len(flow.peers) <= 256 for flow in world.stack.udp._flows.values())


def test_a_udp_datagram_of_many_segments_is_cut() -> None:
    world = World()
    datagram = struct.pack("!HHHH", 9, 99, 8 + 2500, 0) + bytes(2500)
    packet = bytes(ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34", proto=17) / datagram)[12:]
    world.ask(packet, struct.pack("<BBHHHHH", 1, 5, 42, 1000, 34, 6, 0))
    assert [len(data) for data, _, _ in world.outside.sockets[0].sent] == [1000, 1000, 500]


def test_damaged_datagrams_are_dropped() -> None:
    world = World()
    good = bytes(ether() / scapy.IP(src="10.0.2.15", dst="93.184.216.34") / scapy.UDP(sport=9, dport=99) / b"data")
    for at in (16, 24, 30, 40, 45):
        damaged = bytearray(good)
        damaged[at] ^= 0x10
        assert not exchange(world, bytes(damaged))
    assert not world.outside.sockets
    exchange(world, good)
    assert len(world.outside.sockets) == 1


def test_visitors_of_forwarded_udp_ports_are_answered_from_there() -> None:
    world = World()

    answers: list = []

    class Port:
        def send(self, data, address, port):
            answers.append((bytes(data), address, port))

    port = Port()
    world.stack.visited(Forward(1234, 7), port, b"knock", packed("127.0.0.1"), 4444)
    (frame,) = world.settle()
    knock = scapy.Ether(frame)
    assert consistent(knock)
    assert (knock[scapy.IP].src, knock[scapy.UDP].sport, knock[scapy.UDP].dport) == ("10.0.2.2", 4444, 7)
    world.udp(b"answer", GATEWAY, 4444, port=7)
    assert answers == [(b"answer", packed("127.0.0.1"), 4444)]
    assert not world.outside.sockets
    world.stack.visited(Forward(1234, 7), Port(), b"another", packed("127.0.0.1"), 4444)
    (frame,) = world.settle()
    assert scapy.Ether(frame)[scapy.UDP].sport != 4444, "two who look alike are told apart"
    world.stack.visited(Forward(1234, 7), port, b"six", packed("::1"), 4445)
    (frame,) = world.settle()
    assert (scapy.Ether(frame)[scapy.IPv6].src, scapy.Ether(frame)[scapy.IPv6].dst) == ("fd00:6768::2", "fd00:6768::15")


def test_a_datagram_whose_checksum_is_zero_says_so_with_ones() -> None:
    source, guest = packed("9.9.9.9"), packed("10.0.2.15")
    fields = {build(source, 9, guest, 10, number.to_bytes(2, "big"))[6:8] for number in range(65536)}
    assert b"\0\0" not in fields
    assert b"\xff\xff" in fields
