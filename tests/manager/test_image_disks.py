from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.manager.image_disks import disk_for_guest, new_disk


def test_a_new_disk_is_empty_and_takes_no_room(tmp_path: Path) -> None:
    disk = new_disk(tmp_path, 1 << 30)
    assert disk.stat().st_size == 1 << 30
    assert disk.stat().st_blocks == 0
    with pytest.raises(UserError, match="exists"):
        new_disk(tmp_path, 1)


def test_a_guest_s_disk_begins_as_the_image_s(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(b"content")
    (tmp_path / "guest").mkdir()
    disk = disk_for_guest(tmp_path / "base", tmp_path / "guest")
    assert disk.read_bytes() == b"content"
    disk.write_bytes(b"other")
    assert (tmp_path / "base").read_bytes() == b"content"
