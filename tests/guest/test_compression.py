import bz2
import gzip
import lzma

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.compression import decompress, recognise

COMPRESSORS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("method", COMPRESSORS)
def test_every_method_gives_back_what_went_in(method: str) -> None:
    data = bytes(range(256)) * 9000
    packed = COMPRESSORS[method](data)
    assert recognise(packed) == (None if method == "lzma" else method)
    assert decompress(packed + b"\0\0\0\0", method, "It") == data


@pytest.mark.parametrize("method", COMPRESSORS)
def test_a_result_over_the_limit_is_refused(method: str) -> None:
    packed = COMPRESSORS[method](bytes(20 << 20))
    with pytest.raises(UserError, match="more than 2 MiB"):
        decompress(packed, method, "It", 2 << 20)
    assert len(decompress(packed, method, "It", 20 << 20)) == 20 << 20


@pytest.mark.parametrize("method", COMPRESSORS)
def test_truncated_data_is_refused(method: str) -> None:
    packed = COMPRESSORS[method](bytes(range(256)) * 100)
    for length in (1, 9, len(packed) // 2):
        with pytest.raises(UserError, match="damaged"):
            decompress(packed[:length], method, "It")


@given(st.sampled_from(sorted(COMPRESSORS)), st.binary(max_size=100))
def test_random_bytes_only_raise_a_user_error(method: str, data: bytes) -> None:
    magic = COMPRESSORS[method](b"")[:4]
    try:
        decompress(magic + data, method, "It")
    except UserError as error:
        assert str(error).startswith("It is")


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(UserError, match="lzo"):
        decompress(b"x", "lzo", "It")
