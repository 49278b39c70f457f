"""Sessions, walks and the ends of fids."""

import os
import struct
from pathlib import Path

import pytest

from guesthouse.virtual.shares.messages import NO_FID
from tests.virtual.shares.client import Client


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    return tmp_path


def test_the_sizes_and_versions_that_are_agreed_on(tree: Path) -> None:
    client = Client(tree)
    for asked, agreed in ((8192, 8192), (1 << 20, 512 << 10)):
        assert client.ask("version", size=asked, version=b"9P2000.L") == struct.pack("<IH", agreed, 8) + b"9P2000.L"
    assert client.ask("version", size=8192, version=b"9P2000.u").endswith(b"unknown")
    with pytest.raises(OSError, match="Message too long"):
        client.ask("version", size=100, version=b"9P2000.L")


def test_a_new_version_ends_all_fids(tree: Path) -> None:
    client = Client(tree)
    client.open("a/b/file")
    before = len(os.listdir("/proc/self/fd"))
    client.ask("version", size=8192, version=b"9P2000.L")
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.ask("getattr", fid=0, mask=0)
    assert len(os.listdir("/proc/self/fd")) < before


def test_no_authentication_and_one_tree(tree: Path) -> None:
    client = Client(tree)
    with pytest.raises(FileNotFoundError):
        client.ask("auth", fid=5, user=b"root", tree=b"", uid=0)
    with pytest.raises(FileNotFoundError):
        client.ask("attach", fid=5, auth=NO_FID, user=b"", tree=b"/etc", uid=0)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("attach", fid=5, auth=4, user=b"", tree=b"", uid=0)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("attach", fid=0, auth=NO_FID, user=b"", tree=b"/", uid=0)
    client.ask("attach", fid=5, auth=NO_FID, user=b"", tree=b"/", uid=0)


def test_a_walk_answers_as_far_as_it_leads(tree: Path) -> None:
    client = Client(tree)
    body = client.ask("walk", fid=0, new=9, names=[b"a", b"b", b"none", b"x"])
    assert struct.unpack_from("<H", body) == (2,) and len(body) == 2 + 2 * 13
    with pytest.raises(OSError, match="Bad file"):
        client.clunk(9)
    with pytest.raises(FileNotFoundError):
        client.ask("walk", fid=0, new=9, names=[b"none"])


@pytest.mark.parametrize("name", [b"", b".", b"/", b"a/b", b"a\0", b"../x", b"/etc"])
def test_what_is_no_name_is_refused(tree: Path, name: bytes) -> None:
    client = Client(tree)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("walk", fid=0, new=9, names=[name])


def test_above_the_folder_there_is_only_the_folder(tree: Path) -> None:
    client = Client(tree)
    root = client.getattr(0).qid
    assert client.stat("../../..").qid == root
    assert client.stat("a/b/../..").qid == root
    assert client.stat("a/../a/b/../b/file").size == 7


def test_a_fid_may_walk_itself_but_not_once_it_is_open(tree: Path) -> None:
    client = Client(tree)
    fid = client.walk("a")
    client.ask("walk", fid=fid, new=fid, names=[b"b"])
    assert client.getattr(client.walk("file", fid)).size == 7
    client.ask("lopen", fid=fid, flags=0)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("walk", fid=fid, new=99, names=[b"file"])
    client.ask("walk", fid=fid, new=99, names=[])


def test_remove_ends_the_fid_whatever_comes_of_it(tree: Path) -> None:
    client = Client(tree)
    fid = client.walk("a/b/file")
    client.ask("remove", fid=fid)
    assert not (tree / "a/b/file").exists()
    with pytest.raises(OSError, match="Bad file"):
        client.clunk(fid)
    fid = client.walk("a")
    with pytest.raises(OSError, match="not empty"):
        client.ask("remove", fid=fid)
    with pytest.raises(OSError, match="Bad file"):
        client.clunk(fid)
    client.ask("remove", fid=client.walk("a/b"))
    assert not (tree / "a/b").exists()
    with pytest.raises(OSError, match="busy"):
        client.ask("remove", fid=client.walk())


def test_remove_takes_no_other_file_of_that_name(tree: Path) -> None:
    client = Client(tree)
    fid = client.walk("a/b/file")
    (tree / "a/b/file").unlink()
    (tree / "a/b/file").write_bytes(b"another")
    with pytest.raises(OSError, match="Stale"):
        client.ask("remove", fid=fid)
    assert (tree / "a/b/file").exists()


def test_flush_is_answered(tree: Path) -> None:
    assert Client(tree).ask("flush", tag=77) == b""
