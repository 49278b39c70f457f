import contextlib
import os
import shutil
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent.calls import ENTRY, REPLY, REQUEST, CallFailed, Calls, disk_mounts
from guesthouse.manager.agent.transfer import copy_out


def make_tree(root: Path) -> None:
    root.mkdir()
    (root / "empty").mkdir(mode=0o500)
    (root / "inner").mkdir()
    (root / "inner" / "large").write_bytes(os.urandom(300_000))
    (root / "inner" / "none").write_bytes(b"")
    (root / "ä b\n").write_bytes(b"odd name")
    (root / os.fsdecode(b"\xff\xfe")).write_bytes(b"no text")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o4751)
    (root / "link").symlink_to("inner/large")
    (root / "dangling").symlink_to("/no/such/thing")
    (root / "folder link").symlink_to("..")
    for number, path in enumerate(sorted(root.rglob("*"))):
        os.utime(path, ns=(0, 10**18 + number * 10**9 + 12345), follow_symlinks=False)


def look(root: Path, masked: int) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        info = path.lstat()
        if path.is_symlink():
            content = os.fsencode(os.readlink(path))
        else:
            content = path.read_bytes() if path.is_file() else b""
        mode = info.st_mode & ~(masked if not path.is_symlink() else 0)
        found[str(path.relative_to(root))] = (mode, info.st_mtime_ns if path != root else 0, content)
    return found


def test_a_tree_goes_there_and_back_with_modes_links_and_times(agent: Agent, tmp_path: Path) -> None:
    source, there, back = tmp_path / "source", tmp_path / "there", tmp_path / "back"
    make_tree(source)
    told: list[str] = []
    copied = agent.copy_in(str(source), str(there), told.append)
    assert (copied.files, copied.folders, copied.links) == (5, 3, 3)
    assert copied.size == 300_000 + 8 + 7 + 10 and not copied.left_out
    assert look(there, 0) == look(source, 0)
    assert len(told) == 11 and any(path.endswith("inner/large") for path in told)
    assert agent.copy_out(str(there), str(back)).size == copied.size
    assert look(back, 0) == look(source, 0o7000)  # no set-user-ID comes from a guest


def test_names_are_as_cp_gives_them(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    agent.copy_in(str(tmp_path / "file"), str(tmp_path / "folder"))
    agent.copy_in(str(tmp_path / "file"), str(tmp_path / "folder") + "/")
    agent.copy_in(str(tmp_path / "file"), str(tmp_path / "other"))
    assert (tmp_path / "folder" / "file").read_bytes() == (tmp_path / "other").read_bytes() == b"1"
    (tmp_path / "file").write_bytes(b"22")
    agent.copy_out(str(tmp_path / "file"), str(tmp_path / "folder"))
    assert (tmp_path / "folder" / "file").read_bytes() == b"22"
    with pytest.raises(UserError, match="no file"):
        agent.copy_in(str(tmp_path / "none"), "/tmp")
    with pytest.raises(CallFailed, match="no such file or directory"):
        agent.copy_out(str(tmp_path / "none"), str(tmp_path))
    with pytest.raises(CallFailed, match="can't open '/no/such'"):
        agent.copy_in(str(tmp_path / "file"), "/no/such")
    with pytest.raises(UserError, match="no name of its own"):
        agent.copy_out("/", str(tmp_path))


def test_what_is_no_file_is_left_out(agent: Agent, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(source / "socket"))
    assert len(agent.copy_in(str(source), str(tmp_path / "in")).left_out) == 2
    assert len(agent.copy_out(str(source), str(tmp_path / "out")).left_out) == 2
    assert not list((tmp_path / "in").iterdir()) and not list((tmp_path / "out").iterdir())


def test_a_large_file_keeps_its_bytes(agent: Agent, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(data)
    agent.copy_in(str(tmp_path / "file"), str(tmp_path / "in"))
    agent.copy_out(str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "in").read_bytes() == (tmp_path / "out").read_bytes() == data


def test_calls_give_what_the_kernel_says(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    with agent.calls() as calls:
        found, real = calls.stat(os.fsencode(path)), path.stat()
        assert (found.mode, found.size, found.uid, found.gid) == (real.st_mode, 5, real.st_uid, real.st_gid)
        assert (found.mtime, found.links, found.identity[1]) == (real.st_mtime_ns, 1, real.st_ino)
        assert calls.read_file(os.fsencode(path), 3) == b"123"
        assert len(calls.list_folder(b"/proc")) > 30  # more than one call gives
        with pytest.raises(CallFailed, match=r"can't list|can't open '/etc/passwd': not a directory"):
            calls.list_folder(b"/etc/passwd")
        calls.remove(os.fsencode(path))
        assert not path.exists() and stat.S_ISDIR(calls.stat(b"/", follow=True).mode)
        assert agent.run(["echo", "meanwhile"]).stdout == b"meanwhile\n"


def test_a_write_that_breaks_off_leaves_the_calls_in_step(agent: Agent, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(100_000)
        raise OSError("the disk of the host")

    with agent.calls() as calls:
        with pytest.raises(OSError, match="of the host"):
            calls.write_file(os.fsencode(tmp_path / "file"), broken())
        with pytest.raises(CallFailed, match=r"no space left|invalid argument"):
            calls.write_file(b"/dev/full", [b"x" * 300_000])
        calls.write_file(os.fsencode(tmp_path / "other"), [b"whole"])
        assert calls.read_file(os.fsencode(tmp_path / "other")) == b"whole"


def test_a_call_that_was_not_waited_for_fails_later(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with agent.calls() as calls:
        calls.change_mode(b"/no/such", 0o600)
        with pytest.raises(CallFailed, match="can't change '/no/such'"):
            calls.read_file(os.fsencode(tmp_path / "file"))
        assert calls.read_file(os.fsencode(tmp_path / "file")) == b"x"  # the answers are still in step
    with pytest.raises(CallFailed, match="can't change '/no/such'"), agent.calls() as calls:
        calls.change_time(b"/no/such", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_calls_of_another_user_have_that_users_rights(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0o600)
    user = agent.user("nobody")
    with agent.calls(user) as calls, pytest.raises(CallFailed, match="permission denied"):
        calls.read_file(os.fsencode(tmp_path / "secret"))


# --- a guest that means harm ------------------------------------------------------------------------------------------


class Answers:
    """A child that answers as a test wants: each request gets a result and bytes."""

    def __init__(self, answers: Iterator[tuple[int, bytes]]) -> None:
        self._answers = answers
        self._waiting = b""

    def write(self, data: bytes) -> None:
        while data:
            size = REQUEST.unpack_from(data)[2]
            data = data[REQUEST.size + size :]
            result, content = next(self._answers)
            self._waiting += REPLY.pack(result, len(content), 0) + content

    def read(self, count: int) -> bytes:
        data, self._waiting = self._waiting[:count], self._waiting[count:]
        if len(data) < count:
            raise UserError("no more")
        return data


def entries(*names: bytes) -> bytes:
    data = b""
    for name in names:
        size = (ENTRY.size + len(name) + 8) // 8 * 8
        data += (ENTRY.pack(1, 1, size, 8) + name).ljust(size, b"\0")
    return data


def status(mode: int) -> bytes:
    return (struct.pack("<IIQIIIH", 0x7FF, 4096, 0, 1, 0, 0, mode)).ljust(256, b"\0")


@pytest.mark.parametrize("name", [b"../escaped", b"/etc/escaped", b"a/b", b""], ids=["up", "root", "two", "none"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "target").mkdir()
    answers = [(0, status(0o040755)), (3, b""), (64, entries(b".", b"..", name)), (0, b"")]
    with pytest.raises(UserError, match="no name"):
        copy_out(Calls(Answers(iter(answers))), "/x", str(tmp_path / "target" / "new"))
    assert [path.name for path in tmp_path.rglob("*")] in (["target", "new"], ["target"])


def test_a_link_from_the_guest_is_never_followed(tmp_path: Path) -> None:
    """A folder with a link `a` to a place outside, and then a folder `a` with a file in it."""
    (tmp_path / "outside").mkdir()
    link = os.fsencode(tmp_path / "outside")
    answers = [
        *((0, status(0o040755)), (3, b""), (48, entries(b"a", b"a")), (0, b""), (0, b"")),
        *((0, status(0o120777)), (len(link), link)),
        *((0, status(0o040755)), (3, b""), (24, entries(b"file")), (0, b""), (0, b"")),
        *((0, status(0o100644)), (3, b""), (1, b"x"), (0, b""), (0, b"")),
    ]
    with pytest.raises(UserError, match="host's file"):
        copy_out(Calls(Answers(iter(answers))), "/x", str(tmp_path / "new"))
    assert not list((tmp_path / "outside").iterdir())


def test_folders_without_end_are_given_up(tmp_path: Path) -> None:
    def endless() -> Iterator[tuple[int, bytes]]:
        while True:
            yield from [(0, status(0o040755)), (3, b""), (24, entries(b"d")), (0, b""), (0, b"")]

    with pytest.raises(UserError, match=r"nested more than 256 deep|File name too long"):
        copy_out(Calls(Answers(endless())), "/x", str(tmp_path / "new"))


NAMES = st.lists(st.binary(max_size=9).map(lambda name: name.replace(b"\0", b"")), max_size=3)
MODES = st.sampled_from([0o040755, 0o100644, 0o120777, 0o020000])
TIMES = st.binary(min_size=12, max_size=12)
CONTENT = st.one_of(
    st.binary(max_size=300),
    NAMES.map(lambda names: entries(*names)),
    st.builds(lambda mode, times: status(mode)[:112] + times + status(mode)[124:], MODES, TIMES),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-200, 200), CONTENT)))
def test_answers_that_make_no_sense_do_no_harm(tmp_path: Path, answers: list[tuple[int, bytes]]) -> None:
    before = set(tmp_path.parent.iterdir())
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def all_of_them() -> Iterator[tuple[int, bytes]]:
        yield from answers
        while True:
            yield -5, b""

    with contextlib.suppress(UserError):
        copy_out(Calls(Answers(all_of_them())), "/x", str(tmp_path / "new"))
    assert set(tmp_path.parent.iterdir()) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"new"}


def test_disks_are_found_among_the_mounts() -> None:
    text = b"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 8:2 / /mnt/a\\040b rw - xfs /dev/vdb rw
25 22 8:2 /sub /again rw - xfs /dev/vdb rw
26 22 8:3 / /ro ro - ext4 /dev/vdc ro
27 22 7:0 / /snap rw - squashfs /dev/loop0 ro
- - -
"""
    assert disk_mounts(text) == [b"/", b"/mnt/a b"]
