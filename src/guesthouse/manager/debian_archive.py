"""Debian's archive through a mirror, believed only as far as Debian's signature reaches.

The chain: keyring -> InRelease -> hash of the package list -> hash of each package.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec
from pysequoia import Cert

from guesthouse.errors import UserError
from guesthouse.guest import debian_release as debian
from guesthouse.host.download import Downloader, NotThere, shown
from guesthouse.host.signature import verify_signed_text
from guesthouse.host.user_folders import read_file, remove_file
from guesthouse.manager.progress import Progress

RELEASE_LIMIT = 16 << 20
COMPONENT = "main"
AT_A_TIME = 4
"""Downloads: more would be unkind to a mirror."""


class Archive(msgspec.Struct, frozen=True):
    """A verified suite of one mirror: the mirror's root, and the package list of one architecture."""

    mirror: str
    index: bytes


def open_archive(
    mirrors: Sequence[str],
    suite: str,
    architecture: str,
    certificates: Sequence[Cert],
    downloader: Downloader,
    progress: Progress,
    now: datetime | None,
) -> Archive:
    """The suite from the first of the mirrors that has it.

    Raises UserError where none can be reached; a wrong signature or hash ends it at once. `now` is for the expiry.
    """
    progress.begin("Release file", None)
    mirror, signed = _first_release(mirrors, suite, downloader, progress)
    text = verify_signed_text(signed, certificates, f"The Release file of {shown(mirror)}")
    release = debian.parse_release(text)
    debian.check_release(release, suite, now)
    file = debian.choose_index(release, COMPONENT, architecture)
    progress.begin("Package list", file.size)
    folder = f"{mirror}/dists/{suite}"
    paths = [file.path]
    if release.fields.get("Acquire-By-Hash") == "yes":
        paths.insert(0, debian.by_hash(file))
    data = _first_of([f"{folder}/{path}" for path in paths], file.size, downloader, progress)
    return Archive(mirror, debian.unpack_index(data, file))


def fetch_package(
    archive: Archive, package: debian.Package, folder: Path, downloader: Downloader, progress: Progress
) -> bytes:
    """The bytes of a package, checked; `folder` keeps what came so far, for when the download is broken off."""
    progress.begin(package.name, package.file.size)
    path = folder / f"{package.file.sha256}.part"
    downloader.fetch_file(
        f"{archive.mirror}/{package.file.path}", path, package.file.size, package.file.sha256, progress.advance
    )
    data = read_file(path) or b""
    debian.check_file(data, package.file)
    return data


def fetch_packages(
    archive: Archive, packages: Sequence[debian.Package], folder: Path, downloader: Downloader, progress: Progress
) -> list[Path]:
    """The files of these packages, checked, several fetched at a time; see `fetch_package` for the rest."""
    progress.begin(f"{len(packages)} packages", sum(package.file.size for package in packages))
    lock = threading.Lock()

    def advance(amount: int) -> None:
        with lock:
            progress.advance(amount)

    def fetch(package: debian.Package) -> Path:
        path = folder / f"{package.file.sha256}.part"
        url = f"{archive.mirror}/{package.file.path}"
        downloader.fetch_file(url, path, package.file.size, package.file.sha256, advance)
        return path

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            return list(pool.map(fetch, packages))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def has_suite(mirror: str, suite: str, downloader: Downloader) -> bool:
    """Whether a mirror has a suite; whoever uses it checks its signature."""
    try:
        return bool(downloader.fetch(f"{mirror}/dists/{suite}/InRelease", RELEASE_LIMIT))
    except UserError:
        return False


def forget_download(package: debian.Package, folder: Path) -> None:
    """Remove what `fetch_package` kept of a package."""
    remove_file(folder / f"{package.file.sha256}.part")


def _first_release(mirrors: Sequence[str], suite: str, downloader: Downloader, progress: Progress) -> tuple[str, bytes]:
    """The first mirror that has the suite, and its InRelease file."""
    failure = UserError("No mirror of Debian is known; name one with --mirror.")
    for mirror in mirrors:
        try:
            return mirror, downloader.fetch(f"{mirror}/dists/{suite}/InRelease", RELEASE_LIMIT, progress.advance)
        except UserError as error:
            failure = error
    raise failure


def _first_of(urls: Sequence[str], limit: int, downloader: Downloader, progress: Progress) -> bytes:
    for url in urls[:-1]:
        try:
            return downloader.fetch(url, limit, progress.advance)
        except NotThere:
            continue
    return downloader.fetch(urls[-1], limit, progress.advance)
