"""Fids are bounded, and give back what they hold."""

from pathlib import Path

import pytest

from guesthouse.virtual.shares import fids as module
from guesthouse.virtual.shares.fids import Attribute
from tests.virtual.shares.client import Client


def test_an_unknown_fid_and_one_in_use_are_bad(tmp_path: Path) -> None:
    client = Client(tmp_path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.ask("getattr", fid=9, mask=0)
    client.ask("walk", fid=0, new=9, names=[])
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.ask("walk", fid=0, new=9, names=[])


def test_there_are_only_so_many_fids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FIDS", 5)
    client = Client(tmp_path)
    made = [client.walk() for _ in range(4)]
    with pytest.raises(OSError, match="Too many open files in system"):
        client.walk()
    client.clunk(made[0])
    client.walk()


def test_there_are_only_so_many_open_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    client = Client(tmp_path, limit=40)
    opened = [client.open("file") for _ in range(10)]
    with pytest.raises(OSError, match="Too many open files"):
        client.open("file")
    client.clunk(opened[3])
    client.open("file")


def test_attributes_being_written_are_bounded(tmp_path: Path) -> None:
    client = Client(tmp_path)
    count = module.MOST_ATTRIBUTE_BYTES >> 16
    made = [client.walk() for _ in range(count + 1)]
    for fid in made[:count]:
        client.ask("xattrcreate", fid=fid, name=b"user.x", size=1 << 16, flags=0)
    with pytest.raises(OSError, match="No space"):
        client.ask("xattrcreate", fid=made[count], name=b"user.x", size=1, flags=0)
    with pytest.raises(OSError, match="Invalid"):  # not all of it has been written
        client.clunk(made[0])
    client.ask("xattrcreate", fid=made[count], name=b"user.x", size=1, flags=0)


def test_an_attribute_counts_what_it_is_to_hold() -> None:
    assert Attribute(b"abc").expected == 3
    assert Attribute.to_write(b"user.a", 77, 0).expected == 77
