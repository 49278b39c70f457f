"""A process that answers messages: both sides, and what becomes of the one when the other ends."""

import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.host import companion as module
from guesthouse.host.companion import Companion

LARGEST = 1 << 20
ECHO = """
import os
from guesthouse.host.answering import serve_requests

def main(descriptors):
    greeting = os.read(descriptors[0], 5)
    def answer(request):
        text = bytes(request[4:])
        if text == b"end":
            os._exit(0)
        if text == b"nonsense":
            return b"\\xff\\xff\\xff\\xff"
        content = text + greeting + os.read(descriptors[1], 100)
        return (len(content) + 4).to_bytes(4, "little") + content
    serve_requests(descriptors[0], answer, 4, 1 << 20)
    os._exit(0)

if __name__ == "__main__":
    import sys
    main([int(word) for word in sys.argv[1:]])
"""


def parts(text: bytes) -> list[memoryview]:
    content = memoryview(message(text))
    return [content[:4], content[4:6], content[6:]]


def message(text: bytes) -> bytes:
    return struct.pack("<I", len(text) + 4) + text


@pytest.fixture(params=["fork", "program"])
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Companion]:
    (tmp_path / "echoing.py").write_text(ECHO)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}:src")
    done = threading.Event()
    if request.param == "program":  # a process of several threads is not forked
        threading.Thread(target=done.wait).start()
    nothing = os.open(os.devnull, os.O_RDONLY)
    companion = Companion("echoing", "echo", [nothing], b"hello", LARGEST)
    done.set()
    os.close(nothing)
    yield companion
    companion.close()


def answers(companion: Companion, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        assert companion.wait(10)
        found += [bytes(each) for each in companion.receive()]
        companion.push()
    return found


def test_messages_are_answered_in_order(echo: Companion) -> None:
    for index in range(50):
        echo.send(parts(b"%d " % index))
    assert answers(echo, 50) == [message(b"%d hello" % index) for index in range(50)]
    assert echo.ready and not echo.ended


def test_messages_larger_than_the_socket_s_room_go_through(echo: Companion) -> None:
    large = os.urandom(LARGEST - 100)
    echo.send(parts(large))
    echo.send(parts(b"small "))
    started = time.monotonic()
    found: list[bytes] = []
    while len(found) < 2 and time.monotonic() < started + 20:
        echo.push()
        found += [bytes(each) for each in echo.receive()]
    assert found == [message(large + b"hello"), message(b"small hello")]


def test_messages_in_very_many_parts_go_through(echo: Companion) -> None:
    text = os.urandom(5000)
    whole = memoryview(message(text))
    echo.send([whole[index : index + 1] for index in range(len(whole))])
    assert answers(echo, 1) == [message(text + b"hello")]


def test_a_thread_tells_of_answers_once(echo: Companion) -> None:
    told = threading.Event()
    calls = []

    def call() -> None:
        calls.append(1)
        told.set()

    for turn in range(3):
        told.clear()
        echo.watch(call)
        echo.send(parts(b"x"))
        assert told.wait(20) and len(calls) == turn + 1
        assert answers(echo, 1) == [message(b"xhello")]
        echo.send(parts(b"y"))
        assert answers(echo, 1) == [message(b"yhello")]
        time.sleep(0.01)
        assert len(calls) == turn + 1, "not watched any more"


@pytest.mark.parametrize("last", [b"end", b"nonsense"])
def test_its_end_and_nonsense_are_seen(echo: Companion, last: bytes) -> None:
    told = threading.Event()
    echo.watch(told.set)
    echo.send(parts(last))
    assert told.wait(20)
    while not echo.ended:
        assert echo.wait(10)
        assert list(echo.receive()) == []
    echo.send(parts(b"into the void"))
    assert list(echo.receive()) == []


def test_it_ends_when_it_is_left(echo: Companion) -> None:
    echo.send(parts(b"x"))
    answers(echo, 1)
    echo.close()
    assert echo._process.wait(5) == 0


def test_one_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hanging.py").write_text("import time\ndef main(descriptors):\n    time.sleep(100)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "LINGER", 0.05)
    companion = Companion("hanging", "hanging", [], b"", LARGEST)
    companion.close()
    assert companion._process.wait(5) == -9
