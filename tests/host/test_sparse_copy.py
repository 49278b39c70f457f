import os
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host import sparse_copy
from guesthouse.host.sparse_copy import copy_sparse

MIB = 1 << 20


def holey(path: Path) -> Path:
    with open(path, "wb") as file:
        for at, data in ((0, b"first"), (5 * MIB, b"x" * (3 * MIB)), (20 * MIB + 17, b"last")):
            file.seek(at)
            file.write(data)
        file.truncate(32 * MIB)
    return path


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_copy_has_the_same_content_and_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(38, "not implemented")

    if not in_kernel:
        monkeypatch.setattr(sparse_copy.fcntl, "ioctl", refuse)
        monkeypatch.setattr(sparse_copy.os, "copy_file_range", refuse)
    source = holey(tmp_path / "source")
    copy_sparse(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert (tmp_path / "target").stat().st_blocks * 512 < 8 * MIB


def test_a_file_of_holes_only(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"")
    os.truncate(tmp_path / "source", MIB)
    copy_sparse(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == bytes(MIB)


def test_what_is_there_stays(tmp_path: Path) -> None:
    source = holey(tmp_path / "source")
    (tmp_path / "target").write_bytes(b"mine")
    with pytest.raises(UserError, match="exists"):
        copy_sparse(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sparse_copy.fcntl, "ioctl", full)
    monkeypatch.setattr(sparse_copy.os, "copy_file_range", full)
    with pytest.raises(UserError, match="disk is full"):
        copy_sparse(holey(tmp_path / "source"), tmp_path / "target")
    assert not (tmp_path / "target").exists()
