import shutil
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Disk
from guesthouse.manager import guests
from guesthouse.manager.store import Image, ImageDefinition, ImageStore


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def image() -> Image:
    definition = ImageDefinition(name="little", kernel="", append="quiet", description="a test")
    return ImageStore().put(definition, {"kernel": b"the kernel", "initrd": b"the initrd"})


def test_a_guest_is_a_folder_that_may_be_copied(image: Image, tmp_path: Path) -> None:
    guests.create("one", image, {"memory": "256M", "append": "debug", "command": ("ls",)})
    assert guests.names() == ["one"]
    guest = guests.load("one")
    assert (guest.name, guest.image, guest.memory, guest.append, guest.command) == (
        "one", "little", "256M", "quiet debug", (),
    )  # fmt: skip
    assert Path(guest.kernel).read_bytes() == b"the kernel"
    shutil.copytree(Path(guest.kernel).parent, tmp_path / "elsewhere")
    shutil.rmtree(guests.guests_folder().parent)
    moved = guests.load_path(tmp_path / "elsewhere")
    assert Path(moved.initrd).read_bytes() == b"the initrd" and moved.initrd.startswith(str(tmp_path))
    assert guests.load_path(tmp_path / "elsewhere" / "guest.toml") == moved


def test_the_user_s_own_files_stay_where_they_are(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    guests.create("one", image, {"disks": (Disk(file="mine.img"),)})
    assert guests.load("one").disks[0].file == str(tmp_path / "mine.img")


def test_a_guest_of_an_image_with_a_disk_gets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").write_bytes(b"base")
    image = ImageStore().put(ImageDefinition("whole", ""), {"kernel": b"k", "disk": tmp_path / "made"})
    guests.create("one", image, {"disks": (Disk(file="mine.img"),)})
    own, mine = guests.load("one").disks
    assert mine.file == str(tmp_path / "mine.img")
    assert Path(own.file).parent == guests.guests_folder() / "one"
    Path(own.file).write_bytes(b"changed")
    assert image.disk is not None
    assert image.disk.read_bytes() == b"base"


def test_an_image_may_be_replaced_below_a_guest(image: Image) -> None:
    guests.create("one", image, {})
    ImageStore().put(image.definition, {"kernel": b"a newer kernel"})
    ImageStore().put(image.definition, {"kernel": b"the newest kernel"})
    assert Path(guests.load("one").kernel).read_bytes() == b"the kernel"


def test_a_guest_that_can_t_be_made_leaves_nothing(image: Image) -> None:
    image.kernel.unlink()
    with pytest.raises(UserError, match="kernel"):
        guests.create("one", image, {})
    assert not list(guests.guests_folder().iterdir()) and guests.names() == []


def test_removing_is_for_good(image: Image) -> None:
    guests.create("one", image, {})
    guests.remove("one")
    assert not list(guests.guests_folder().iterdir())
    for action in (guests.remove, guests.load):
        with pytest.raises(UserError, match="no guest 'one'"):
            action("one")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65])
def test_names_are_plain(name: str, image: Image) -> None:
    with pytest.raises(UserError, match="can't be a guest's name"):
        guests.create(name, image, {})


def test_a_definition_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "guest.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(UserError, match="UTF-8"):
        guests.load_path(tmp_path)
    with pytest.raises(UserError, match="no definition"):
        guests.load_path(tmp_path / "nothing.toml")
