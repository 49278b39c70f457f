import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.guest import tiny
from guesthouse.guest.cpio import pack
from guesthouse.host.apt import Apt, Source
from guesthouse.host.settings import read_setting
from guesthouse.manager.pull import ensure_image, pull
from guesthouse.manager.pull_source import PullOptions, choose_mirrors
from guesthouse.manager.store import Image, ImageDefinition, ImageStore
from tests.host.signing import Key
from tests.host.web_server import Site, serve
from tests.manager.debian_mirror import publish
from tests.manager.notes import Notes

KEY = Key()


class Place:
    """A mirror, a store and options that touch nothing of the host."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.store = ImageStore(folder / "images")
        self.keyring = folder / "keyring.gpg"
        self.keyring.write_bytes(KEY.public)

    def options(self, **changes: object) -> PullOptions:
        defaults: dict[str, object] = {
            "keyring": self.keyring,
            "apt": Apt({"acquire::http::proxy": "DIRECT"}, (Source(self.site.url, ("trixie",), ("main",)),)),
            "environment": {},
            "folder": self.folder / "downloads",
            "settings": self.folder,
        }
        return PullOptions(**(defaults | changes))  # type: ignore[arg-type]

    def elsewhere(self, **changes: object) -> PullOptions:
        """Options on a host whose apt configuration names no mirror."""
        return self.options(apt=Apt({"acquire::http::proxy": "DIRECT"}), **changes)

    def pool_requests(self) -> list[str]:
        return [path for path, _ in self.site.requests if path.startswith("/pool/")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with serve() as site:
        publish(site, KEY)
        yield Place(site, tmp_path)


def test_the_image_is_built_and_progress_is_told(place: Place) -> None:
    notes = Notes()
    image = pull("tiny", place.store, place.options(), notes)
    assert image == place.store.get("tiny")
    assert image.initrd is not None
    assert image.initrd.read_bytes().startswith(pack([])[:6])
    assert image.definition.packages == {"linux-image-6.1-1-riscv64": "6.1-1", "busybox-static": "1:1.37-1"}
    assert image.definition.recipe == tiny.RECIPE
    assert [label for label, _, _ in notes.steps][2:] == ["linux-image-6.1-1-riscv64", "busybox-static", "Building"]
    assert all(total == done for _, total, done in notes.steps if total is not None)
    assert list((place.folder / "downloads").iterdir()) == []
    assert read_setting("mirror", place.folder) is None


def test_a_second_pull_downloads_nothing_until_there_is_something_new(place: Place) -> None:
    first = pull("tiny", place.store, place.options())
    place.site.requests.clear()
    notes = Notes()
    assert pull("tiny", place.store, place.options(), notes) == first
    assert place.pool_requests() == []
    assert notes.notes == ["Image 'tiny' is up to date."]
    publish(place.site, KEY, "6.2-1")
    newer = pull("tiny", place.store, place.options())
    assert newer.definition.packages["linux-image-6.2-1-riscv64"] == "6.2-1"


def test_two_at_once_build_once(place: Place) -> None:
    found: list[Image] = []
    threads = [
        threading.Thread(target=lambda: found.append(pull("tiny", place.store, place.options()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert len(place.pool_requests()) == 2


def test_a_wrong_package_stores_nothing(place: Place) -> None:
    path = next(path for path in place.site.files if "busybox" in path)
    place.site.files[path] = bytes(len(place.site.files[path]))
    with pytest.raises(UserError, match="not what it should be"):
        pull("tiny", place.store, place.options())
    assert place.store.get("tiny") is None


def test_a_key_that_is_not_in_the_keyring_stores_nothing(place: Place) -> None:
    place.keyring.write_bytes(Key().public)
    with pytest.raises(UserError, match="not signed by a key"):
        pull("tiny", place.store, place.options())
    assert place.store.names() == []
    assert place.pool_requests() == []


def test_the_mirror_is_chosen_in_order(place: Place) -> None:
    environment = {"GUESTHOUSE_MIRROR": "http://env.example/debian/"}
    assert choose_mirrors(place.options(mirror="http://opt.example/", environment=environment)) == [
        "http://opt.example"
    ]
    assert choose_mirrors(place.options(environment=environment)) == ["http://env.example/debian"]
    assert choose_mirrors(place.options()) == [place.site.url]
    assert choose_mirrors(place.elsewhere(ask=lambda question: " http://said.example/ ")) == ["http://said.example"]
    for options in (place.elsewhere(), place.elsewhere(ask=lambda question: "")):
        with pytest.raises(UserError, match="--mirror URL or GUESTHOUSE_MIRROR"):
            choose_mirrors(options)


def test_what_was_asked_is_remembered_once_it_worked(place: Place) -> None:
    with pytest.raises(UserError):
        pull("tiny", place.store, place.elsewhere(ask=lambda question: place.site.url + "/wrong"))
    assert read_setting("mirror", place.folder) is None
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return place.site.url

    pull("tiny", place.store, place.elsewhere(ask=ask))
    pull("tiny", place.store, place.elsewhere(ask=ask, keyring=None))
    assert len(questions) == 1
    assert "\n" not in questions[0]
    assert choose_mirrors(place.elsewhere()) == [place.site.url]


def test_ensure_builds_only_what_is_missing_or_outdated(place: Place) -> None:
    image = ensure_image("tiny", place.store, place.options())
    count = len(place.site.requests)
    assert ensure_image("tiny", place.store, place.options()) == image
    assert len(place.site.requests) == count
    place.store.put(ImageDefinition("tiny", "", recipe=tiny.RECIPE - 1), {"kernel": b"old"})
    assert ensure_image("tiny", place.store, place.options()) == image
    (image.folder / "image.json").write_text("damaged")
    assert ensure_image("tiny", place.store, place.options()) == image
    own = place.store.put(ImageDefinition("own", ""), {"kernel": b"k"})
    assert ensure_image("own", place.store, place.options()) == own


def test_unknown_images_are_a_sentence(place: Place) -> None:
    with pytest.raises(UserError, match="no recipe"):
        pull("huge", place.store, place.options())
    with pytest.raises(UserError, match="no image 'huge'"):
        ensure_image("huge", place.store, place.options())
