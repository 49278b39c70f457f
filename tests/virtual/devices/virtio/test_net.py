"""The network card, driven as a guest would: both ring layouts, every feature that changes what passes."""

import itertools
import struct
from functools import partial

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from guesthouse.virtual.devices.virtio import net
from guesthouse.virtual.devices.virtio.net import VirtioNet
from tests.virtual.devices.fakes import MAC, Cable
from tests.virtual.devices.virtio.driver import Driver

OTHER = bytes.fromhex("525400abcdef")
RX, TX, CONTROL = 0, 1, 2
PLAIN = struct.pack("<BBHHHHH", 0, 0, 0, 0, 0, 0, 1)
BIG_ENOUGH = 1526


def bits(*features: int) -> int:
    return sum(1 << feature for feature in features)


def card(features: int = 0, pairs: int = 1, offload: bool = True, **layout: bool) -> tuple[Driver, Cable]:
    wire = Cable(offload)
    return Driver(VirtioNet(wire, pairs), features=features, **layout), wire


def frame(to: bytes = MAC, length: int = 60) -> bytes:
    return (to + OTHER + b"\x08\x00").ljust(length, b"\x55")


def received(driver: Driver, queue: int = RX) -> bytes | None:
    """The next frame, its header's count of buffers looked at."""
    done = driver.take(queue)
    if done is None:
        return None
    data = done[2][: done[1]]
    count = int.from_bytes(data[10:12], "little")
    for _ in range(count - 1):
        more = driver.take(queue)
        assert more is not None
        data += more[2][: more[1]]
    return data[12:]


def ask(driver: Driver, group: int, command: int, data: bytes = b"", queue: int = CONTROL) -> int:
    return driver.ask(queue, [bytes((group, command)), data], [1])[0]


LAYOUTS = [
    dict(zip(("packed", "indirect", "events"), flags, strict=True)) for flags in itertools.product((0, 1), repeat=3)
]


@pytest.mark.parametrize(
    "layout", LAYOUTS, ids=lambda layout: "-".join(name for name in layout if layout[name]) or "split"
)
def test_frames_pass_both_ways_in_every_layout(layout: dict[str, bool]) -> None:
    driver, wire = card(bits(net.MRG_RXBUF), **layout)
    for turn in range(25):
        sent = frame(OTHER, 60 + turn)
        driver.ask(TX, [PLAIN, sent[:20], sent[20:]])
        assert wire.packets[-1] == PLAIN + sent
        driver.add(RX, [], [BIG_ENOUGH])
        assert wire.deliver(PLAIN + frame(length=100 + turn))
        assert received(driver) == frame(length=100 + turn)
    assert not driver.broken and driver.acknowledge() & 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_long_packet_takes_several_buffers_or_none(packed: bool) -> None:
    driver, wire = card(bits(net.MRG_RXBUF, net.GUEST_CSUM, net.GUEST_TSO4), packed=packed)
    packet = PLAIN + frame(length=1000)
    driver.add(RX, [], [300])
    driver.add(RX, [], [300])
    assert not wire.deliver(packet)
    assert driver.take(RX) is None, "what did not fit left no trace"
    driver.add(RX, [], [300])
    driver.add(RX, [], [300])
    assert wire.deliver(packet)
    first = driver.take(RX)
    assert first is not None and int.from_bytes(first[2][10:12], "little") == 4
    data = first[2] + b"".join(
        done[2][: done[1]] for done in (driver.take(RX), driver.take(RX), driver.take(RX)) if done
    )
    assert data[12:] == packet[12:]


def test_without_mergeable_buffers_a_small_one_loses_the_packet_and_a_big_one_takes_it() -> None:
    driver, wire = card()
    driver.add(RX, [], [100])
    assert wire.deliver(PLAIN + frame(length=200)), "lost, and not held for ever"
    assert driver.take(RX) is None
    assert wire.deliver(PLAIN + frame(length=60))
    assert received(driver) == frame(length=60)


def test_a_full_network_holds_packets_back_in_their_order() -> None:
    driver, wire = card()
    wire.capacity = 2
    frames = [frame(OTHER, 60 + index) for index in range(5)]
    for data in frames:
        driver.add(TX, [PLAIN + data])
    driver.kick(TX)
    assert [driver.take(TX) is not None for _ in range(3)] == [True, True, False]
    driver.kick(TX)
    assert len(wire.packets) == 2
    wire.capacity = 100
    assert isinstance(driver.device.function, VirtioNet)
    driver.device.function.send_all()
    assert [packet[12:] for packet in wire.packets] == frames
    assert all(driver.take(TX) for _ in range(3))


def test_room_for_packets_is_told_to_the_network() -> None:
    driver, wire = card()
    before = wire.rooms
    assert not wire.deliver(PLAIN + frame())
    driver.add(RX, [], [BIG_ENOUGH])
    driver.kick(RX)
    assert wire.rooms == before + 1


# --- checksums and segments -------------------------------------------------------------------------------------------


def long_tcp(version: int, size: int = 5000) -> tuple[bytes, bytes, bytes]:
    """A TCP packet too long for the wire with its header, and the bytes it carries."""
    data = bytes(index * 7 % 251 for index in range(size))
    ip = IP(src="10.0.0.1", dst="10.0.0.2", id=77) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    whole = Ether(dst=MAC, src=OTHER) / ip / TCP(sport=5, dport=6, seq=0xFFFFF000, flags="PAF") / Raw(data)
    raw = bytearray(bytes(whole))
    start = 14 + (20 if version == 4 else 40)
    raw[start + 16 : start + 18] = pseudo_sum(bytes(raw[:start]), version, len(raw) - start)
    kind = net.GSO_TCPV4 if version == 4 else net.GSO_TCPV6
    return struct.pack("<BBHHHHH", 1, kind, start + 20, 1000, start, 16, 1), bytes(raw), data


def pseudo_sum(head: bytes, version: int, length: int) -> bytes:
    addresses = head[26:34] if version == 4 else head[22:54]
    words = struct.unpack(f">{len(addresses) // 2}H", addresses)
    value = sum(words) + 6 + length
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value.to_bytes(2, "big")


def right(data: bytes) -> bool:
    """Whether scapy, making the checksums anew, gets the same bytes."""
    packet = Ether(data)
    for layer, fields in ((IP, ("chksum", "len")), (TCP, ("chksum",)), (IPv6, ("plen",))):
        if layer in packet:
            for name in fields:
                delattr(packet[layer], name)
    return bytes(packet) == data


GUEST_SETS = [
    bits(*chosen)
    for chosen in (
        (),
        (net.GUEST_CSUM,),
        (net.GUEST_CSUM, net.GUEST_TSO4),
        (net.GUEST_CSUM, net.GUEST_TSO6),
        (net.GUEST_CSUM, net.GUEST_TSO4, net.GUEST_TSO6, net.GUEST_ECN),
    )
]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("features", GUEST_SETS)
@pytest.mark.parametrize("merged", [False, True])
def test_the_guest_gets_no_more_offload_than_it_has_accepted(version: int, features: int, merged: bool) -> None:
    driver, wire = card(features | (bits(net.MRG_RXBUF) if merged else 0))
    header, packet, data = long_tcp(version)
    for _ in range(8):
        driver.add(RX, [], [1600 if merged else 8000])
    assert wire.deliver(header + packet)
    whole = features >> (net.GUEST_TSO4 if version == 4 else net.GUEST_TSO6) & 1
    if whole:
        assert received(driver) == packet
        return
    pieces = list(iter(lambda: received(driver), None))
    assert [len(Ether(piece)[TCP].payload) for piece in pieces] == [1000] * 5
    assert all(right(piece) for piece in pieces)
    assert b"".join(bytes(Ether(piece)[TCP].payload) for piece in pieces) == data
    assert [str(Ether(piece)[TCP].flags) for piece in pieces] == ["A"] * 4 + ["FPA"]
    assert [Ether(piece)[TCP].seq for piece in pieces] == [(0xFFFFF000 + 1000 * n) % (1 << 32) for n in range(5)]


@pytest.mark.parametrize("accepted", [False, True])
def test_half_a_checksum_is_finished_for_a_driver_that_does_not_take_it(accepted: bool) -> None:
    driver, wire = card(bits(net.GUEST_CSUM) if accepted else 0)
    _, packet, _ = long_tcp(4, 100)
    driver.add(RX, [], [BIG_ENOUGH])
    assert wire.deliver(struct.pack("<BBHHHHH", 1, 0, 0, 0, 34, 16, 1) + packet)
    got = received(driver)
    assert got is not None
    assert (got == packet) == accepted
    assert right(got) == (not accepted)


def test_offloads_may_be_given_up_and_taken_again() -> None:
    driver, wire = card(bits(net.CTRL_VQ, net.CTRL_GUEST_OFFLOADS, net.GUEST_CSUM, net.GUEST_TSO4, net.MRG_RXBUF))
    header, packet, _ = long_tcp(4)
    for wanted, frames in ((0, 5), (bits(net.GUEST_CSUM, net.GUEST_TSO4), 1)):
        assert ask(driver, net.CLASS_OFFLOADS, 0, wanted.to_bytes(8, "little")) == net.OK
        for _ in range(6 - len(wire.packets)):
            driver.add(RX, [], [6000])
        assert wire.deliver(header + packet)
        assert len(list(iter(partial(received, driver), None))) == frames
        driver, wire = card(driver.features & ~(1 << 32))


def test_what_has_not_been_agreed_on_is_not_sent() -> None:
    header, packet, _ = long_tcp(4)
    for features, sent in (
        (0, 0),
        (bits(net.CSUM), 0),
        (bits(net.CSUM, net.HOST_TSO6), 0),
        (bits(net.CSUM, net.HOST_TSO4), 1),
    ):
        driver, wire = card(features)
        driver.ask(TX, [header + packet])
        assert len(wire.packets) == sent
        assert not driver.broken
    driver, wire = card(bits(net.CSUM))
    driver.ask(TX, [struct.pack("<BBHHHHH", 1, 0, 0, 0, 60_000, 60_000, 0) + frame()])
    assert not wire.packets, "a checksum outside the frame"


def test_a_network_that_wants_whole_frames_offers_no_offloads() -> None:
    driver, _ = card(offload=False)
    offered = driver.device.function.features
    assert not offered & bits(*net.GUEST_OFFLOADS, *net.HOST_OFFLOADS, net.CTRL_GUEST_OFFLOADS)
    assert offered & bits(net.MRG_RXBUF)


# --- the control queue ------------------------------------------------------------------------------------------------

CONTROLS = bits(net.CTRL_VQ, net.CTRL_RX, net.CTRL_RX_EXTRA, net.CTRL_VLAN, net.CTRL_MAC_ADDR)
GROUP = bytes.fromhex("01005e000001")


def takes(driver: Driver, wire: Cable, data: bytes) -> bool:
    driver.add(RX, [], [BIG_ENOUGH])
    assert wire.deliver(PLAIN + data)
    done = received(driver)
    if done is None:  # use the buffer up
        assert isinstance(driver.device.function, VirtioNet)
        driver.device.function.filter.promiscuous, before = True, driver.device.function.filter.promiscuous
        wire.deliver(PLAIN + frame())
        driver.device.function.filter.promiscuous = before
        received(driver)
    return done is not None


def test_frames_are_filtered_as_the_driver_says() -> None:
    driver, wire = card(CONTROLS & ~bits(net.CTRL_VLAN))
    everybody = b"\xff" * 6
    assert takes(driver, wire, frame(OTHER)), "promiscuous until told otherwise"
    assert ask(driver, net.CLASS_RX, 0, b"\0") == net.OK
    assert [takes(driver, wire, frame(to)) for to in (MAC, OTHER, GROUP, everybody)] == [True, False, False, True]
    tables = struct.pack("<I6sI6s", 1, OTHER, 1, GROUP)
    assert ask(driver, net.CLASS_MAC, 0, tables) == net.OK
    assert [takes(driver, wire, frame(to)) for to in (MAC, OTHER, GROUP)] == [True, True, True]
    assert ask(driver, net.CLASS_MAC, 0, bytes(8)) == net.OK
    for mode, to, before, after in ((1, GROUP, 0, 1), (2, OTHER, 0, 1), (3, GROUP, 1, 0), (4, MAC, 1, 0)):
        assert takes(driver, wire, frame(to)) == before
        assert ask(driver, net.CLASS_RX, mode, b"\1") == net.OK
        assert takes(driver, wire, frame(to)) == after
    assert ask(driver, net.CLASS_RX, 5, b"\1") == net.OK
    assert not takes(driver, wire, frame(everybody))


def test_the_card_s_address_can_be_changed_and_comes_back_by_a_reset() -> None:
    driver, wire = card(CONTROLS)
    assert ask(driver, net.CLASS_RX, 0, b"\0") == net.OK
    assert ask(driver, net.CLASS_MAC, 1, OTHER) == net.OK
    assert takes(driver, wire, frame(OTHER)) and not takes(driver, wire, frame(MAC))
    assert bytes(driver.device.read(0x100 + index, 1) for index in range(6)) == OTHER
    driver.device.write(0x70, 4, 0)
    assert bytes(driver.device.read(0x100 + index, 1) for index in range(6)) == MAC


def test_vlans_are_told_apart() -> None:
    driver, wire = card(CONTROLS)
    tagged = bytes(Ether(dst=MAC, src=OTHER) / Dot1Q(vlan=1234) / IP() / Raw(bytes(60)))
    assert not takes(driver, wire, tagged)
    assert takes(driver, wire, frame())
    assert ask(driver, net.CLASS_VLAN, 0, struct.pack("<H", 1234)) == net.OK
    assert takes(driver, wire, tagged)
    assert ask(driver, net.CLASS_VLAN, 1, struct.pack("<H", 1234)) == net.OK
    assert not takes(driver, wire, tagged)


def test_commands_that_are_none_are_refused() -> None:
    driver, _ = card(CONTROLS | bits(net.CTRL_GUEST_OFFLOADS, net.GUEST_CSUM))
    for group, command, data in (
        (99, 0, b""),
        (net.CLASS_RX, 6, b"\1"),
        (net.CLASS_RX, 0, b""),
        (net.CLASS_MAC, 0, b"\xff\xff\xff\xff"),
        (net.CLASS_MAC, 0, struct.pack("<I6s", 1, OTHER)),
        (net.CLASS_MAC, 1, b"\1\2"),
        (net.CLASS_VLAN, 2, b"\0\0"),
        (net.CLASS_MQ, 0, b"\2\0"),
        (net.CLASS_MQ, 0, b"\0\0"),
        (net.CLASS_OFFLOADS, 0, b"\1"),
    ):
        assert ask(driver, group, command, data) == net.ERROR, (group, command)
    assert not driver.broken


def test_very_many_addresses_stand_for_all() -> None:
    driver, wire = card(CONTROLS)
    ask(driver, net.CLASS_RX, 0, b"\0")
    many = b"".join(struct.pack(">BBI", 2, 0, index) for index in range(300))
    assert ask(driver, net.CLASS_MAC, 0, struct.pack("<I", 300) + many + bytes(4)) == net.OK
    assert takes(driver, wire, frame(OTHER)) and not takes(driver, wire, frame(GROUP))


def test_several_pairs_of_queues() -> None:
    driver, wire = card(CONTROLS | bits(net.MQ), pairs=2)
    assert driver.queues == 5 and driver.device.read(0x108, 2) == 2
    flows = [frame()[:26] + bytes((10, 0, 0, 1, 10, 0, 0, 2, 0, port, 0, 80)) + bytes(40) for port in range(4)]
    for queue in (0, 2):
        for _ in range(4):
            driver.add(queue, [], [BIG_ENOUGH])
    assert all(wire.deliver(PLAIN + flow) for flow in flows[:2])
    assert received(driver, 0) and received(driver, 0) and not received(driver, 2), "one pair until told otherwise"
    assert ask(driver, net.CLASS_MQ, 0, b"\3\0", queue=4) == net.ERROR
    assert ask(driver, net.CLASS_MQ, 0, b"\2\0", queue=4) == net.OK
    queues = []
    for flow in flows:
        for _ in range(2):
            assert wire.deliver(PLAIN + flow)
            queues.append([queue for queue in (0, 2) if received(driver, queue)])
            driver.add(queues[-1][0], [], [BIG_ENOUGH])
    assert queues[::2] == queues[1::2], "a flow stays on its queue"
    assert {queue for found in queues for queue in found} == {0, 2}
    for queue in (1, 3):
        driver.ask(queue, [PLAIN, frame(OTHER)])
    assert len(wire.packets) == 2


# --- the link ---------------------------------------------------------------------------------------------------------


def test_the_link_s_state_is_told_and_outlives_a_reset() -> None:
    driver, wire = card(bits(net.STATUS, net.GUEST_ANNOUNCE, net.CTRL_VQ))
    function = driver.device.function
    assert isinstance(function, VirtioNet)
    assert driver.device.read(0x106, 2) == net.LINK_UP
    function.set_link(False)
    assert driver.acknowledge() & 2 and driver.device.read(0x106, 2) == 0
    driver.ask(TX, [PLAIN, frame(OTHER)])
    assert not wire.packets and wire.deliver(PLAIN + frame())
    driver.device.write(0x70, 4, 0)
    assert driver.device.read(0x106, 2) == 0, "the cable is out still"
    driver.start()
    function.set_link(True)
    function.announce()
    assert driver.device.read(0x106, 2) == net.LINK_UP | net.ANNOUNCE
    driver.next[CONTROL] = driver.seen[CONTROL] = 0
    assert ask(driver, net.CLASS_ANNOUNCE, 0) == net.OK
    assert driver.device.read(0x106, 2) == net.LINK_UP


def test_a_card_without_a_network_has_no_link_and_swallows_what_is_sent() -> None:
    driver = Driver(VirtioNet(None))
    assert driver.device.read(0x106, 2) == 0
    for _ in range(10):
        driver.ask(TX, [PLAIN, frame()])
    assert not driver.broken


@pytest.mark.parametrize("length", [0, 1, 12, 25, 65_563])
def test_a_packet_of_an_impossible_length_asks_for_a_reset(length: int) -> None:
    driver, wire = card()
    driver.add(TX, [bytes(length)])
    driver.kick(TX)
    assert driver.broken and not wire.packets


def test_the_state_can_be_saved_and_taken_over() -> None:
    driver, _ = card(CONTROLS)
    ask(driver, net.CLASS_RX, 0, b"\0")
    ask(driver, net.CLASS_MAC, 0, struct.pack("<I6sI", 1, OTHER, 0))
    other, wire = card(CONTROLS)
    other.ram.data[:] = driver.ram.data
    other.device.load(driver.device.save())
    function = other.device.function
    assert isinstance(function, VirtioNet) and function.filter.unicast == [OTHER] and not function.filter.promiscuous
    assert wire.deliver(PLAIN + frame(GROUP)), "not wanted, so not waiting for room"


@pytest.mark.parametrize("merged", [False, True])
def test_room_outside_memory_asks_for_a_reset_and_nothing_waits(merged: bool) -> None:
    driver, cable = card(bits(net.MRG_RXBUF) if merged else 0)
    driver.add(RX, [], [BIG_ENOUGH])
    driver.ram.write(driver.area(RX, 0), struct.pack("<Q", 1 << 62))
    assert cable.deliver(PLAIN + frame())
    assert driver.broken and driver.take(RX) is None
