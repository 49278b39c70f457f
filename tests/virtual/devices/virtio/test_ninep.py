"""The 9P transport device: a pipe to a server, with requests of any shape and answers in any order."""

import struct

import pytest

from guesthouse.virtual.devices.virtio.ninep import ERROR_ANSWER, QUEUE_SIZE, VirtioNinep
from tests.virtual.devices.fakes import BASE, Share
from tests.virtual.devices.virtio.driver import Driver

CONFIG = 0x100
GETATTR = 24


def request(tag: int, body: bytes = b"body", kind: int = GETATTR) -> bytes:
    return struct.pack("<IBH", 7 + len(body), kind, tag) + body


def error(tag: int, number: int) -> bytes:
    return ERROR_ANSWER.pack(11, 7, tag, number)


@pytest.fixture(params=["split", "packed", "indirect"])
def options(request: pytest.FixtureRequest) -> dict[str, bool]:
    return {"packed": request.param == "packed", "indirect": request.param == "indirect"}


def driver(share: Share | None, **options: bool) -> Driver:
    return Driver(VirtioNinep(share), features=1, **options)


def test_the_guest_finds_it_by_its_tag() -> None:
    device = driver(Share()).device
    assert device.read(8, 4) == 9 and device.read(0x10, 4) & 1
    length = device.read(CONFIG, 2)
    assert bytes(device.read(CONFIG + 2 + index, 1) for index in range(length)) == b"folder"
    assert device.read(CONFIG + 2 + length, 1) == 0


def test_requests_and_answers_are_passed_on(options: dict[str, bool]) -> None:
    share = Share(at_once=False)
    guest = driver(share, **options)
    first = guest.add(0, [request(7)[:5], request(7)[5:]], [105])
    second = guest.add(0, [request(8, b"x" * 300)], [11])
    guest.kick(0)
    assert guest.take(0) is None
    assert [message[:5] + message[7:] for message in share.sent] == [
        request(7)[:5] + b"body",
        request(8, b"x" * 300)[:5] + b"x" * 300,
    ]
    share.answer()
    done = [guest.take(0), guest.take(0)]
    assert [each and each[:2] for each in done] == [(second, 11), (first, 11)]
    assert done[0] and done[1] and done[0][2] == error(8, 5) and done[1][2][:11] == error(7, 5)
    assert guest.acknowledge() == 1 and not guest.broken


def test_a_tag_that_is_used_twice_confuses_nobody(options: dict[str, bool]) -> None:
    share = Share(at_once=False)
    guest = driver(share, **options)
    for _ in range(3):
        guest.add(0, [request(5)], [11])
    guest.kick(0)
    assert len({message[5:7] for message in share.sent}) == 3
    share.answer()
    assert [each and each[2] for each in (guest.take(0), guest.take(0), guest.take(0))] == [error(5, 5)] * 3


@pytest.mark.parametrize(
    ("message", "number"),
    [
        (b"", 22),
        (b"\x07\0\0", 22),
        (struct.pack("<IBH", 8, GETATTR, 3), 22),
        (struct.pack("<IBH", 6, GETATTR, 3), 22),
        (struct.pack("<IBH", 0, GETATTR, 3), 22),
        (request(3, b"", 25), 22),
        (request(3, b"", 0), 22),
        (request(3, b"", 7), 22),
        (struct.pack("<IBH", 0xFFFF_FFFF, GETATTR, 3), 90),
    ],
)
def test_what_is_no_request_is_refused_here(message: bytes, number: int) -> None:
    share = Share()
    guest = driver(share)
    tag = 3 if len(message) >= 7 else 0xFFFF
    assert guest.ask(0, [message] if message else [], [11]) == error(tag, number)
    assert not share.sent and not guest.broken


def test_a_request_that_is_too_long_is_not_even_read() -> None:
    share = Share()
    guest = driver(share, indirect=True)
    table = guest.place(16 * 9)
    for index in range(9):
        # A buffer of 128 KiB, used over and over; behind it the room for the answer.
        length, flags = (1 << 17, 1) if index < 8 else (11, 2)
        address = BASE + 0x20000 if index < 8 else BASE + 0x8000
        guest.ram.write(table + 16 * index, struct.pack("<QIHH", address, length, flags, index + 1))
    guest.ram.write(BASE + 0x20000, struct.pack("<IBH", 1 << 20, GETATTR, 1))
    guest.ram.write(guest.area(0, 0), struct.pack("<QIHH", table, 16 * 9, 4, 0))
    guest.ram.store(guest.area(0, 0x400 + 2), 2, 1)
    guest.kick(0)
    assert guest.ram.read(BASE + 0x8000, 11) == error(1, 90) and not share.sent


def test_an_answer_without_room_becomes_an_error_or_nothing() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    for room in ([20], [5], []):
        request_id = guest.add(0, [request(2)], room)
        guest.kick(0)
        share.answer(struct.pack("<IBH", 40, 25, 0) + bytes(33))
        done = guest.take(0)
        assert done is not None and done[0] == request_id
        assert (done[1], done[2][:11]) == ((11, error(2, 90)) if room == [20] else (0, bytes(sum(room))))
    assert not guest.broken


def test_a_server_without_room_is_not_pressed_and_nothing_is_lost() -> None:
    share = Share(at_once=False)
    guest = driver(share, indirect=True)
    requests = [guest.add(0, [request(tag)], [11]) for tag in range(8)]
    guest.kick(0)
    assert len(share.sent) == 4 and not share.ready
    share.answer()
    share.answer()
    tags = [done[2][5] for _ in requests if (done := guest.take(0))]
    assert sorted(tags) == list(range(8))


def test_no_more_is_under_way_than_the_queue_has_places() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    function = guest.device.function
    assert isinstance(function, VirtioNinep)
    function._free = function._free[:2]
    for tag in range(4):
        guest.add(0, [request(tag)], [11])
        guest.kick(0)
    assert len(share.sent) == 2
    share.answer()
    assert len(share.sent) == 2
    share.answer()
    assert [done[2][5] for _ in range(4) if (done := guest.take(0))] == [1, 0, 3, 2]


def test_a_reset_forgets_what_is_under_way() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    guest.add(0, [request(1)], [11])
    guest.kick(0)
    kept, resets = list(share.sent), share.resets
    guest.device.write(0x70, 4, 0)
    assert share.resets == resets + 1
    share.sent = kept
    share.answer()  # too late: nothing comes of it
    again = Driver(VirtioNinep(Share()), features=1)
    assert again.ask(0, [request(9)], [11]) == error(9, 5)
    assert guest.device.read(0x60, 4) == 0
    function = guest.device.function
    assert isinstance(function, VirtioNinep) and sorted(function._free) == list(range(QUEUE_SIZE))


def test_answers_that_nobody_asked_for_are_dropped() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    for place in (0, 127, 128, 0xFFFF):
        share.device.answer(memoryview(bytearray(error(place, 1))))
    assert guest.take(0) is None and not guest.broken


def test_without_a_server_everything_fails() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    waiting = guest.add(0, [request(1)], [11])
    guest.kick(0)
    share.device.fail()
    done = guest.take(0)
    assert done == (waiting, 11, error(1, 5))
    assert guest.ask(0, [request(2)], [11]) == error(2, 5)
    assert driver(None).ask(0, [request(3)], [11]) == error(3, 5)


def test_buffers_outside_of_ram_break_nothing() -> None:
    share = Share(at_once=False)
    guest = driver(share)
    guest.ram.write(guest.area(0, 0), struct.pack("<QIHH", 1 << 40, 20, 0, 0))
    guest.ram.store(guest.area(0, 0x400 + 2), 2, 1)
    guest.kick(0)
    assert not share.sent
    assert guest.ram.load(guest.area(0, 0x800 + 2), 2) == 1, "given back"
