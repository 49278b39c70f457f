import hashlib
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.manager.store import ImageDefinition, ImageStore


def test_an_image_is_stored_and_read_back(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    assert store.names() == []
    assert store.get("tiny") is None
    definition = ImageDefinition("tiny", "", append="quiet", packages={"linux": "6"}, recipe=3)
    with store.lock("tiny"):
        stored = store.put(definition, {"kernel": b"k", "initrd": b"i"})
    image = store.get("tiny")
    assert image == stored
    assert image is not None and image.initrd is not None
    assert (image.kernel.read_bytes(), image.initrd.read_bytes()) == (b"k", b"i")
    assert (image.definition.append, image.definition.packages, image.definition.recipe) == ("quiet", {"linux": "6"}, 3)
    assert store.names() == ["tiny"]


def test_an_image_without_initrd(tmp_path: Path) -> None:
    assert ImageStore(tmp_path).put(ImageDefinition("a", ""), {"kernel": b"k"}).initrd is None


def test_a_replaced_image_stays_whole_for_those_who_have_just_read_it(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    images = [store.put(ImageDefinition("a", ""), {"kernel": data}) for data in (b"1", b"2", b"3")]
    assert not images[0].kernel.exists()
    assert images[1].kernel.read_bytes() == b"2"
    assert store.get("a") == images[2]


def test_the_same_image_again_changes_nothing(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    for _ in range(2):
        image = store.put(ImageDefinition("a", ""), {"kernel": b"1"})
    assert sorted(path.name for path in image.folder.iterdir()) == ["image.json", image.definition.kernel]


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "UPPER", "x" * 65, "a\n"])
def test_names_that_are_no_folder_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        ImageStore(tmp_path).get(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"name": "a", "kernel": "../../etc/passwd"}',
        '{"name": "a", "kernel": "kernel-0123456789abcdef", "format": 2}',
        '{"name": "a", "kernel": "kernel-0123456789abcdef", "unknown": 2}',
    ],
)
def test_damaged_definitions_are_refused_and_can_be_replaced(tmp_path: Path, text: str) -> None:
    store = ImageStore(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "image.json").write_text(text)
    with pytest.raises(UserError, match="guesthouse pull a"):
        store.get("a")
    store.put(ImageDefinition("a", ""), {"kernel": b"1"})
    assert store.names() == ["a"]


def test_a_disk_moves_into_the_store(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    with store.workplace() as folder:
        (folder / "made").write_bytes(b"disk")
        image = store.put(ImageDefinition("a", ""), {"kernel": b"1", "disk": folder / "made"})
    assert image.disk is not None
    assert image.disk.read_bytes() == b"disk"
    assert image.disk.name == "disk-" + hashlib.sha256(b"disk").hexdigest()[:16]
    assert store.get("a") == image
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    replaced = store.put(ImageDefinition("a", ""), {"kernel": b"2"})
    assert replaced.disk is None
