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
        first, second = bytearray(2), bytearray(100)
        assert file.preadv([memoryview(first), memoryview(second)], 7) == 3
        assert first == b"78" and second.startswith(b"9\0")
        file.pwritev([b"a", memoryview(b"b")], 9)
        file.flush()
        assert file.size == 11
        file.truncate(4)
    assert path.read_bytes() == b"0123"


def test_more_buffers_than_a_system_call_takes(tmp_path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4))
    buffers = [bytes((number % 251,)) for number in range(3000)]
    with HostFile(path) as file:
        file.pwritev(buffers, 1)
        back = bytearray(3000)
        assert file.preadv([memoryview(back)[place : place + 1] for place in range(3000)], 1) == 3000
    assert bytes(back) == b"".join(buffers)


def test_holes_are_told_from_data(tmp_path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 16)
        file.write(b"x" * 4096)
    with HostFile(path) as file:
        assert list(file.data_ranges(0, 1 << 20)) == [(1 << 16, (1 << 16) + 4096)]
        assert list(file.data_ranges(1 << 19, 1 << 19)) == []
