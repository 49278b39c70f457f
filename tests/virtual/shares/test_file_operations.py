"""Files: opened, made, read, written, and the figures of their file system."""

import os
import struct
from pathlib import Path

import pytest

from tests.virtual.shares.client import APPEND, EXCLUSIVE, MSIZE, READ_WRITE, TRUNCATE, WRITE, Client


def test_bytes_come_back_as_they_were_written(tmp_path: Path) -> None:
    client = Client(tmp_path)
    data = os.urandom(150_000)
    fid = client.create("", b"file")
    done = 0
    while done < len(data):
        done += client.write(fid, done, data[done : done + MSIZE - 24])
    assert (tmp_path / "file").read_bytes() == data
    got = b""
    while piece := client.read(fid, len(got), MSIZE):
        assert len(piece) <= MSIZE - 11
        got += piece
    assert got == data
    assert client.read(fid, 1 << 40, 100) == b""


def test_a_hole_costs_nothing_and_reads_as_zeros(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.write(fid, 1 << 40, b"far")
    assert client.getattr(fid).size == (1 << 40) + 3 and client.getattr(fid).blocks < 100
    assert client.read(fid, (1 << 40) - 4, 100) == b"\0\0\0\0far"


def test_offsets_that_no_file_has(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    with pytest.raises(OSError, match="File too large"):
        client.write(fid, (1 << 63) - 1, b"xx")
    with pytest.raises(OSError, match="File too large"):
        client.write(fid, (1 << 64) - 1, b"x")
    with pytest.raises(OSError, match="Invalid"):
        client.read(fid, (1 << 64) - 1, 1)


def test_fids_are_used_as_they_were_opened(tmp_path: Path) -> None:
    client = Client(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    reading, writing, unopened = client.open("file"), client.open("file", WRITE), client.walk("file")
    for fid in (reading, unopened):
        with pytest.raises(OSError, match="Bad file"):
            client.write(fid, 0, b"x")
    for fid in (writing, unopened):
        with pytest.raises(OSError, match="Bad file"):
            client.read(fid, 0, 1)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("lopen", fid=reading, flags=0)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("fsync", fid=unopened, data_only=0)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("lopen", fid=unopened, flags=3)
    with pytest.raises(IsADirectoryError):
        client.open("", WRITE)
    with pytest.raises(IsADirectoryError):
        client.read(client.open(""), 0, 10)


def test_truncating_and_appending(tmp_path: Path) -> None:
    client = Client(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    client.open("file", WRITE | TRUNCATE)
    assert (tmp_path / "file").read_bytes() == b""
    fid = client.open("file", WRITE | APPEND)
    client.write(fid, 0, b"one ")
    (tmp_path / "file").write_bytes(b"the host's ")
    client.write(fid, 4, b"two")
    assert (tmp_path / "file").read_bytes() == b"the host's two"


def test_create_makes_or_opens(tmp_path: Path) -> None:
    client = Client(tmp_path)
    (tmp_path / "there").write_bytes(b"content")
    fid = client.create("", b"there")
    assert client.read(fid, 0, 10) == b"content"
    client.clunk(fid)
    with pytest.raises(FileExistsError):
        client.create("", b"there", READ_WRITE | EXCLUSIVE)
    client.create("", b"there", READ_WRITE | TRUNCATE)
    assert (tmp_path / "there").read_bytes() == b""
    fid = client.create("", b"new", WRITE, 0o6751)
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o751
    assert client.getattr(fid).mode & 0o7777 == 0o6751
    with pytest.raises(OSError, match="Bad file"):
        client.ask("walk", fid=fid, new=99, names=[b".."])


@pytest.mark.parametrize("sync", [0, 1])
def test_fsync_is_done(tmp_path: Path, sync: int) -> None:
    client = Client(tmp_path)
    assert client.ask("fsync", fid=client.create("", b"file"), data_only=sync) == b""


def test_what_a_client_should_read_at_once_is_whole_pages(tmp_path: Path) -> None:
    client = Client(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    (unit,) = struct.unpack_from("<I", client.ask("lopen", fid=client.walk("file"), flags=0), 13)
    assert unit == (MSIZE - 24) // 4096 * 4096
    assert client.stat("file").block == unit


def test_the_figures_are_the_host_s(tmp_path: Path) -> None:
    kind, block, blocks, _, _, files, _, _, length = struct.unpack("<IIQQQQQQI", Client(tmp_path).ask("statfs", fid=0))
    host = os.statvfs(tmp_path)
    assert (kind, block, blocks, files, length) == (
        0x01021997, host.f_frsize, host.f_blocks, host.f_files, host.f_namemax,
    )  # fmt: skip
