"""The socket device: a pipe of packets, cut as the guest has room, and the event behind a restore."""

import struct

import pytest

from guesthouse.virtual.devices.virtio.vsock import EVENT, HEADER, LONGEST, RECEIVE, TRANSMIT, VirtioVsock
from tests.virtual.devices.fakes import Sockets
from tests.virtual.devices.virtio.driver import SIZE, Driver


def packet(data: bytes = b"", operation: int = 5) -> bytes:
    return struct.pack("<QQIIIHHIII", 3, 2, 1024, 80, len(data), 1, operation, 0, 1 << 16, 0) + data


@pytest.fixture(params=["split", "packed", "indirect"])
def options(request: pytest.FixtureRequest) -> dict[str, bool]:
    return {"packed": request.param == "packed", "indirect": request.param == "indirect"}


def driver(backend: Sockets | None, **options: bool) -> Driver:
    return Driver(VirtioVsock(backend), features=1, **options)


def received(guest: Driver) -> list[bytes]:
    found = []
    while (done := guest.take(RECEIVE)) is not None:
        found.append(done[2][: done[1]])
    return found


def test_the_guest_finds_its_address() -> None:
    device = driver(Sockets()).device
    assert device.read(8, 4) == 19 and device.read(0x10, 4) & 0xFF == 1
    assert (device.read(0x100, 4), device.read(0x104, 4), device.read(0x100, 8)) == (3, 0, 3)


def test_packets_go_to_the_backend_as_they_are(options: dict[str, bool]) -> None:
    backend = Sockets(echo=False)
    guest = driver(backend, **options)
    for data in (b"", b"data", b"x" * 5000):
        guest.ask(TRANSMIT, [packet(data)[:HEADER], packet(data)[HEADER:]] if data else [packet()])
    assert backend.sent == [packet(), packet(b"data"), packet(b"x" * 5000)]
    assert guest.acknowledge() == 1 and not guest.broken


def test_what_is_no_packet_is_dropped_and_what_is_too_long_is_cut() -> None:
    backend = Sockets(echo=False)
    guest = driver(backend)
    guest.ask(TRANSMIT, [packet()[:-1]])
    guest.ask(TRANSMIT, [], [10])
    assert not backend.sent
    guest.ask(TRANSMIT, [packet(bytes(150_000))])
    assert [len(each) for each in backend.sent] == [LONGEST] and not guest.broken


def test_packets_wait_where_the_backend_takes_none() -> None:
    backend = Sockets(echo=False)
    guest = driver(backend, events=True)
    backend.ready = False
    for number in range(4):
        guest.add(TRANSMIT, [packet(bytes((number,)))])
        guest.kick(TRANSMIT)
    assert not backend.sent and guest.take(TRANSMIT) is None
    backend.ready = True
    guest.device.function.proceed()
    assert [each[HEADER:] for each in backend.sent] == [b"\0", b"\1", b"\2", b"\3"]


def test_packets_to_the_guest_are_cut_as_it_has_room(options: dict[str, bool]) -> None:
    backend = Sockets(echo=False)
    guest = driver(backend, **options)
    device = guest.device.function
    data = bytes(range(200))
    device.receive(packet(data))
    device.receive(packet(operation=3))
    device.proceed()
    assert not device.hungry and received(guest) == []
    asked = backend.asked
    for room in (HEADER + 1, HEADER + 150, HEADER + 49):
        guest.add(RECEIVE, [], [20, room - 20])
    guest.kick(RECEIVE)
    found = received(guest)
    assert not device.hungry
    guest.add(RECEIVE, [], [HEADER])
    guest.kick(RECEIVE)
    assert device.hungry and backend.asked == asked + 1, "it takes more"
    assert found + received(guest) == [packet(data[:1]), packet(data[1:151]), packet(data[151:]), packet(operation=3)]
    guest.kick(RECEIVE)
    assert received(guest) == []


@pytest.mark.parametrize(("content", "room"), [(packet(b"x"), HEADER), (packet(b"x"), 1), (packet(), HEADER - 1)])
def test_a_buffer_without_room_breaks_the_device_off(content: bytes, room: int) -> None:
    guest = driver(Sockets())
    guest.add(RECEIVE, [], [room])
    guest.device.function.receive(content)
    guest.device.function.proceed()
    assert guest.broken


def test_a_driver_that_starts_anew_gets_nothing_of_before() -> None:
    backend = Sockets(echo=False)
    guest = driver(backend)
    guest.device.function.receive(packet(b"old"))
    resets = backend.resets
    guest = Driver(guest.device.function, features=1)
    assert backend.resets > resets
    guest.add(RECEIVE, [], [100])
    guest.add(EVENT, [], [8])
    guest.kick(RECEIVE)
    guest.kick(EVENT)
    guest.device.function.proceed()
    assert received(guest) == [] and guest.take(EVENT) is None


def test_behind_a_restore_the_guest_hears_that_its_connections_are_gone(options: dict[str, bool]) -> None:
    guest = driver(Sockets(echo=False), **options)
    guest.add(EVENT, [], [8])
    guest.device.function.receive(packet(b"old"))
    saved = guest.device.save()
    backend = Sockets(echo=False)
    guest.connect(VirtioVsock(backend))
    guest.device.load(saved)
    assert backend.resets == 1 and guest.take(EVENT) is None
    guest.device.function.proceed()
    done = guest.take(EVENT)
    assert done is not None and (done[1], done[2][:4]) == (4, bytes(4)) and guest.acknowledge() & 1
    guest.add(EVENT, [], [8])
    guest.device.function.proceed()
    assert guest.take(EVENT) is None, "only once"


def test_the_event_waits_for_a_buffer_and_needs_room() -> None:
    guest = driver(Sockets())
    guest.device.load(guest.device.save())
    guest.device.function.proceed()
    guest.add(EVENT, [], [3])
    guest.kick(EVENT)
    assert guest.broken


def test_a_backend_that_is_gone_ends_the_connections_and_nothing_else() -> None:
    backend = Sockets(echo=False)
    guest = driver(backend)
    guest.device.function.receive(packet(b"old"))
    guest.add(EVENT, [], [4])
    guest.device.function.fail()
    assert guest.take(EVENT) is not None
    for _ in range(SIZE * 2):
        guest.ask(TRANSMIT, [packet()])
    guest.add(RECEIVE, [], [100])
    guest.kick(RECEIVE)
    assert not backend.sent and received(guest) == [] and not guest.broken
