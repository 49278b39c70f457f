"""Record locks among a guest's processes, and against the host's."""

import fcntl
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guesthouse.virtual.shares.locks import BLOCKED, DONE, READ, UNLOCK, WRITE, Locks
from tests.virtual.shares.client import READ_WRITE, Client

KEY = (1, 1)
SPACE = 24


class File:
    """What the host would have locked, byte by byte."""

    def __init__(self) -> None:
        self.bytes = [UNLOCK] * SPACE
        self.closed = False

    def lock(self, kind: int, start: int, length: int) -> None:
        for index in range(start, SPACE if not length else min(SPACE, start + length)):
            self.bytes[index] = kind

    def find_lock(self, kind: int, start: int, length: int) -> None:
        return None

    def close(self) -> None:
        self.closed = True


OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from((READ, WRITE, UNLOCK)), st.integers(0, SPACE - 2), st.integers(0, SPACE - 1)
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(OPERATIONS)
def test_locks_are_those_of_a_byte_by_byte_model(operations: list[tuple[int, int, int, int]]) -> None:
    model = [{0: UNLOCK, 1: UNLOCK, 2: UNLOCK} for _ in range(SPACE)]
    locks, opened = Locks(), []

    def open_file() -> File:
        opened.append(File())
        return opened[-1]

    for owner, kind, first, last in operations:
        last = max(first, last)
        area = model[first : last + 1]
        blocked = kind != UNLOCK and any(
            held != UNLOCK and WRITE in (held, kind) for byte in area for other, held in byte.items() if other != owner
        )
        answer = locks.set(KEY, open_file, (b"c", owner), owner, kind, first, last)
        assert answer == (BLOCKED if blocked else DONE)
        if not blocked:
            for byte in area:
                byte[owner] = kind
        wanted = [WRITE if WRITE in byte.values() else READ if READ in byte.values() else UNLOCK for byte in model]
        if opened and not opened[-1].closed:
            assert opened[-1].bytes == wanted
        else:
            assert set(wanted) == {UNLOCK}
    for owner in range(3):
        locks.release(KEY, owner)
    assert all(file.closed for file in opened)


def lock(client: Client, fid: int, kind: int, process: int = 1, start: int = 0, length: int = 0) -> int:
    fields = {"kind": kind, "flags": 0, "start": start, "length": length, "process": process, "client": b"guest"}
    return client.ask("lock", fid=fid, **fields)[0]


def get(client: Client, fid: int, kind: int, process: int, start: int = 0, length: int = 0) -> tuple[int, ...]:
    fields = {"kind": kind, "start": start, "length": length, "process": process, "client": b"guest"}
    return struct.unpack_from("<BQQI", client.ask("getlock", fid=fid, **fields))


def host_lock(path: Path, kind: int) -> int:
    """Lock the file as another process of the host would; returns what holds the lock."""
    descriptor = os.open(path, os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("<hh4xqqi4x", kind, 0, 0, 0, 0))
    return descriptor


def test_processes_of_the_guest_keep_each_other_out(tmp_path: Path) -> None:
    client = Client(tmp_path)
    one = client.create("", b"file")
    two = client.open("file", READ_WRITE)
    assert lock(client, one, WRITE, process=1, start=10, length=5) == DONE
    assert lock(client, two, WRITE, process=1) == DONE, "the same process by another fid"
    assert lock(client, two, READ, process=2, start=14, length=1) == BLOCKED
    assert get(client, two, READ, 2, 14, 1) == (WRITE, 0, 0, 1)
    assert get(client, two, READ, 1, 14, 1) == (UNLOCK, 14, 1, 1)
    client.clunk(two)
    client.clunk(one)
    assert lock(client, client.open("file", READ_WRITE), WRITE, process=2) == DONE, "closing has given them back"


def test_the_host_s_locks_count_and_the_guest_s_on_the_host(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    client = Client(tmp_path)
    fid = client.open("file", READ_WRITE)
    held = host_lock(path, fcntl.F_WRLCK)
    assert lock(client, fid, READ) == BLOCKED
    assert get(client, fid, READ, 1)[0] == WRITE
    os.close(held)
    assert lock(client, fid, READ) == DONE
    os.close(host_lock(path, fcntl.F_RDLCK))
    with pytest.raises(BlockingIOError):
        host_lock(path, fcntl.F_WRLCK)
    assert lock(client, fid, UNLOCK) == DONE
    os.close(host_lock(path, fcntl.F_WRLCK))


def test_only_files_and_possible_ranges_are_locked(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    for start, length in (((1 << 63), 0), (1, 1 << 63), ((1 << 63) - 1, 2)):
        with pytest.raises(OSError, match="Invalid"):
            lock(client, fid, READ, start=start, length=length)
    with pytest.raises(OSError, match="Invalid"):
        lock(client, fid, 3)
    with pytest.raises(OSError, match="Invalid"):
        lock(client, client.open(""), READ)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("lock", fid=fid, kind=0, flags=0, start=0, length=0, process=0, client=b"x" * 300)


def test_a_session_s_end_gives_all_back(tmp_path: Path) -> None:
    client = Client(tmp_path)
    assert lock(client, client.create("", b"file"), WRITE) == DONE
    client.ask("version", size=8192, version=b"9P2000.L")
    os.close(host_lock(tmp_path / "file", fcntl.F_WRLCK))
