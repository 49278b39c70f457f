import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.iso9660 import SECTOR, IsoWriter


def image(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    writer = IsoWriter(target, list(files), "sample")
    for name, data in files.items():
        writer.add(name, data)
    writer.finish()
    return target.getvalue()


def contents(data: bytes) -> dict[str, bytes]:
    """Files of the root folder, as a reader that knows the standard's tables only finds them."""
    descriptor = data[16 * SECTOR : 17 * SECTOR]
    assert descriptor[:7] == b"\x01CD001\x01"
    assert struct.unpack_from("<I", descriptor, 80)[0] * SECTOR == len(data)
    root, size = (struct.unpack_from("<I", descriptor, 156 + offset)[0] for offset in (2, 10))
    folder = data[root * SECTOR : root * SECTOR + size]
    found, position = {}, 0
    while position < len(folder):
        length = folder[position]
        if not length:
            position += SECTOR - position % SECTOR
            continue
        assert position // SECTOR == (position + length - 1) // SECTOR
        sector, size = (struct.unpack_from("<I", folder, position + at)[0] for at in (2, 10))
        assert struct.unpack_from(">I", folder, position + 6)[0] == sector
        name = folder[position + 33 : position + 33 + folder[position + 32]]
        if not folder[position + 25] & 2:
            found[name.decode().lower().removesuffix(";1").rstrip(".")] = data[sector * SECTOR : sector * SECTOR + size]
        position += length
    return found


MANY = {f"p{number:04}.deb": bytes([number % 256]) * (number * 37) for number in range(300)}


def test_files_are_found_again() -> None:
    small = {"b.txt": b"two", "a": b"", "c.deb": bytes(5000)}
    assert contents(image(small)) == small
    assert contents(image({})) == {}
    found = contents(image(MANY))
    assert found == MANY
    assert list(found) == sorted(MANY)


@pytest.mark.skipif(not shutil.which("bsdtar"), reason="the oracle is libarchive's bsdtar")
def test_another_reader_finds_them_too(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(image(MANY))
    (tmp_path / "out").mkdir()
    subprocess.run(["bsdtar", "-xf", "../image"], cwd=tmp_path / "out", check=True)
    found = {path.name.lower(): path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == MANY


@pytest.mark.parametrize("name", ["", "A", "toolongname", "a.long", "a/b", "..", "é", "a;1"])
def test_names_that_the_format_has_not_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"8\.3"):
        IsoWriter(io.BytesIO(), [name], "sample")


def test_what_was_announced_must_come_and_nothing_else() -> None:
    with pytest.raises(UserError, match=r"8\.3"):
        IsoWriter(io.BytesIO(), ["a", "a"], "sample")
    writer = IsoWriter(io.BytesIO(), ["a", "b"], "sample")
    writer.add("a", b"1")
    for name in ("a", "c"):
        with pytest.raises(UserError, match="not announced"):
            writer.add(name, b"")
    with pytest.raises(UserError, match="b has not come"):
        writer.finish()
