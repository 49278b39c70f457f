from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.kept_file import keep


def test_a_file_is_read_again_after_it_has_lost_its_name(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"code" * 1000)
    kept = keep(str(tmp_path / "kernel"), b"", "the kernel")
    (tmp_path / "kernel").unlink()
    assert kept.read() == kept.read() == b"code" * 1000
    kept.close()
    kept.close()


def test_bytes_stand_for_a_file() -> None:
    assert keep("", b"code", "the kernel").read() == b"code"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    for path, sentence in ((tmp_path / "none", "Can't read the kernel .*: No such file"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=sentence):
            keep(str(path), b"", "the kernel")
    with pytest.raises(UserError, match="null byte"):
        keep("a\0b", b"", "the kernel")


def test_a_file_that_does_not_tell_its_size_is_read_whole() -> None:
    kept = keep("/proc/self/smaps", b"", "the kernel")
    assert kept.read().startswith(Path("/proc/self/smaps").read_bytes()[:20])
    assert len(kept.read()) > 1 << 12
    kept.close()
