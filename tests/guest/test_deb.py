import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.deb import ar_members, read_control, read_files
from tests.guest.packages import ar, deb


@pytest.mark.parametrize("compression", ["xz", "gz", "zst", ""])
def test_control_and_files(compression: str) -> None:
    package = deb({"bin/a": b"one", "bin/b": b"two", "etc/c": b""}, "Package: x\nVersion: 1\n", compression)
    assert read_control(package) == "Package: x\nVersion: 1\n"
    assert read_files(package, lambda path: path.startswith("bin/")) == {"bin/a": b"one", "bin/b": b"two"}


def test_members_of_odd_length() -> None:
    assert {name: bytes(data) for name, data in ar_members(ar({"a": b"x", "b": b"yy"})).items()} == {
        "a": b"x",
        "b": b"yy",
    }


@pytest.mark.parametrize("data", [b"", b"<html>", ar({"data.tar.lz4": b"x"}), deb({"a": b"x" * 999})[:-40]])
def test_what_is_no_package_is_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        read_files(data, lambda path: True)


@given(st.data())
def test_damaged_packages_are_read_or_refused(data: st.DataObject) -> None:
    blob = bytearray(deb({"a": b"content"}, compression=data.draw(st.sampled_from(["xz", "gz", "zst", ""]))))
    for _ in range(data.draw(st.integers(1, 5))):
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert isinstance(read_files(bytes(blob), lambda path: True), dict)
    except UserError as error:
        assert "package" in str(error)
