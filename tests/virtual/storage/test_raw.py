import pytest

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.raw import RawDisk


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 2 * 20 + b"tail")
    return path


def test_sectors_are_read_and_written_in_place(image) -> None:
    with HostFile(image) as file:
        disk = RawDisk(file)
        disk.write(3, b"w" * 1024)
        disk.flush()
        assert disk.read(2, 4) == bytes(range(256)) * 2 + b"w" * 1024 + bytes(range(256)) * 2
    assert image.read_bytes()[3 * 512 : 5 * 512] == b"w" * 1024


def test_a_part_sector_at_the_end_is_filled_with_zeros(image) -> None:
    with HostFile(image, readonly=True) as file:
        disk = RawDisk(file, readonly=True)
        assert disk.sectors == 21
        assert disk.read(20, 1) == b"tail".ljust(512, b"\0")


@pytest.mark.parametrize("discard", [False, True])
def test_zeroing_with_and_without_the_host_s_help(image, discard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for helped in (True, False):
        with HostFile(image) as file:
            disk = RawDisk(file)
            disk.write(0, b"\xff" * 512 * 20)
            if not helped:
                monkeypatch.setattr(file, "zero", lambda *_: False)
            disk.zero(1, 17, discard)
            assert disk.read(0, 20) == b"\xff" * 512 + bytes(17 * 512) + b"\xff" * 1024


def test_outside_and_readonly_accesses_fail(image) -> None:
    with HostFile(image, readonly=True) as file:
        disk = RawDisk(file, readonly=True)
        for sector, count in ((21, 1), (0, 22), (-1, 1), (1 << 63, 1)):
            with pytest.raises(OSError):
                disk.read(sector, count)
        with pytest.raises(OSError):
            disk.write(0, bytes(512))
        with pytest.raises(OSError):
            disk.zero(0, 1, True)


def test_an_empty_image_is_refused_in_a_sentence(tmp_path) -> None:
    (tmp_path / "empty").touch()
    with HostFile(tmp_path / "empty") as file, pytest.raises(UserError, match="empty"):
        RawDisk(file)
