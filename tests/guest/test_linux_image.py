import gzip

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.linux_image import is_zboot, parse_image_header, unpack_zboot
from tests.guest.packages import linux_image, zboot


def test_header_of_a_boot_image() -> None:
    header = parse_image_header(linux_image(text_offset=0x400000, image_size=0x12345))
    assert header is not None
    assert (header.text_offset, header.image_size) == (0x400000, 0x12345)


def test_an_image_is_never_smaller_than_its_file() -> None:
    data = linux_image(bytes(100), image_size=0)
    header = parse_image_header(data)
    assert header is not None
    assert header.image_size == len(data)


def test_anything_else_is_no_image() -> None:
    assert parse_image_header(bytes(1000)) is None
    assert parse_image_header(b"short") is None


@pytest.mark.parametrize("position, text", [(56, b"ARM\x64"), (0x202, b"HdrS")])
def test_kernels_of_other_processors_are_named_so(position: int, text: bytes) -> None:
    with pytest.raises(UserError, match="another processor"):
        parse_image_header(bytes(position) + text + bytes(500))


def test_damaged_headers_are_refused() -> None:
    big_endian = bytearray(linux_image())
    big_endian[24] = 1
    with pytest.raises(UserError, match="endian"):
        parse_image_header(bytes(big_endian))
    with pytest.raises(UserError, match="sense"):
        parse_image_header(linux_image(image_size=1 << 60))


def test_zboot() -> None:
    data = zboot(gzip.compress(b"inner"), b"gzip")
    assert is_zboot(data)
    assert unpack_zboot(data) == b"inner"
    for damaged in (data[:30], data[:70], zboot(b"x", b"lzo")):
        with pytest.raises(UserError):
            unpack_zboot(damaged)
