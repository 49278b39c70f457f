import pytest

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import read
from guesthouse.virtual.storage.raw import RawImage


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 2 * 20 + b"tail")
    return path


def test_sectors_are_read_and_written_in_place(image) -> None:
    with HostFile(image) as file:
        disk = RawImage(file)
        disk.writev(3 * 512, [b"w" * 512, b"", b"w" * 512])
        disk.flush()
        assert read(disk, 2 * 512, 4 * 512) == bytes(range(256)) * 2 + b"w" * 1024 + bytes(range(256)) * 2
    assert image.read_bytes()[3 * 512 : 5 * 512] == b"w" * 1024


def test_a_part_sector_at_the_end_is_filled_with_zeros(image) -> None:
    with HostFile(image, readonly=True) as file:
        disk = RawImage(file, readonly=True)
        assert disk.size == 21 * 512
        assert read(disk, 20 * 512, 512) == b"tail".ljust(512, b"\0")


@pytest.mark.parametrize("discard", [False, True])
def test_zeroing_with_and_without_the_host_s_help(image, discard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for helped in (True, False):
        with HostFile(image) as file:
            disk = RawImage(file)
            disk.writev(0, [b"\xff" * 512 * 20])
            if not helped:
                monkeypatch.setattr(file, "zero", lambda *_: False)
            disk.write_zeroes(512, 17 * 512, discard)
            assert read(disk, 0, 20 * 512) == b"\xff" * 512 + bytes(17 * 512) + b"\xff" * 1024


def test_outside_and_readonly_accesses_fail(image) -> None:
    with HostFile(image, readonly=True) as file:
        disk = RawImage(file, readonly=True)
        for sector, count in ((21, 1), (0, 22), (-1, 1), (1 << 63, 1)):
            with pytest.raises(OSError):
                read(disk, sector * 512, count * 512)
        with pytest.raises(OSError):
            disk.writev(0, [bytes(512)])
        with pytest.raises(OSError):
            disk.write_zeroes(0, 512, True)


def test_an_empty_image_is_refused_in_a_sentence(tmp_path) -> None:
    (tmp_path / "empty").touch()
    with HostFile(tmp_path / "empty") as file, pytest.raises(UserError, match="empty"):
        RawImage(file)


def test_extents_are_the_file_s_data_and_holes(tmp_path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 18)
        file.write(b"x" * 8192)
    with HostFile(path) as opened:
        disk = RawImage(opened)
        extents = list(disk.extents(0, disk.size))
        assert [extent.data for extent in extents] == [False, True, False]
        assert extents[1][:2] == (1 << 18, 8192) and extents[1].position == 1 << 18
        assert sum(extent.length for extent in extents) == disk.size
        disk.discard(1 << 18, 4096)
        assert read(disk, 1 << 18, 4096) == bytes(4096)


def test_resizing_shows_zeros(image) -> None:
    with HostFile(image) as file:
        disk = RawImage(file)
        disk.resize(1 << 20)
        assert disk.size == 1 << 20 == image.stat().st_size
        assert read(disk, (1 << 20) - 512, 512) == bytes(512)
