import pytest

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile


def test_a_second_writer_is_refused(tmp_path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(512))
    with HostFile(path):
        for readonly in (False, True):
            with pytest.raises(UserError, match="in use"):
                HostFile(path, readonly=readonly)
    with HostFile(path, readonly=True), HostFile(path, readonly=True) as second:
        assert second.size == 512


@pytest.mark.parametrize("name", ["missing", ".", "nul\0name"])
def test_what_is_no_image_is_refused_in_a_sentence(tmp_path, name: str) -> None:
    with pytest.raises(UserError):
        HostFile(f"{tmp_path}/{name}")


def test_reads_stop_at_the_end_and_writes_are_whole(tmp_path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"0123456789")
    with HostFile(path) as file:
        assert file.pread(100, 7) == b"789"
        file.pwrite(b"ab", 9)
        file.flush()
        assert file.size == 11
        file.truncate(4)
    assert path.read_bytes() == b"0123"
