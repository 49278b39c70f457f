"""The answering side of a companion process: requests cut out of a stream, answers put together."""

import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from guesthouse.host.answering import TOGETHER, allow_descriptors, serve_requests

LEAST, LARGEST = 5, 1000


def message(text: bytes) -> bytes:
    return struct.pack("<I", len(text) + 4) + text


class Serving:
    """A server in a thread that answers each request with `times` copies of its text."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.requests: list[bytes] = []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.thread = threading.Thread(target=self.serve, args=(theirs,))
        self.thread.start()

    def serve(self, theirs: socket.socket) -> None:
        with theirs:
            serve_requests(theirs.fileno(), self.answer, LEAST, LARGEST)

    def answer(self, request: memoryview) -> bytes:
        self.requests.append(bytes(request))
        return message(bytes(request[4:]) * self.times)

    def ended(self) -> bool:
        self.thread.join(10)
        return not self.thread.is_alive()


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.socket.close()
    assert made.ended()


def received(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = end.recv(count - len(data))
        assert piece
        data += piece
    return data


def test_requests_in_any_pieces_are_answered_one_by_one(serving: Serving) -> None:
    texts = [os.urandom(1 + 37 * index % 900) for index in range(200)]
    stream = b"".join(map(message, texts))
    sender = threading.Thread(
        target=lambda: [serving.socket.sendall(stream[at : at + 13]) for at in range(0, len(stream), 13)]
    )
    sender.start()
    assert received(serving.socket, len(stream)) == stream
    sender.join()
    assert serving.requests == [message(text) for text in texts]


def test_answers_larger_than_what_goes_together_come_in_order() -> None:
    serving = Serving(times=100)
    texts = [bytes((index,)) * (9 if index % 2 else 900) for index in range(40)]
    serving.socket.sendall(b"".join(map(message, texts)))
    wanted = b"".join(message(text * 100) for text in texts)
    assert len(wanted) > 4 * TOGETHER
    assert received(serving.socket, len(wanted)) == wanted
    serving.socket.close()
    assert serving.ended()


@pytest.mark.parametrize("head", [0, 3, 4, LARGEST + 1, 0xFFFF_FFFF])
def test_what_is_no_request_ends_it(head: int) -> None:
    serving = Serving()
    serving.socket.sendall(message(b"first") + struct.pack("<I", head) + bytes(20))
    assert received(serving.socket, 9) == message(b"first")
    if head == 0:  # as good as nothing: it waits for more until we leave
        serving.socket.close()
    assert serving.ended() and serving.requests == [message(b"first")]
    serving.socket.close()


def test_it_ends_when_nobody_takes_the_answers() -> None:
    serving = Serving(times=1000)
    serving.socket.sendall(message(bytes(990)) * 3)
    serving.socket.close()
    assert serving.ended()


def test_as_many_files_as_the_host_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        allowed = allow_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, before[1]) and allowed <= 1 << 16
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
