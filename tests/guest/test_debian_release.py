import hashlib
import lzma
from datetime import UTC, datetime

import pytest

from guesthouse.errors import UserError
from guesthouse.guest import debian_release as debian

DIGEST = hashlib.sha256(b"list").hexdigest()
RELEASE = f"""Origin: Debian
Codename: trixie
Valid-Until: Sat, 12 Sep 2026 07:55:41 UTC
MD5Sum:
 00000000000000000000000000000000 4 main/binary-riscv64/Packages.gz
SHA256:
 {DIGEST} 4 main/binary-riscv64/Packages
 {DIGEST} 4 main/binary-riscv64/Packages.gz
"""
STANZA = (
    "Package: {0}\nVersion: {1}\nArchitecture: riscv64\nDepends: {2}\nFilename: pool/{0}_{1}.deb\nSize: 4\nSHA256: "
)
INDEX = "\n\n".join(
    STANZA.format(name, version, depends) + DIGEST
    for name, version, depends in [
        ("linux", "6.9-1", "kmod"),
        ("linux-image", "1", "a"),
        ("linux", "6.12~rc1-1", ""),
        ("linux", "6.12-1", "linux-6.12 (= 6.12-1), kmod (>= 3) | other, plain:any"),
    ]
).encode()


def test_a_release_vouches_for_files() -> None:
    release = debian.parse_release(RELEASE.encode())
    assert release.fields["Origin"] == "Debian"
    assert debian.choose_index(release, "main", "riscv64").path.endswith("Packages.gz")
    file = release.files["main/binary-riscv64/Packages"]
    assert debian.by_hash(file) == f"main/binary-riscv64/by-hash/SHA256/{DIGEST}"
    assert debian.unpack_index(b"list", file) == b"list"
    with pytest.raises(UserError, match="not what Debian signed"):
        debian.unpack_index(b"lisp", file)
    with pytest.raises(UserError, match="riscv32"):
        debian.choose_index(release, "main", "riscv32")
    with pytest.raises(UserError, match="no SHA-256"):
        debian.parse_release(b"<html>nothing</html>")


def test_a_release_must_be_of_the_suite_and_fresh() -> None:
    release = debian.parse_release(RELEASE.encode())
    debian.check_release(release, "trixie", datetime(2026, 1, 1, tzinfo=UTC))
    debian.check_release(release, "trixie", None)
    with pytest.raises(UserError, match="bookworm"):
        debian.check_release(release, "bookworm", None)
    with pytest.raises(UserError, match="expired"):
        debian.check_release(release, "trixie", datetime(2027, 1, 1, tzinfo=UTC))


def test_a_compressed_index_is_unpacked() -> None:
    data = lzma.compress(b"text")
    file = debian.Hashed("Packages.xz", len(data), hashlib.sha256(data).hexdigest())
    assert debian.unpack_index(data, file) == b"text"


def test_the_newest_or_the_named_version_is_chosen() -> None:
    assert [package.version for package in debian.find_packages(INDEX, "linux")] == ["6.12-1", "6.12~rc1-1", "6.9-1"]
    assert debian.choose_package(INDEX, "linux").file.path == "pool/linux_6.12-1.deb"
    assert debian.choose_package(INDEX, "linux", "6.9-1").version == "6.9-1"
    with pytest.raises(UserError, match=r"linux 7"):
        debian.choose_package(INDEX, "linux", "7")
    with pytest.raises(UserError, match="busybox"):
        debian.choose_package(INDEX, "busybox")


def test_dependencies() -> None:
    assert list(debian.dependencies(debian.choose_package(INDEX, "linux"))) == [
        ("linux-6.12", "6.12-1"),
        ("kmod", None),
        ("plain", None),
    ]


@pytest.mark.parametrize("change", [("Size: 4", "Size: x"), ("pool/linux", "../linux"), ("SHA256: ", "SHA256: z")])
def test_bad_entries_are_refused(change: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="mirror"):
        debian.find_packages(INDEX.decode().replace(*change).encode(), "linux")


@pytest.mark.parametrize(
    "older, newer",
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+b"),
        ("2.0-1", "1:0.1-1"),
        ("1.0-1", "1.0-1+b2"),
        ("1.0-1~deb12", "1.0-1"),
        ("6.12.94-1", "6.12.107-1"),
        ("1.0~~", "1.0~"),
    ],
)
def test_versions_are_ordered(older: str, newer: str) -> None:
    assert debian.compare_versions(older, newer) < 0 < debian.compare_versions(newer, older)
    assert debian.compare_versions(newer, newer) == 0
