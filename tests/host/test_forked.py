"""Forked workers: they answer, reach nothing, and have an end to what they may use."""

import os
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from guesthouse.host.forked import NICENESS, Forked
from guesthouse.host.messages import Frames, packed, read_message, write_message


def work(reader: BinaryIO, writer: BinaryIO) -> None:
    while (message := read_message(reader)) is not None:
        if message == "spin":
            while True:
                pass
        if message == "open":
            try:
                message = os.open("/etc/passwd", os.O_RDONLY)
            except OSError as error:
                message = type(error).__name__
        if message == "much":
            message = len(bytearray(64 << 30))
        write_message(writer, [message, os.getpid()])


def asked(forked: Forked, message: object) -> object:
    os.write(forked.descriptor, packed(message))
    frames = Frames()
    while (content := frames.take()) is None:
        data = os.read(forked.descriptor, 1 << 16)
        if not data:
            return None
        frames.add(data)
    return msgspec.msgpack.decode(content)


@pytest.fixture
def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_it_answers_in_a_process_of_its_own_and_ends_when_told(niceness: int) -> None:
    forked = Forked(work)
    assert asked(forked, "hello") == ["hello", forked.pid]
    priority = int(Path(f"/proc/{forked.pid}/stat").read_text().rsplit(")", 1)[1].split()[16])
    assert priority == min(19, niceness + NICENESS)
    forked.end()
    assert not Path(f"/proc/{forked.pid}").exists()
    os.close(forked.descriptor)


def test_it_opens_no_files_and_has_none_open() -> None:
    reader, writer = os.pipe()
    forked = Forked(work)
    assert asked(forked, "open") == ["PermissionError", forked.pid]
    os.close(writer)
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b"", "the fork holds the pipe open"
    forked.end()
    os.close(forked.descriptor)
    os.close(reader)


@pytest.mark.parametrize("message", ["spin", "much"])
def test_one_that_uses_too_much_is_ended(message: str) -> None:
    forked = Forked(work)
    forked.allow_processor_time(0.2)
    started = time.monotonic()
    assert asked(forked, message) is None
    assert time.monotonic() - started < 30
    forked.end()
    os.close(forked.descriptor)
