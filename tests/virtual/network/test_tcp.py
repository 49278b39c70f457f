"""TCP towards the guest, on a clock of the tests' own: both ways, lossy, closed, reset, stalled, flooded."""

import random

import pytest

from guesthouse.virtual.network.addresses import layout
from guesthouse.virtual.network.checksum import total
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.plan import NetworkPlan
from guesthouse.virtual.network.tcp_wire import LARGEST, Wire
from tests.virtual.network.tcp_peer import Peer
from tests.virtual.network.world import ACK, FIN, GATEWAY6, GUEST6, PSH, RST, SYN, World

DATA = random.Random(3).randbytes(300_000)


def opened(world: World, **options) -> tuple[Peer, object]:
    peer = Peer(world, **options)
    assert world.run(lambda: peer.open)
    stream = world.outside.streams[-1]
    assert world.run(lambda: stream.user.phase.name == "OPEN")
    return peer, stream


def nothing_is_left(world: World) -> bool:
    return len(world.stack.tcp) == 0 and world.stack.tcp.budget.used == 0


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("six", [False, True])
def test_streams_arrive_whole_both_ways_and_end(loss: float, offload: bool, six: bool) -> None:
    world = World(NetworkPlan(offload=offload), loss=loss, seed=5)
    options = {"to": GATEWAY6, "source": GUEST6, "mss": 1440} if six else {}
    peer, stream = opened(world, **options)
    peer.send(DATA)
    stream.give(DATA[::-1], end=True)
    peer.finish()
    assert world.run(lambda: peer.ended and stream.finished and peer.fin_acked, 120)
    assert bytes(peer.got) == DATA[::-1]
    assert bytes(stream.got) == DATA
    assert world.run(lambda: nothing_is_left(world), 30, step=0.1)
    assert stream.closed
    assert not stream.was_reset


def test_each_side_ends_by_itself() -> None:
    world = World()
    peer, stream = opened(world)
    peer.send(b"question")
    peer.finish()
    assert world.run(lambda: stream.finished)
    assert not peer.ended
    stream.give(DATA)
    assert world.run(lambda: len(peer.got) == len(DATA)), "the other direction goes on"
    stream.give(b"", end=True)
    assert world.run(lambda: peer.ended and nothing_is_left(world)), "the guest ended first: nobody need remember"

    other, stream = opened(world, port=40001)
    stream.give(b"greeting", end=True)
    assert world.run(lambda: other.ended)
    assert not stream.finished
    other.send(DATA)
    other.finish()
    assert world.run(lambda: stream.finished)
    assert bytes(stream.got) == DATA
    assert len(world.stack.tcp) == 1, "remembered"
    assert world.run(lambda: nothing_is_left(world), 30, step=0.1)


def test_the_guest_is_answered_as_the_host_was() -> None:
    world = World()
    for port, problem in ((1, Problem.REFUSED), (2, Problem.NO_HOST), (3, Problem.NO_NETWORK), (4, None)):
        world.outside.answers[bytes([127, 0, 0, 1]), port] = problem
    peers = [Peer(world, to_port=port, port=41000 + port) for port in (1, 2, 3, 4)]
    world.run(lambda: peers[0].reset, 1)
    assert peers[0].reset
    assert not any(peer.open or peer.reset for peer in peers[1:])
    codes = {(frame[34], frame[35]) for frame in world.frames if frame[23] == 1}
    assert codes == {(3, 1), (3, 0)}, "unreachable: host, network"


def test_resets_pass_both_ways() -> None:
    world = World()
    peer, stream = opened(world)
    peer.abort()
    assert world.run(lambda: nothing_is_left(world))
    assert stream.was_reset
    peer, stream = opened(world, port=40001)
    stream.user.failed(Problem.RESET)
    assert world.run(lambda: peer.reset and nothing_is_left(world))
    peer, stream = opened(world, port=40002)
    stream.broken = True
    peer.send(b"into the void")
    assert world.run(lambda: peer.reset and nothing_is_left(world))


def test_a_reset_or_syn_that_guesses_is_only_challenged() -> None:
    world = World()
    peer, stream = opened(world)
    peer.emit(peer.nxt + 100, RST)
    peer.emit(peer.nxt + (1 << 24), RST)
    peer.emit(peer.nxt, SYN)
    world.run(seconds=0.1)
    peer.send(b"still there")
    assert world.run(lambda: bytes(stream.got) == b"still there")
    assert not peer.reset


def test_a_closed_window_is_probed_and_opens_again() -> None:
    world = World()
    peer, stream = opened(world, window=2000)
    peer.window = 0
    peer.emit(peer.nxt, ACK)
    world.run(seconds=0.1)
    stream.give(DATA)
    world.run(seconds=5)
    assert not peer.got
    probes = [segment for segment in peer.segments if segment[1] == -1]
    assert 2 <= len(probes) <= 8, "with growing pauses"
    peer.window = 1 << 20
    assert world.run(lambda: bytes(peer.got) == DATA, 20)


def test_a_guest_that_never_opens_its_window_nor_answers_is_given_up() -> None:
    world = World()
    peer, stream = opened(world)
    peer.silent = True
    stream.give(DATA)
    assert world.run(lambda: nothing_is_left(world), 1000, step=0.25)
    assert stream.was_reset


def test_a_host_that_takes_nothing_closes_the_window() -> None:
    world = World()
    peer, stream = opened(world)
    stream.room = 1000
    peer.send(DATA * 12)
    world.run(seconds=3)
    waiting = stream.user.receiver.waiting
    assert bytes(stream.got) == DATA[:1000]
    assert 0 < waiting <= 1 << 20
    assert peer.peer_window < 1460, "silly windows are not told"
    assert world.stack.tcp.budget.used == waiting
    stream.make_room(1 << 40)
    assert world.run(lambda: len(stream.got) == 12 * len(DATA), 30)
    assert bytes(stream.got) == DATA * 12


def test_a_full_link_stops_and_goes_on() -> None:
    world = World()
    peer, stream = opened(world)
    world.full = True
    stream.give(DATA)
    peer.send(b"x")
    world.run(seconds=0.1)
    assert not peer.got
    world.full = False
    assert world.run(lambda: bytes(peer.got) == DATA, 5)
    assert peer.una == peer.nxt


def test_a_lost_segment_is_sent_again_after_three_duplicates() -> None:
    world = World()
    peer, stream = opened(world)
    stream.give(DATA[:1460])
    assert world.run(lambda: len(peer.got) == 1460)
    lost = []
    take = peer.take

    def lossy(message: bytes) -> bool:
        if len(message) > 1000 and not lost:
            lost.append(message)
            return True
        return take(message)

    world.listeners[40000] = lossy
    stream.give(DATA[1460:20000])
    began = world.now
    assert world.run(lambda: bytes(peer.got) == DATA[:20000], 5)
    assert lost
    assert world.now - began < 0.1, "faster than any timeout"


def test_what_comes_too_early_overlaps_and_repeats_makes_one_stream() -> None:
    world = World()
    peer, stream = opened(world)
    peer.silent = True
    chance = random.Random(11)
    base = peer.nxt
    for _ in range(400):
        start = chance.randrange(0, 3000)
        peer.emit(base + start, ACK | PSH, DATA[start : start + chance.randrange(1, 300)])
        world.step()
        assert DATA.startswith(bytes(stream.got))
    for start in range(0, 3300, 100):
        peer.emit(base + start, ACK | (FIN if start == 3200 else 0), DATA[start : start + 100])
    world.run(seconds=0.1)
    assert bytes(stream.got) == DATA[:3300]
    assert stream.finished
    assert world.stack.tcp.budget.used == 0


def test_an_old_acknowledgment_and_one_of_the_future_change_nothing() -> None:
    world = World()
    peer, stream = opened(world)
    stream.give(DATA[:1000])
    assert world.run(lambda: len(peer.got) == 1000)
    peer.ack += 100_000
    peer.emit(peer.nxt, ACK)
    peer.ack -= 100_000 + 500
    peer.emit(peer.nxt, ACK)
    peer.ack += 500
    world.run(seconds=0.1)
    stream.give(DATA[1000:2000])
    assert world.run(lambda: bytes(peer.got) == DATA[:2000], 3)


def test_segments_of_nothing_are_reset() -> None:
    world = World()
    peer = Peer(world)
    peer.open = True
    peer.emit(5000, ACK, b"hello")
    assert world.run(lambda: peer.reset, 1)
    assert peer.segments[-1][0] == RST
    before = len(peer.segments)
    peer.emit(5000, RST)
    world.run(seconds=0.1)
    assert len(peer.segments) == before, "a reset is never answered"


def test_a_flood_of_syns_is_bounded_and_leaves_room_for_others() -> None:
    world = World()
    flood = [Peer(world, port=1000 + number) for number in range(1500)]
    for peer in flood:
        peer.silent = True
    world.run(seconds=0.2)
    assert len(world.stack.tcp) <= 512
    world.tickers.clear()
    peer, stream = opened(world, port=60000)
    peer.send(b"through")
    assert world.run(lambda: bytes(stream.got) == b"through")
    assert world.run(lambda: len(world.stack.tcp) == 1, 120, step=0.1), "the half open ones are given up"


def test_two_thousand_connections() -> None:
    world = World()
    peers = [Peer(world, port=2000 + number) for number in range(2000)]
    assert world.run(lambda: all(peer.open for peer in peers), 30, step=0.05)
    assert len(world.stack.tcp) == 2000
    for number, peer in enumerate(peers):
        peer.send(str(number).encode())
    for stream in world.outside.streams:
        stream.give(b"hello", end=True)
    assert world.run(lambda: all(peer.ended and peer.una == peer.nxt for peer in peers), 20, step=0.05)
    assert sorted(bytes(stream.got) for stream in world.outside.streams if stream.got) == sorted(
        str(number).encode() for number in range(2000)
    )
    for peer in peers:
        peer.finish()
    assert world.run(lambda: nothing_is_left(world), 40, step=0.1)


def test_the_table_is_bounded_and_forgets_what_is_over_first() -> None:
    world = World(NetworkPlan(offload=False, connections=4))
    peers = [opened(world, port=1000 + number) for number in range(4)]
    late = Peer(world, port=2000)
    world.run(seconds=1)
    assert not late.open
    assert len(world.stack.tcp) == 4
    peer, stream = peers[0]
    stream.give(b"", end=True)
    world.run(lambda: peer.ended)
    peer.finish()
    assert world.run(lambda: late.open, 3), "its place is free at once"


def test_small_windows_without_scale_and_small_segments() -> None:
    world = World()
    peer, stream = opened(world, scale=None, window=900, mss=100)
    stream.give(DATA[:50_000], end=True)
    peer.send(DATA[:50_000])
    peer.finish()
    assert world.run(lambda: peer.ended and stream.finished, 60)
    assert bytes(peer.got) == DATA[:50_000] == bytes(stream.got)


def test_many_small_writes_of_the_host_become_segments() -> None:
    world = World()
    peer, stream = opened(world)
    peer.silent = True  # nothing is acknowledged
    for at in range(3000):
        stream.give(DATA[at : at + 1])
        world.step()
    assert len(peer.segments) < 3100
    assert world.stack.tcp.budget.used <= 1024
    peer.silent = False
    assert world.run(lambda: bytes(peer.got) == DATA[:3000], 60)


def test_an_idle_connection_is_kept_and_a_dead_one_is_not() -> None:
    world = World()
    peer, stream = opened(world)
    world.run(seconds=3 * 3600, step=1)
    peer.send(b"back")
    assert world.run(lambda: bytes(stream.got) == b"back")
    peer.silent = True
    assert world.run(lambda: nothing_is_left(world), 4 * 3600, step=1)
    assert stream.was_reset


def test_ports_of_an_ended_connection_may_be_used_again() -> None:
    world = World()
    for _ in range(3):
        peer, stream = opened(world, port=40000)
        stream.give(b"bye", end=True)
        assert world.run(lambda: peer.ended)  # noqa: B023
        peer.finish()
        assert world.run(lambda: stream.finished)  # noqa: B023
        world.listeners.clear()
        world.tickers.clear()
    assert len(world.outside.streams) == 3


def test_the_window_opens_without_being_probed() -> None:
    world = World()
    peer, stream = opened(world)
    stream.room = 0
    peer.send(DATA * 12)
    world.run(seconds=2)
    assert peer.peer_window < 1460
    world.tickers.clear()
    before = len(peer.segments)
    stream.make_room(1 << 40)
    world.step()
    world.step()
    assert len(peer.segments) > before
    assert peer.peer_window > 100_000


def test_a_window_that_opens_by_little_gets_no_little_segments() -> None:
    world = World()
    peer, stream = opened(world, window=10 * 1460, scale=0)
    peer.silent = True
    stream.give(DATA)
    world.run(seconds=0.05)
    sent = [size for _, _, _, size in peer.segments if size]
    assert sum(sent) == 10 * 1460
    for _ in range(10):
        peer.ack += 100  # and so the window ends 100 bytes later
        peer.emit(peer.nxt, ACK)
        world.step()
    assert [size for _, _, _, size in peer.segments if size] == sent
    peer.ack += 460
    peer.emit(peer.nxt, ACK)
    world.run(seconds=0.01)
    assert [size for _, _, _, size in peer.segments if size] == [*sent, 1460]


def test_an_old_segment_does_not_bring_an_old_window_back() -> None:
    world = World()
    peer, stream = opened(world)
    peer.send(b"x" * 100)
    assert world.run(lambda: peer.una == peer.nxt)
    peer.emit(peer.nxt, ACK)
    world.step()
    peer.emit(peer.nxt - 50, ACK, b"x" * 50, window=0)  # sent before, come after
    world.run(seconds=0.01)
    stream.give(DATA[:5000])
    assert world.run(lambda: len(peer.got) == 5000, 0.1)


def test_headers_are_right_for_every_length() -> None:
    sent: list[bytes] = []

    def transmit(parts) -> bool:
        sent.append(parts[0])
        return True

    link = Link(transmit, layout("10.0.2.0/24", ""), 1500, True)
    for last in range(1, 255, 36):
        guest = bytes([10, 0, 2, last])
        link.learn(guest, b"\2\0\0\0\0\1")
        wire = Wire(link, bytes([203, 255, last, 254]), 80, guest, 4000)
        wire.limit(1460)
        if link.mac(guest) is None:
            continue
        payload = memoryview(bytes(65535))
        for size in range(0, LARGEST, 7):
            wire.send(0.0, 1, 2, ACK, 1000, payload[:size])
            head = sent.pop()
            assert total(head[26:46]) == 0
            assert int.from_bytes(head[28:30], "big") == size + 40
