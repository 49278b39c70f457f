from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.debian_release import choose_package
from guesthouse.host.download import Downloader
from guesthouse.host.signature import read_keyring
from guesthouse.manager.debian_archive import Archive, fetch_package, forget_download, open_archive
from guesthouse.manager.progress import SilentProgress
from tests.host.signing import Key
from tests.host.web_server import Site, serve
from tests.manager.debian_mirror import FOLDER, publish

KEY = Key()
DOWNLOADER = Downloader(lambda url: "DIRECT", timeout=5, sleep=lambda _: None)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        publish(site, KEY)
        yield site


def opened(site: Site, folder: Path, mirrors: list[str] | None = None) -> Archive:
    keyring = folder / "keyring.gpg"
    keyring.write_bytes(KEY.public)
    roots = [site.url] if mirrors is None else mirrors
    return open_archive(roots, "trixie", "riscv64", read_keyring(keyring), DOWNLOADER, SilentProgress(), None)


@pytest.mark.parametrize("by_hash", [True, False])
def test_packages_come_by_the_chain_of_hashes(tmp_path: Path, by_hash: bool) -> None:
    with serve() as site:
        publish(site, KEY, by_hash=by_hash)
        archive = opened(site, tmp_path)
        package = choose_package(archive.index, "busybox-static")
        data = fetch_package(archive, package, tmp_path, DOWNLOADER, SilentProgress())
        assert data == site.files[package.file.path]
    forget_download(package, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.gpg"]


def test_the_first_mirror_that_answers_is_used(site: Site, tmp_path: Path) -> None:
    assert opened(site, tmp_path, [f"{site.url}/nowhere", "http://127.0.0.1:1", site.url]).mirror == site.url
    with pytest.raises(UserError, match="404"):
        opened(site, tmp_path, [f"{site.url}/nowhere"])
    with pytest.raises(UserError, match="--mirror"):
        opened(site, tmp_path, [])


def test_a_wrong_signature_ends_it(site: Site, tmp_path: Path) -> None:
    site.files[f"{FOLDER}/InRelease"] = site.files[f"{FOLDER}/InRelease"].replace(b"stable", b"static")
    with pytest.raises(UserError, match="not signed"):
        opened(site, tmp_path)


def test_a_wrong_package_list_ends_it(site: Site, tmp_path: Path) -> None:
    path = next(path for path in site.files if "by-hash" in path)
    site.files[path] = bytes(len(site.files[path]))
    with pytest.raises(UserError, match="not what Debian signed"):
        opened(site, tmp_path)
