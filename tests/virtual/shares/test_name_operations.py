"""Names in directories: made, linked, moved, removed, read."""

import os
import stat
from pathlib import Path

import pytest

from tests.virtual.shares.client import REMOVE_DIRECTORY, Client

CHANGES = {
    "mkdir": {"name": b"n", "mode": 0o755, "gid": 0},
    "mknod": {"name": b"n", "mode": stat.S_IFIFO | 0o600, "major": 0, "minor": 0, "gid": 0},
    "symlink": {"name": b"n", "target": b"x", "gid": 0},
    "unlinkat": {"name": b"file", "flags": 0},
    "lcreate": {"name": b"n", "flags": 2, "mode": 0o600, "gid": 0},
    "xattrcreate": {"name": b"user.x", "size": 1, "flags": 0},
    "setattr": dict.fromkeys(("mode", "uid", "gid", "size", "atime", "atime_ns", "mtime", "mtime_ns"), 0)
    | {"valid": 1},
    "lopen": {"flags": 1},
    "rename": {"directory": 0, "name": b"n"},
    "remove": {},
}


def test_directories_pipes_files_and_links_are_made(tmp_path: Path) -> None:
    client = Client(tmp_path)
    client.ask("mkdir", fid=0, name=b"dir", mode=0o750, gid=0)
    client.ask("mknod", fid=0, name=b"pipe", mode=stat.S_IFIFO | 0o640, major=0, minor=0, gid=0)
    client.ask("mknod", fid=0, name=b"file", mode=stat.S_IFREG | 0o644, major=0, minor=0, gid=0)
    client.ask("symlink", fid=0, name=b"link", target=b"/etc/passwd", gid=0)
    client.ask("link", directory=client.walk("dir"), fid=client.walk("file"), name=b"hard")
    client.ask("link", directory=0, fid=client.walk("link"), name=b"link2")
    modes = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
    assert modes["dir"] == stat.S_IFDIR | 0o750 and modes["file"] == stat.S_IFREG | 0o644
    assert modes["pipe"] == stat.S_IFIFO | 0o640
    assert (tmp_path / "dir/hard").samefile(tmp_path / "file")
    assert os.readlink(tmp_path / "link2") == "/etc/passwd"
    assert client.ask("readlink", fid=client.walk("link")) == b"\x0b\0/etc/passwd"
    assert client.stat("link").mode == stat.S_IFLNK | 0o777


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR, stat.S_IFLNK])
def test_devices_and_sockets_are_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(PermissionError):
        Client(tmp_path).ask("mknod", fid=0, name=b"n", mode=kind | 0o600, major=1, minor=3, gid=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"../n", b"n\0"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "dir").mkdir()
    client = Client(tmp_path)
    directory, file = client.walk("dir"), client.create("", b"file")
    calls: list[tuple[str, dict[str, object]]] = [
        ("mkdir", {"fid": directory, "mode": 0o755, "gid": 0}),
        ("symlink", {"fid": directory, "target": b"x", "gid": 0}),
        ("link", {"directory": directory, "fid": file}),
        ("unlinkat", {"fid": directory, "flags": 0}),
        ("rename", {"fid": file, "directory": directory}),
        ("lcreate", {"fid": directory, "flags": 2, "mode": 0o600, "gid": 0}),
        ("mknod", {"fid": directory, "mode": stat.S_IFREG, "major": 0, "minor": 0, "gid": 0}),
    ]
    for request, fields in calls:
        with pytest.raises(OSError, match="Invalid"):
            client.ask(request, **fields, name=name)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("renameat", old=0, old_name=b"file", new=directory, new_name=name)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("renameat", old=directory, old_name=name, new=0, new_name=b"n")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["dir", "file"]


def test_fids_follow_what_is_moved(tmp_path: Path) -> None:
    (tmp_path / "old/deep").mkdir(parents=True)
    (tmp_path / "old/deep/file").write_bytes(b"content")
    client = Client(tmp_path)
    file, deep = client.walk("old/deep/file"), client.walk("old/deep")
    client.ask("renameat", old=0, old_name=b"old", new=0, new_name=b"new")
    client.ask("rename", fid=deep, directory=0, name=b"flat")
    client.ask("rename", fid=file, directory=deep, name=b"other")
    assert (tmp_path / "flat/other").read_bytes() == b"content"
    client.ask("lopen", fid=file, flags=0)
    assert client.read(file, 0, 100) == b"content"
    client.ask("remove", fid=client.walk("flat/other"))
    client.ask("remove", fid=deep)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with pytest.raises(OSError, match="busy"):
        client.ask("rename", fid=0, directory=0, name=b"x")


def test_a_file_that_is_removed_stays_while_it_is_open(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.write(fid, 0, b"still")
    found = client.walk("file")
    client.ask("unlinkat", fid=0, name=b"file", flags=0)
    assert client.read(fid, 0, 10) == b"still"
    assert client.getattr(fid).links == client.getattr(found).links == 0
    client.write(fid, 5, b" here")
    assert client.getattr(fid).size == 10
    assert not list(tmp_path.iterdir())


def test_directories_are_removed_as_such(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    client = Client(tmp_path)
    with pytest.raises(IsADirectoryError):
        client.ask("unlinkat", fid=0, name=b"dir", flags=0)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("unlinkat", fid=0, name=b"dir", flags=1)
    client.ask("unlinkat", fid=0, name=b"dir", flags=REMOVE_DIRECTORY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [300, 1000, 60000])
def test_large_directories_are_read_in_batches(tmp_path: Path, count: int) -> None:
    names = sorted(f"{index}{'x' * (index % 200)}".encode() for index in range(700))
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    (tmp_path / "000").mkdir()
    (tmp_path / "001").symlink_to("x")
    client = Client(tmp_path)
    assert client.names("", count) == sorted([*names, b"000", b"001"])
    found = {name: (kind, inode) for name, kind, inode in client.entries("", count)}
    assert found[b"000"][0] == 4 and found[b"001"][0] == 10 and found[names[0]][0] == 8
    assert found[names[5]][1] == client.stat(names[5]).qid[2]
    assert found[b".."] == found[b"."], "what is above the folder stays unknown"


def test_reading_entries_needs_an_open_directory_and_room(tmp_path: Path) -> None:
    client = Client(tmp_path)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("readdir", fid=0, offset=0, count=1000)
    with pytest.raises(NotADirectoryError):
        client.ask("readdir", fid=client.create("", b"file"), offset=0, count=1000)
    fid = client.open("")
    with pytest.raises(OSError, match="Invalid"):
        client.ask("readdir", fid=fid, offset=0, count=10)
    with pytest.raises(OSError, match="Invalid"):
        client.ask("readdir", fid=fid, offset=1 << 63, count=1000)
    client.ask("readdir", fid=fid, offset=(1 << 63) - 1, count=1000)


@pytest.mark.parametrize("request_name", sorted(CHANGES))
def test_a_read_only_share_changes_nothing(tmp_path: Path, request_name: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    before = (tmp_path / "file").stat()
    client = Client(tmp_path, readonly=True)
    fid = client.walk("" if "name" in CHANGES[request_name] and request_name != "rename" else "file")
    with pytest.raises(OSError, match="Read-only"):
        client.ask(request_name, fid=fid, **CHANGES[request_name])
    for request, fields in (
        ("link", {"directory": 0, "fid": client.walk("file"), "name": b"n"}),
        ("renameat", {"old": 0, "old_name": b"file", "new": 0, "new_name": b"n"}),
    ):
        with pytest.raises(OSError, match="Read-only"):
            client.ask(request, **fields)
    assert client.read(client.open("file"), 0, 10) == b"content"
    after = (tmp_path / "file").stat()
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and after.st_ctime_ns == before.st_ctime_ns
