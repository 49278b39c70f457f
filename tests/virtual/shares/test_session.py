"""What a file looks like to the guest, and what a session holds."""

import os
from pathlib import Path

from guesthouse.host.shared_folder import SharedFolder
from guesthouse.virtual.shares.messages import MOST_SIZE, QID
from guesthouse.virtual.shares.ownership import Owner, Ownership
from guesthouse.virtual.shares.session import Session


def session(folder: Path) -> Session:  # type: ignore[type-arg]
    shared = SharedFolder(os.open(folder, os.O_RDONLY))
    return Session(shared, Ownership(os.geteuid(), os.getegid(), 7, 8))


def test_files_of_several_file_systems_differ(tmp_path: Path) -> None:
    one = session(tmp_path)
    assert one.path(64, 5) == 5, "those of the first are the inodes"
    assert len({one.path(device, inode) for device in (64, 65, 99) for inode in (5, 6)}) == 6
    assert one.path(65, (1 << 64) - 1) < 1 << 64


def test_qids_tell_directories_and_links_and_change_with_the_content(tmp_path: Path) -> None:
    one = session(tmp_path)
    (tmp_path / "file").write_bytes(b"one")
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("dir")
    os.mkfifo(tmp_path / "pipe")
    letters = [QID.unpack(one.qid((tmp_path / name).lstat()))[0] for name in ("file", "dir", "link", "pipe")]
    assert letters == [0, 0x80, 0x02, 0]
    before = one.qid((tmp_path / "file").stat())
    (tmp_path / "file").write_bytes(b"another")
    after = one.qid((tmp_path / "file").stat())
    assert before != after and before[5:] == after[5:]


def test_new_files_are_the_user_s_or_the_share_s(tmp_path: Path) -> None:
    one = session(tmp_path)
    root = one.fids.add(0, one.folder.hold(one.folder.root), 500)
    nobody = one.fids.add(1, one.folder.hold(one.folder.root), 0xFFFF_FFFF)
    assert one.owner_of_new(root, 50, 0o104755) == Owner(500, 50, 0o4755)
    assert one.owner_of_new(nobody, 0xFFFF_FFFF, 0o644) == Owner(7, 8, 0o644)


def test_the_end_leaves_nothing(tmp_path: Path) -> None:
    one = session(tmp_path)
    one.size = 8192
    one.fids.add(0, one.folder.hold(one.folder.root), 0)
    one.end()
    assert len(one.fids) == 0 and one.size == MOST_SIZE and one.room == MOST_SIZE - 24
