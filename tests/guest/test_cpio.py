import pytest

from guesthouse.errors import UserError
from guesthouse.guest.cpio import device, directory, file, pack, symlink


def unpack(archive: bytes) -> list[tuple[str, int, bytes, tuple[int, int]]]:
    """Entries as (path, mode, data, device), read by the format's definition."""
    entries = []
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + at : position + at + 8], 16) for at in range(6, 110, 8)]
        name = archive[position + 110 : position + 110 + fields[11] - 1].decode()
        data_at = (position + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return entries
        entries.append((name, fields[1], archive[data_at : data_at + fields[6]], (fields[9], fields[10])))
        position = (data_at + fields[6] + 3) & ~3


def test_every_kind_of_entry() -> None:
    archive = pack(
        [
            directory("dev"),
            device("dev/console", "c", 5, 1),
            device("dev/disk", "b", 254, 3, 0o660),
            file("init", b"#!/bin/sh\n", 0o755),
            symlink("sh", "bin/busybox"),
        ]
    )
    assert len(archive) % 512 == 0
    assert unpack(archive) == [
        ("dev", 0o040755, b"", (0, 0)),
        ("dev/console", 0o020600, b"", (5, 1)),
        ("dev/disk", 0o060660, b"", (254, 3)),
        ("init", 0o100755, b"#!/bin/sh\n", (0, 0)),
        ("sh", 0o120777, b"bin/busybox", (0, 0)),
    ]


def test_the_same_content_gives_the_same_bytes() -> None:
    entries = [directory("a"), file("a/b", b"x" * 33)]
    assert pack(entries) == pack(list(entries))


@pytest.mark.parametrize("entries", [[file("a/b", b"")], [directory("a"), file("a", b"")]])
def test_disorder_is_refused(entries: list[object]) -> None:
    with pytest.raises(UserError):
        pack(entries)  # type: ignore[arg-type]
