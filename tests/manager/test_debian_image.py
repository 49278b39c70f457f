import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from guesthouse.errors import UserError
from guesthouse.guest import debian_system
from guesthouse.guest.guest_file import Disk
from guesthouse.host.apt import Apt, Source
from guesthouse.manager import debian_image
from guesthouse.manager.progress import Progress
from guesthouse.manager.pull import pull
from guesthouse.manager.pull_source import PullOptions
from guesthouse.manager.store import ImageStore
from tests.guest.packages import deb
from tests.host.signing import Key
from tests.host.web_server import Site, serve
from tests.manager.debian_mirror import publish
from tests.manager.notes import Notes

KEY = Key()
LIBRARIES = debian_system.LIBRARY_FOLDER
SYSTEM = {name: deb({f"usr/share/{name}": name.encode()}) for name in (*debian_system.PACKAGES, "dpkg", "base-files")}
SYSTEM |= {name: deb({f"{LIBRARIES}/{name}.so.1": b"library"}) for name in debian_system.MKE2FS_PACKAGES}


class Place:
    """A mirror and a store, and an installer that only writes a word onto the disk."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.store = ImageStore(folder / "images")
        self.failure: Exception | None = None
        self.installed: list[tuple[Disk, ...]] = []
        self.packages = b""
        (folder / "keyring.gpg").write_bytes(KEY.public)
        self.options = PullOptions(
            keyring=folder / "keyring.gpg",
            apt=Apt({"acquire::http::proxy": "DIRECT"}, (Source(site.url, ("trixie",), ("main",)),)),
            environment={},
            folder=folder / "downloads",
            settings=folder,
        )

    def install(
        self, kernel: Path, initrd: Path, disks: tuple[Disk, ...], packages: int, log: Path, progress: Progress
    ) -> None:
        assert kernel.read_bytes() and initrd.read_bytes()
        self.installed.append(disks)
        self.packages = Path(disks[1].file).read_bytes()
        with open(disks[0].file, "r+b") as disk:
            disk.write(b"half")
            if self.failure:
                raise self.failure

    def requests(self) -> int:
        return sum(path.startswith("/pool/") for path, _ in self.site.requests)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(debian_image, "DISK_SIZE", 1 << 20)
    with serve() as site:
        publish(site, KEY, more=SYSTEM)
        made = Place(site, tmp_path)
        monkeypatch.setattr(debian_image, "install", made.install)
        yield made


def test_the_image_is_fetched_installed_and_stored(place: Place) -> None:
    notes = Notes()
    image = pull("debian", place.store, place.options, notes)
    assert image.disk is not None
    assert image.disk.read_bytes() == b"half" + bytes((1 << 20) - 4)
    assert image.initrd is not None
    assert image.definition.append.startswith("root=/dev/vda")
    assert image.definition.packages.keys() == {*SYSTEM, "busybox-static", "linux-image-6.1-1-riscv64"}
    ((target, packages),) = place.installed
    assert (target.readonly, packages.readonly) == (False, True)
    assert place.site.url.encode() in place.packages
    assert all(f"usr/share/{name}".encode() in place.packages for name in ("apt", "dpkg", "systemd-sysv"))
    assert os.listdir(place.folder / "downloads") == []
    assert set(os.listdir(place.store.folder)) == {".debian.lock", "debian"}
    label, total, done = notes.steps[3]
    assert label == f"{len(SYSTEM) + 2} packages"
    assert total == done


def test_the_image_s_apt_gets_updates_where_the_host_s_does(place: Place) -> None:
    source = f"URIs: {place.site.url}\nSuites: {{}}\nComponents".format
    pull("debian", place.store, place.options)
    assert source("trixie").encode() in place.packages
    for suite in ("updates", "security"):
        place.site.files[f"dists/trixie-{suite}/InRelease"] = b"signed"
    apt = place.options.apt
    security = Source(place.site.url + "/", ("trixie-security",), ("main",))
    options = msgspec.structs.replace(place.options, apt=Apt(apt.options, (*apt.sources, security)))
    publish(place.site, KEY, "6.2-1", more=SYSTEM)
    pull("debian", place.store, options)
    assert source("trixie trixie-updates trixie-security").encode() in place.packages


def test_a_second_pull_does_nothing_until_a_package_is_newer(place: Place) -> None:
    first = pull("debian", place.store, place.options)
    before, notes = place.requests(), Notes()
    assert pull("debian", place.store, place.options, notes) == first
    assert (place.requests(), len(place.installed)) == (before, 1)
    assert notes.notes == ["Image 'debian' is up to date."]
    publish(place.site, KEY, "6.2-1", more=SYSTEM)
    assert pull("debian", place.store, place.options).definition.packages["linux-image-6.2-1-riscv64"] == "6.2-1"


@pytest.mark.parametrize("failure", [UserError("The installation failed."), KeyboardInterrupt()])
def test_a_broken_off_installation_leaves_the_old_image_and_the_downloads(place: Place, failure: BaseException) -> None:
    place.failure = failure  # type: ignore[assignment]
    with pytest.raises(type(failure)):
        pull("debian", place.store, place.options)
    assert place.store.get("debian") is None
    assert not any(name.startswith(".new-") for name in os.listdir(place.store.folder))
    place.failure = None
    before = place.requests()
    assert pull("debian", place.store, place.options).disk is not None
    assert place.requests() == before


def test_a_wrong_package_stores_nothing(place: Place) -> None:
    path = next(path for path in place.site.files if "systemd-sysv" in path)
    place.site.files[path] = bytes(len(place.site.files[path]))
    with pytest.raises(UserError, match="digest differs"):
        pull("debian", place.store, place.options)
    assert place.installed == []
    assert place.store.get("debian") is None
