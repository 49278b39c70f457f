import os
import socket
from collections.abc import Iterator

import pytest

from guesthouse.host.channels import LARGEST_MESSAGE, Inlet, Messages, Outlet
from guesthouse.host.loop import Loop
from guesthouse.host.messages import LENGTH


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_an_outlet_writes_everything_as_room_comes(pipe: tuple[int, int]) -> None:
    loop, data, seen = Loop(), os.urandom(1 << 18), b""
    outlet = Outlet(loop, pipe[1])
    outlet.write(data)
    while len(seen) < len(data):
        loop.turn(0)
        seen += os.read(pipe[0], 1 << 16)
    assert seen == data and not outlet.buffer and not outlet.broken


def test_an_outlet_without_reader_is_broken_and_holds_nothing(pipe: tuple[int, int]) -> None:
    loop = Loop()
    outlet = Outlet(loop, pipe[1])
    os.close(pipe[0])
    outlet.write(b"x" * 10_000)
    loop.turn(1)
    outlet.write(b"more")
    assert outlet.broken and not outlet.buffer


def test_an_outlet_told_to_end_closes_behind_the_last_byte(pipe: tuple[int, int]) -> None:
    loop = Loop()
    outlet = Outlet(loop, pipe[1])
    outlet.write(b"last")
    outlet.end()
    loop.turn(1)
    assert (os.read(pipe[0], 10), os.read(pipe[0], 10)) == (b"last", b"")


def test_an_inlet_reads_only_what_is_wanted_and_tells_the_end(pipe: tuple[int, int]) -> None:
    loop, seen, ends = Loop(), [], []
    inlet = Inlet(loop, pipe[0], seen.append, lambda: ends.append(1))
    os.write(pipe[1], b"data")
    loop.turn(0)
    assert seen == []
    inlet.want(True)
    loop.turn(1)
    os.close(pipe[1])
    loop.turn(1)
    loop.turn(0)
    assert (seen, ends, inlet.ended) == ([b"data"], [1], True)


def test_a_descriptor_that_is_not_open_reads_as_ended() -> None:
    loop, ends = Loop(), []
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    Inlet(loop, reader, lambda data: None, lambda: ends.append(1)).want(True)
    loop.turn(1)
    assert ends == [1]


@pytest.mark.parametrize("size", [0, 1, 1 << 18])
def test_messages_arrive_whole_and_in_order(size: int) -> None:
    loop, seen = Loop(), []
    ours, theirs = os_socketpair()
    sender = Messages(loop, ours, lambda data: None, lambda: None)
    Messages(loop, theirs, seen.append, lambda: None)
    expected = [b"first", os.urandom(size), b"last"]
    for message in expected:
        sender.send(message)
    while len(seen) < 3:
        loop.turn(1)
    assert seen == expected and sender.sent
    os.close(ours)
    os.close(theirs)


def test_a_message_too_large_is_refused() -> None:
    loop = Loop()
    ours, theirs = os_socketpair()
    Messages(loop, theirs, lambda data: None, lambda: None)
    os.write(ours, LENGTH.pack(LARGEST_MESSAGE + 1))
    with pytest.raises(ValueError, match="larger"):
        loop.turn(1)
    os.close(ours)
    os.close(theirs)


def os_socketpair() -> tuple[int, int]:
    first, second = socket.socketpair()
    return first.detach(), second.detach()
