"""Attributes: what the guest sees of owners, modes, times and extended attributes, and sets."""

import os
import stat
from pathlib import Path

import pytest

from guesthouse.virtual.shares.ownership import ATTRIBUTE
from tests.virtual.shares.client import READ_WRITE, Client

MODE, UID, GID, SIZE, ATIME, MTIME, CTIME, ATIME_SET, MTIME_SET = (1 << bit for bit in range(9))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder on a file system with extended attributes of users."""
    try:
        os.setxattr(tmp_path, "user.test", b"")
        os.removexattr(tmp_path, "user.test")
    except OSError:
        pytest.skip("this file system has no extended attributes of users")
    return tmp_path


def test_attributes_are_the_host_s(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    os.utime(tmp_path / "file", ns=(5, 1_700_000_000_123_456_789))
    found, host = Client(tmp_path).stat("file"), (tmp_path / "file").stat()
    assert (found.mode, found.size, found.links, found.blocks) == (host.st_mode, 7, 1, host.st_blocks)
    assert (found.accessed, found.modified, found.valid) == (5, 1_700_000_000_123_456_789, 0x7FF)
    assert found.qid == (0, (host.st_mtime_ns ^ 7 << 8) & 0xFFFF_FFFF, host.st_ino)


def test_times_before_1970_stay_so(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.setattr(fid, MTIME | MTIME_SET, mtime=(1 << 64) - 5, mtime_ns=10)
    assert (tmp_path / "file").stat().st_mtime_ns == -5 * 10**9 + 10
    assert client.getattr(fid).modified == -5 * 10**9 + 10


def test_times_are_set_kept_or_made_now(tmp_path: Path) -> None:
    path = tmp_path / "file"
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.setattr(fid, ATIME | ATIME_SET | MTIME | MTIME_SET, atime=1, atime_ns=2, mtime=3, mtime_ns=4)
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (1_000_000_002, 3_000_000_004)
    client.setattr(fid, MTIME)
    assert path.stat().st_atime_ns == 1_000_000_002 and path.stat().st_mtime > 1_000_000_000
    with pytest.raises(OSError, match="Invalid"):
        client.setattr(fid, MTIME | MTIME_SET, mtime_ns=10**9)


def test_the_time_of_a_link_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    client = Client(tmp_path)
    client.setattr(client.walk("link"), MTIME | MTIME_SET, mtime=77)
    assert (tmp_path / "link").lstat().st_mtime == 77 and (tmp_path / "file").stat().st_mtime != 77


def test_the_size_is_set_open_or_not(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.write(fid, 0, b"content")
    client.setattr(fid, SIZE, size=3)
    assert (tmp_path / "file").read_bytes() == b"con"
    client.setattr(client.walk("file"), SIZE, size=5)
    assert (tmp_path / "file").read_bytes() == b"con\0\0"
    with pytest.raises(IsADirectoryError):
        client.setattr(0, SIZE, size=0)
    with pytest.raises(OSError, match="File too large"):
        client.setattr(fid, SIZE, size=1 << 63)


def test_owners_and_special_modes_are_remembered(folder: Path) -> None:
    client = Client(folder, uid=1000, gid=100)
    fid = client.create("", b"file", READ_WRITE, 0o644, gid=100)
    assert (client.getattr(fid).uid, client.getattr(fid).gid) == (1000, 100)
    assert ATTRIBUTE.decode() not in os.listxattr(folder / "file")
    client.setattr(fid, UID | GID | MODE, uid=33, gid=34, mode=0o4711)
    for found in (client.getattr(fid), client.stat("file"), Client(folder).stat("file")):
        assert (found.uid, found.gid, found.mode) == (33, 34, stat.S_IFREG | 0o4711)
    assert (folder / "file").stat().st_mode & 0o7777 == 0o711 and (folder / "file").stat().st_uid == os.geteuid()
    client.setattr(fid, UID | GID | MODE, uid=1000, gid=100, mode=0o644)
    assert ATTRIBUTE.decode() not in os.listxattr(folder / "file")


def test_a_mode_without_rights_locks_nobody_out(folder: Path) -> None:
    client = Client(folder)
    client.clunk(client.create("", b"file", READ_WRITE, 0))
    client.ask("mkdir", fid=0, name=b"dir", mode=0o1000, gid=0)
    assert client.stat("file").mode == stat.S_IFREG and client.stat("dir").mode == stat.S_IFDIR | 0o1000
    assert (folder / "file").stat().st_mode & 0o7777 == 0o600 and (folder / "dir").stat().st_mode & 0o7777 == 0o700
    client.write(client.open("file", READ_WRITE), 0, b"root may")
    os.chmod(folder / "file", 0o640)
    assert client.stat("file").mode == stat.S_IFREG | 0o640, "the host has the last word"


def test_new_files_belong_to_who_made_them(folder: Path) -> None:
    client = Client(folder, user=500)
    made = client.create("", b"file", gid=50)
    client.ask("mkdir", fid=0, name=b"dir", mode=0o755, gid=50)
    for found in (client.getattr(made), client.stat("dir")):
        assert (found.uid, found.gid) == (500, 50)


def test_extended_attributes_are_written_read_listed_and_removed(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    client = Client(folder)
    value = os.urandom(2500)
    client.set_attribute("file", b"user.large", value)
    client.set_attribute("file", b"user.empty", b"")
    assert client.attribute("file", b"user.large") == value == os.getxattr(folder / "file", "user.large")
    assert client.attribute("file", b"user.empty") == b""
    assert sorted(client.attribute("file", b"").split(b"\0")) == [b"", b"user.empty", b"user.large"]
    with pytest.raises(FileExistsError):
        client.set_attribute("file", b"user.large", b"x", os.XATTR_CREATE)
    with pytest.raises(OSError, match="No data"):
        client.set_attribute("file", b"user.none", b"x", os.XATTR_REPLACE)
    client.set_attribute("file", b"user.empty", b"", os.XATTR_REPLACE)  # how Linux removes one
    assert client.attribute("file", b"") == b"user.large\0"
    with pytest.raises(OSError, match="No data"):
        client.attribute("file", b"user.empty")


@pytest.mark.parametrize("name", [b"security.capability", b"trusted.x", b"system.posix_acl_access", b"user.", b"x"])
def test_only_the_user_s_attributes_are_known(folder: Path, name: bytes) -> None:
    (folder / "file").write_bytes(b"")
    client = Client(folder)
    with pytest.raises(OSError, match="not supported"):
        client.attribute("file", name)
    with pytest.raises(OSError, match="not supported"):
        client.set_attribute("file", name, b"x")


def test_our_own_attribute_is_hidden(folder: Path) -> None:
    client = Client(folder)
    client.setattr(client.create("", b"file"), UID, uid=5)
    assert os.listxattr(folder / "file") == [ATTRIBUTE.decode()]
    assert client.attribute("file", b"") == b""
    for name in (ATTRIBUTE, b"user.guesthouse.other"):
        with pytest.raises(PermissionError):
            client.attribute("file", name)
        with pytest.raises(PermissionError):
            client.set_attribute("file", name, b"0 0 - 644")


def test_pipes_and_links_have_none_and_owners_there_are_forgotten(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("x")
    client = Client(folder)
    for name in ("pipe", "link"):
        client.setattr(client.walk(name), UID, uid=5)
        assert client.stat(name).uid == 0
        with pytest.raises(OSError, match="not supported"):
            client.attribute(name, b"user.x")
