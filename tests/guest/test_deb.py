import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.deb import ar_members, loosen, read_control, read_files
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


@pytest.mark.parametrize("compression", ["xz", "gz", "zst", ""])
def test_a_loosened_package_holds_the_same_uncompressed(compression: str) -> None:
    package = deb({"bin/a": b"one" * 1001, "etc/c": b""}, "Package: x\nVersion: 1\n", compression)
    loose = loosen(package)
    assert list(ar_members(loose)) == ["debian-binary", "control.tar", "data.tar"]
    assert read_control(loose) == read_control(package)
    assert read_files(loose, lambda path: True) == {"bin/a": b"one" * 1001, "etc/c": b""}
    assert loosen(loose) == loose


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="the oracle is Debian's dpkg-deb")
def test_dpkg_reads_a_loosened_package(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(loosen(deb({"bin/a": b"one"}, "Package: x\nVersion: 1\nArchitecture: all\n")))
    shown = subprocess.run(["dpkg-deb", "-W", tmp_path / "a.deb"], capture_output=True, text=True, check=True).stdout
    assert shown == "x\t1\n"
    subprocess.run(["dpkg-deb", "-x", tmp_path / "a.deb", tmp_path / "out"], check=True)
    assert (tmp_path / "out" / "bin" / "a").read_bytes() == b"one"


@pytest.mark.parametrize("data", [b"", ar({"data.tar.lz4": b"x"}), deb({"a": b"x" * 999})[:-40]])
def test_a_damaged_package_is_not_loosened(data: bytes) -> None:
    with pytest.raises(UserError):
        loosen(data)
