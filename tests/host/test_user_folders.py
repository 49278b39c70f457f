import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host import user_folders as folders

HOLD = """
import sys
from pathlib import Path
from guesthouse.host.user_folders import exclusive
with exclusive(Path(sys.argv[1]), lambda: print("waiting", flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_folders_follow_xdg() -> None:
    named = {"XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "relative/is/ignored", "HOME": "/users/x"}
    assert folders.data_folder(named) == Path("/d/guesthouse")
    assert folders.config_folder(named) == Path("/users/x/.config/guesthouse")
    assert folders.cache_folder(named) == Path("/users/x/.cache/guesthouse")


def test_writing_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert folders.read_file(path) is None
    folders.write_file(path, b"one")
    with open(path, "rb") as reader:
        folders.write_file(path, b"two")
        assert reader.read() == b"one"
    assert folders.read_file(path) == b"two"
    assert folders.list_folder(path.parent) == ["file"]
    folders.remove_file(path)
    folders.remove_file(path)
    assert folders.list_folder(tmp_path / "nowhere") == []


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    folders.write_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        folders.write_file(path, b"new")
    assert folders.read_file(path) == b"old"
    assert folders.list_folder(tmp_path) == ["file"]


def test_other_failures_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Can't create the folder"):
        folders.write_file(tmp_path / "file" / "below", b"")
    with pytest.raises(UserError, match="Can't read"):
        folders.read_file(tmp_path)


def test_a_lock_is_held_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment, "text": True}
    with folders.exclusive(path):
        other = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
        assert other.stdout.readline() == "waiting\n"
    assert other.stdout.readline() == "held\n"
    assert other.communicate("\n", timeout=20)[0] == ""
    assert other.returncode == 0
