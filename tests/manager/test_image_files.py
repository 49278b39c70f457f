import tarfile
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
import zstandard

from guesthouse.errors import UserError
from guesthouse.manager.image_files import export_image, import_image, remove_image
from guesthouse.manager.store import Image, ImageDefinition, ImageStore


@pytest.fixture
def image(tmp_path: Path) -> Image:
    definition = ImageDefinition(name="little", kernel="", append="quiet", packages={"a": "1"})
    return ImageStore(tmp_path / "store").put(definition, {"kernel": bytes(3 << 20) + b"k", "initrd": b"the initrd"})


@pytest.fixture
def other(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "other")


def test_an_image_moves_to_another_store(image: Image, other: ImageStore, tmp_path: Path) -> None:
    steps: list[int] = []
    export_image(image, tmp_path / "little.image", steps.append)
    assert sum(steps) >= (3 << 20) + 11
    found = import_image(tmp_path / "little.image", other)
    assert found.definition == image.definition
    assert found.kernel.read_bytes() == image.kernel.read_bytes()
    assert found.kernel.stat().st_blocks * 512 < 1 << 20, "zeros are holes"
    with pytest.raises(UserError, match="an image 'little' already"):
        import_image(tmp_path / "little.image", other)
    import_image(tmp_path / "little.image", other, "second")
    assert other.names() == ["little", "second"]
    remove_image(other, "little")
    assert other.names() == ["second"]
    with pytest.raises(UserError, match="no image 'little'"):
        remove_image(other, "little")


def test_two_exports_are_the_same(image: Image, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_image(image, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def packed(*files: tuple[str, bytes], link: bool = False) -> bytes:
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            if link and name != "image.json":
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
            tar.addfile(entry, BytesIO(data))
    return zstandard.ZstdCompressor().compress(archive.getvalue())


DEFINITION = msgspec.json.encode(ImageDefinition(name="bad", kernel="kernel-0123456789abcdef"))


@pytest.mark.parametrize(
    "data, wanted",
    [
        (b"", "no image"),
        (b"garbage", "no image"),
        (packed(("other", b"")), "first file is not"),
        (packed(("image.json", b"{}")), "definition .* is wrong"),
        (packed(("image.json", DEFINITION)), "ends before its file"),
        (packed(("image.json", DEFINITION), ("kernel-0123456789abcdef", b"wrong")), "is damaged"),
        (packed(("image.json", DEFINITION), ("kernel-0123456789abcdef", b""), link=True), "does not name"),
        (packed(("image.json", DEFINITION), ("../../evil", b"x")), "does not name"),
        (packed(("image.json", DEFINITION.replace(b'"bad"', b'"../bad"'))), "can't be an image's name"),
    ],
)
def test_what_is_no_image_leaves_nothing(data: bytes, wanted: str, other: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(UserError, match=wanted):
        import_image(tmp_path / "file", other)
    assert not list(other.folder.glob("*")) and not list(other.folder.glob(".*"))


def test_every_cut_is_noticed(image: Image, other: ImageStore, tmp_path: Path) -> None:
    export_image(image, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for length in range(0, len(whole) - 20, len(whole) // 40 + 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(UserError):
            import_image(tmp_path / "cut", other)
    assert not list(other.folder.glob("*")) and not list(other.folder.glob(".*"))
