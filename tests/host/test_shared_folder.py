"""A shared folder as an attacker sees it: nothing leads out, nothing hangs."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.shared_folder import SharedFolder, opened_folder

SECRET = b"the host's secret"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the shared one, with a secret in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(SECRET)
    (tmp_path / "share/dir").mkdir(parents=True)
    (tmp_path / "share/dir/secret").write_bytes(b"harmless")
    return tmp_path / "outside"


@pytest.fixture
def folder(outside: Path) -> Iterator[SharedFolder]:
    shared = SharedFolder(os.open(outside.parent / "share", os.O_RDONLY | os.O_DIRECTORY))
    yield shared
    shared.close()


@pytest.mark.parametrize("name", [b"..", b".", b"", b"/", b"/etc/passwd", b"dir/..", b"dir/secret", b"a\0b"])
def test_only_names_are_names(folder: SharedFolder, name: bytes) -> None:
    root = folder.root
    for call in (
        lambda: folder.walk(root, name),
        lambda: folder.create(root, name, os.O_RDWR, 0o600),
        lambda: folder.make_directory(root, name, 0o700),
        lambda: folder.make_pipe(root, name, 0o600),
        lambda: folder.make_link(root, name, b"x"),
        lambda: folder.link(root, name, root),
        lambda: folder.unlink(root, name, False),
        lambda: folder.unlink(root, name, True),
        lambda: folder.rename(root, b"dir", root, name),
        lambda: folder.rename(root, name, root, b"new"),
    ):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    assert os.listdir(folder.root.descriptor) == ["dir"]


def test_links_are_themselves_and_lead_nowhere(folder: SharedFolder, outside: Path) -> None:
    share = outside.parent / "share"
    (share / "file").symlink_to(outside / "secret")
    (share / "folder").symlink_to(outside)
    (share / "up").symlink_to("../outside")
    for name in (b"file", b"folder", b"up"):
        place, found = folder.walk(folder.root, name)
        assert stat.S_ISLNK(found.st_mode)
        for call, argument in ((folder.open, os.O_RDONLY), (folder.truncate, 0), (folder.set_mode, 0o777)):
            with pytest.raises(OSError) as caught:
                call(place, argument)
            assert caught.value.errno in (errno.ELOOP, errno.EOPNOTSUPP)
        with pytest.raises(NotADirectoryError):
            folder.walk(place, b"secret")
        with pytest.raises(OSError):
            folder.create(folder.root, name, os.O_RDWR | os.O_TRUNC, 0o600)
        with pytest.raises(NotADirectoryError):
            folder.create(place, b"new", os.O_RDWR, 0o600)
        with pytest.raises(NotADirectoryError):
            folder.unlink(place, b"secret", False)
        folder.set_times(place, (1, 0), (1, 0))
    assert (outside / "secret").read_bytes() == SECRET and (outside / "secret").stat().st_mtime != 1


def test_a_hard_link_to_a_link_is_to_the_link(folder: SharedFolder, outside: Path) -> None:
    share = outside.parent / "share"
    (share / "file").symlink_to(outside / "secret")
    place, _ = folder.walk(folder.root, b"file")
    folder.link(folder.root, b"other", place)
    assert (share / "other").is_symlink() and (outside / "secret").stat().st_nlink == 1


def test_magic_links_of_proc_are_only_links() -> None:
    shared = SharedFolder(os.open(f"/proc/{os.getpid()}", os.O_RDONLY | os.O_DIRECTORY))
    for name in (b"cwd", b"root", b"exe"):
        place, found = shared.walk(shared.root, name)
        assert stat.S_ISLNK(found.st_mode)
        with pytest.raises(OSError):
            shared.open(place, os.O_RDONLY)
        with pytest.raises(OSError):
            shared.walk(place, b"etc")
    shared.close()


def test_pipes_sockets_and_devices_are_never_opened(folder: SharedFolder, outside: Path) -> None:
    share = outside.parent / "share"
    os.mkfifo(share / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(share / "socket"))
    names = [b"pipe", b"socket"]
    if os.geteuid() == 0:
        os.mknod(share / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        names.append(b"zero")
    for name in names:
        place, _ = folder.walk(folder.root, name)
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            with pytest.raises(OSError) as caught:
                folder.open(place, flags)
            assert caught.value.errno == errno.ENXIO
            with pytest.raises(OSError):
                folder.create(folder.root, name, flags, 0o600)
        with pytest.raises(OSError):
            folder.truncate(place, 0)
        with pytest.raises(OSError):
            folder.get_attribute(place, b"user.x")


def swap(share: Path, outside: Path, stop: threading.Event) -> None:
    """Have `dir` be the folder, a link that leads out, and the folder again, as fast as can be."""
    (share / "link").symlink_to(outside)
    while not stop.is_set():
        os.rename(share / "dir", share / "kept")
        os.rename(share / "link", share / "dir")
        os.rename(share / "dir", share / "link")
        os.rename(share / "kept", share / "dir")


def test_a_directory_that_is_swapped_for_a_link_meanwhile(folder: SharedFolder, outside: Path) -> None:
    """Whatever happens between two steps, the secret is neither read nor written nor removed."""
    share, stop = outside.parent / "share", threading.Event()
    thread = threading.Thread(target=swap, args=(share, outside, stop))
    thread.start()
    reached = refused = 0
    buffer = memoryview(bytearray(100))
    try:
        for turn in range(4000):
            held = []
            try:
                directory, _ = folder.walk(folder.root, b"dir")
                held.append(directory)
                place, _ = folder.walk(directory, b"secret")
                held.append(place)
                file = folder.open(place, os.O_RDWR)
                count = file.read_into(buffer, 0)
                file.close()
                assert bytes(buffer[:count]) == b"harmless"
                name = b"new%d" % turn
                made, opened, _ = folder.create(directory, name, os.O_RDWR, 0o600)
                opened.close()
                folder.rename(directory, name, directory, b"moved")
                folder.unlink(directory, b"moved", False)
                folder.drop(made)
                folder.set_mode(place, 0o640)
                reached += 1
            except OSError:
                refused += 1
            for place in reversed(held):
                folder.drop(place)
            folder.trim()
    finally:
        stop.set()
        thread.join()
    assert reached > 20 and refused > 20, "both must have happened"
    assert os.listdir(outside) == ["secret"] and (outside / "secret").read_bytes() == SECRET
    assert (outside / "secret").stat().st_mode & 0o777 != 0o640


def test_a_name_that_is_swapped_for_a_link_while_it_is_created(folder: SharedFolder, outside: Path) -> None:
    share, stop = outside.parent / "share", threading.Event()
    target = outside / "made"

    def swap_file() -> None:
        (share / "link").symlink_to(target)
        (share / "plain").write_bytes(b"")
        while not stop.is_set():
            for name in ("link", "plain"):
                os.rename(share / name, share / "file")
                os.rename(share / "file", share / name)

    thread = threading.Thread(target=swap_file)
    thread.start()
    try:
        for _ in range(3000):
            try:
                place, file, _ = folder.create(folder.root, b"file", os.O_RDWR | os.O_TRUNC, 0o600)
            except OSError:
                continue
            file.close()
            folder.drop(place)
    finally:
        stop.set()
        thread.join()
    assert not target.exists()


def test_what_is_moved_out_by_the_host_has_nothing_above_it(folder: SharedFolder, outside: Path) -> None:
    share = outside.parent / "share"
    directory, _ = folder.walk(folder.root, b"dir")
    os.rename(share / "dir", outside / "dir")
    assert folder.parent(directory) is folder.root
    with pytest.raises(OSError):
        folder.walk(directory, b"..")


def test_a_leased_file_is_not_waited_for(folder: SharedFolder, outside: Path) -> None:
    place, _ = folder.walk(folder.root, b"dir")
    place, _ = folder.walk(place, b"secret")
    program = (
        "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN);"
        "fd = os.open(sys.argv[1], os.O_RDONLY); fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK);"
        "print('leased', flush=True); sys.stdin.read()"
    )
    leaser = subprocess.Popen(
        [sys.executable, "-c", program, str(outside.parent / "share/dir/secret")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert leaser.stdout is not None and leaser.stdout.readline() == b"leased\n"
    with pytest.raises(BlockingIOError):
        folder.open(place, os.O_WRONLY)
    leaser.communicate()


def test_places_are_closed_with_their_last_holder(folder: SharedFolder) -> None:
    before = len(os.listdir("/proc/self/fd"))
    places = [folder.walk(folder.root, b"dir")[0] for _ in range(3)]
    assert places[0] is places[1] is places[2]
    deep, _ = folder.walk(places[0], b"secret")
    for place in places:
        folder.drop(place)
    assert len(os.listdir("/proc/self/fd")) == before + 2, "the file's place holds its directory"
    folder.drop(deep)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_can_t_be_shared_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UserError, match=r"^Can't share the folder .*: .*\.$"), opened_folder(str(path)):
            pass
    with opened_folder(str(tmp_path)) as descriptor:
        assert os.listdir(descriptor) == ["file"]
