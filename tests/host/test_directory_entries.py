"""Entries of directories, in batches."""

import os
from pathlib import Path

import pytest

from guesthouse.host.directory_entries import read_entries


def test_entries_come_in_batches_that_can_be_gone_back_to(tmp_path: Path) -> None:
    names = {f"{index:03}-{'x' * (index % 90)}".encode() for index in range(300)}
    for name in names:
        (tmp_path / os.fsdecode(name)).mkdir()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    found = []
    while batch := read_entries(descriptor, 1000):
        assert len(batch) < 60
        found += batch
    assert {name for _, _, _, name in found} == names | {b".", b".."} and len(found) == 302
    assert {kind for _, _, kind, _ in found} == {4}
    os.lseek(descriptor, found[99][1], os.SEEK_SET)
    assert read_entries(descriptor, 1000)[0][3] == found[100][3]
    os.close(descriptor)


def test_what_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with open(tmp_path / "file", "rb") as file, pytest.raises(NotADirectoryError):
        read_entries(file.fileno(), 1000)
