"""Foreign formats beside qemu-img, both ways, on generated contents; damaged images end in one sentence."""

import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.manager import disks
from guesthouse.virtual.storage.block import read
from guesthouse.virtual.storage.copying import SPARSE
from guesthouse.virtual.storage.crc32c import crc32c
from guesthouse.virtual.storage.formats import open_disk, probe

SIZE = (9 << 20) + 3 * 512
READ = {
    "vmdk": ["monolithicSparse", "streamOptimized", "monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse"],
    "vdi": ["static=off", "static=on"],
    "vpc": ["dynamic,force_size=on", "fixed,force_size=on"],
    "vhdx": ["dynamic", "fixed"],
}
WRITTEN = {
    "vmdk": ["monolithicSparse", "streamOptimized"],
    "vdi": ["dynamic", "fixed"],
    "vpc": ["dynamic", "fixed"],
    "raw": [None],
}
needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed (qemu-utils)")


def pairs(table: dict[str, list]) -> list:
    return [(kind, option) for kind, options in table.items() for option in options]


def content(seed: int, size: int = SIZE) -> bytes:
    chance = random.Random(seed)
    data = bytearray(size)
    for _ in range(20):
        start = chance.randrange(0, size // 512 - 80) * 512
        length = chance.randrange(1, 80) * 512
        data[start : start + length] = chance.randbytes(length)
    return bytes(data)


def qemu_img(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, timeout=60, check=False)


def convert(source: Path, target: Path, kind: str, options: dict[str, str] | None = None) -> None:
    image = open_disk(str(source))
    try:
        disks.convert(image, target, kind, options or {}, SPARSE, lambda amount: None)
    finally:
        image.close()


@needs_qemu_img
@pytest.mark.parametrize(("kind", "option"), pairs(READ))
def test_what_qemu_img_wrote_is_read(tmp_path: Path, kind: str, option: str) -> None:
    raw, image, back = tmp_path / "a.raw", tmp_path / f"a.{kind}", tmp_path / "back.raw"
    raw.write_bytes(content(1))
    option = option if "=" in option.partition(",")[0] else f"subformat={option}"
    assert qemu_img("convert", "-f", "raw", "-O", kind, "-o", option, raw, image).returncode == 0
    assert probe(str(image)) == kind
    convert(image, back, "raw")
    assert back.read_bytes() == raw.read_bytes()
    report = disks.check(image, None, False)
    assert report is not None and report.corruptions == report.leaks == 0


@needs_qemu_img
@pytest.mark.parametrize(("kind", "option"), pairs(WRITTEN))
def test_what_we_wrote_is_read_by_qemu_img(tmp_path: Path, kind: str, option: str | None) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / f"b.{kind}"
    raw.write_bytes(content(2))
    convert(raw, image, kind, {"subformat": option} if option else {})
    compared = qemu_img("compare", "-f", kind, "-F", "raw", image, raw)
    assert (compared.returncode, compared.stdout) == (0, b"Images are identical.\n")  # it would warn of other sizes
    assert qemu_img("check", "-f", kind, image).returncode in (0, 63)  # 63: it has no check for the format


@pytest.mark.parametrize(("kind", "option"), pairs(WRITTEN))
def test_what_we_wrote_we_read(tmp_path: Path, kind: str, option: str | None) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / f"b.{kind}"
    raw.write_bytes(content(3))
    convert(raw, image, kind, {"subformat": option} if option else {})
    opened = open_disk(str(image))
    assert opened.size == SIZE
    assert read(opened, 0, SIZE) == raw.read_bytes()
    covered = list(opened.extents(0, SIZE))
    assert sum(extent.length for extent in covered) == SIZE
    assert all(a.offset + a.length == b.offset for a, b in pairwise(covered))
    opened.close()


@pytest.mark.parametrize(("kind", "option"), pairs(WRITTEN))
def test_an_empty_image_is_all_zeros(tmp_path: Path, kind: str, option: str | None) -> None:
    image = tmp_path / "empty"
    disks.create(image, kind, SIZE, {"subformat": option} if option else {})
    opened = open_disk(str(image), kind)
    assert read(opened, 0, SIZE) == bytes(SIZE)
    opened.close()


@pytest.mark.parametrize(("kind", "option"), [pair for pair in pairs(WRITTEN) if pair[0] != "raw"])
def test_damaged_images_end_in_a_sentence(tmp_path: Path, kind: str, option: str) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "b"
    raw.write_bytes(content(4, 2 << 20))
    convert(raw, image, kind, {"subformat": option})
    sound, chance, refused = image.read_bytes(), random.Random(5), 0
    for turn in range(150):
        data = bytearray(sound if turn % 3 else sound[: chance.randrange(len(sound))])
        for _ in range(chance.randrange(1, 6)):
            if data:
                at = chance.randrange(min(len(data), 2048))
                data[at : at + 4] = chance.choice([b"\xff" * 4, bytes(4), chance.randbytes(4)])
        image.write_bytes(data)
        refused += not opens(image, kind)
    assert refused > 5


def opens(path: Path, kind: str) -> bool:
    """Whether an image can be read; everything but the two exceptions of the contract is a defect."""
    try:
        image = open_disk(str(path), kind)
    except UserError:
        return False
    try:
        image.check()  # type: ignore[attr-defined]
        list(image.extents(0, min(image.size, 16 << 20)))
        read(image, 0, min(image.size, 4 << 20))
    except OSError:
        return False
    finally:
        image.close()
    return True


@needs_qemu_img
def test_damaged_vhdx_images_end_in_a_sentence(tmp_path: Path) -> None:
    image = tmp_path / "a.vhdx"
    assert qemu_img("create", "-f", "vhdx", image, "8M").returncode == 0
    sound, chance, refused = image.read_bytes(), random.Random(6), 0
    for _ in range(60):
        data = bytearray(sound)
        places = [0, 64 << 10, 128 << 10, 192 << 10, 256 << 10, 2 << 20, 3 << 20, (2 << 20) + (64 << 10)]
        for place in chance.sample(places, 4):
            at = place + chance.randrange(64)
            data[at : at + 4] = chance.choice([b"\xff" * 4, chance.randbytes(4)])
        image.write_bytes(data)
        refused += not opens(image, "vhdx")
    assert refused > 5


def test_an_extent_outside_the_folder_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "a.vmdk"
    image.write_text('# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 8 FLAT "../../etc/passwd" 0\n')
    with pytest.raises(UserError, match="outside its folder"):
        open_disk(str(image))


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_a_target_that_fails_leaves_nothing(tmp_path: Path) -> None:
    raw, target = tmp_path / "a.raw", tmp_path / "b.vmdk"
    raw.write_bytes(content(7))
    target.write_bytes(b"as it was")
    image = open_disk(str(raw))

    def interrupt(amount: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        disks.convert(image, target, "vmdk", {}, SPARSE, interrupt)
    image.close()
    assert target.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.raw", "b.vmdk"]


def test_a_disk_in_use_is_not_replaced_and_not_resized(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4096))
    image = open_disk(str(path), "raw", readonly=False)
    with pytest.raises(UserError, match="in use"):
        disks.create(path, "raw", 8192, {})
    with pytest.raises(UserError, match="in use"):
        disks.resize(path, "raw", "+1M", False)
    image.close()
    with pytest.raises(UserError, match="--shrink"):
        disks.resize(path, "raw", "512", False)
    assert disks.resize(path, "raw", "+1M", False) == 4096 + (1 << 20)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("1", 512), ("1.5k", 1536), ("2M", 2 << 20), ("1g", 1 << 30)])
def test_sizes(text: str, size: int) -> None:
    assert disks.size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "9999999E", "1e400"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="is no size"):
        disks.size_in_bytes(text)
