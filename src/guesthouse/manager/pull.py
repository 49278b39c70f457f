"""`pull`: builds an image from Debian's packages into the user's store."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import debian_release as debian
from guesthouse.guest import tiny
from guesthouse.host.apt import Apt, read_apt
from guesthouse.host.download import Downloader
from guesthouse.host.settings import read_setting, remember_setting
from guesthouse.host.signature import find_keyring, read_keyring
from guesthouse.host.user_folders import cache_folder
from guesthouse.manager.agent_program import agent_executable
from guesthouse.manager.debian_archive import Archive, fetch_package, forget_download, open_archive
from guesthouse.manager.progress import Progress, SilentProgress
from guesthouse.manager.store import Image, ImageDefinition, ImageStore

RECIPES = ("tiny",)
MIRROR_VARIABLE = "GUESTHOUSE_MIRROR"
MIRROR_SETTING, KEYRING_SETTING = "mirror", "keyring"
QUESTION = "This host's apt configuration names no mirror of Debian; the URL of one (it is remembered):"


class PullOptions(msgspec.Struct, frozen=True):
    """Where packages come from, and what `pull` needs of its surroundings.

    `mirror` and `keyring` are the user's options; `ask` puts a question to the user and returns the answer, None where
    nobody can be asked; `apt`, `environment`, `folder` (of downloads) and `settings` stand for the host's own.
    """

    mirror: str | None = None
    keyring: Path | None = None
    ask: Callable[[str], str] | None = None
    apt: Apt = msgspec.field(default_factory=read_apt)
    environment: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(os.environ))
    folder: Path | None = None
    settings: Path | None = None


def pull(name: str, store: ImageStore, options: PullOptions, progress: Progress | None = None) -> Image:
    """Build the image `name` from the newest packages, or return the stored one where it is built from these already.

    Two at once are safe: the second waits. Raises UserError where the name is unknown, nothing can be reached, a
    signature or hash is wrong, or the disk is full; then the stored image is as it was.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe for an image {name!r}; `guesthouse pull {RECIPES[0]}` builds one.")
    progress = progress or SilentProgress()
    with store.lock(name, lambda: progress.note(f"Another process is building {name!r}; waiting for it.")):
        return _pull_tiny(store, options, progress)


def ensure_image(name: str, store: ImageStore, options: PullOptions, progress: Progress | None = None) -> Image:
    """The stored image; built first where it is missing, damaged or made by an older recipe."""
    if image := _usable(name, store):
        return image
    if name not in RECIPES:
        raise UserError(f"There is no image {name!r}; `guesthouse images` lists those there are.")
    progress = progress or SilentProgress()
    with store.lock(name, lambda: progress.note(f"Another process is building {name!r}; waiting for it.")):
        return _usable(name, store) or _pull_tiny(store, options, progress)


def choose_mirrors(options: PullOptions) -> list[str]:
    """Mirrors to try, in order: the option, the environment, apt's, the remembered one, the user's answer."""
    named = options.mirror or options.environment.get(MIRROR_VARIABLE)
    if named:
        return [named.rstrip("/")]
    if known := options.apt.mirrors():
        return known
    if remembered := read_setting(MIRROR_SETTING, options.settings):
        return [remembered]
    answer = options.ask(QUESTION).strip() if options.ask else ""
    if not answer:
        raise UserError(
            f"This host's apt configuration names no mirror of Debian; name one with --mirror URL or {MIRROR_VARIABLE}."
        )
    return [answer.rstrip("/")]


def _usable(name: str, store: ImageStore) -> Image | None:
    """The image where it can be run as it is, None where it is missing or must be rebuilt by its recipe."""
    try:
        image = store.get(name)
    except UserError:
        if name not in RECIPES:
            raise
        return None
    if image and name in RECIPES and image.definition.recipe != tiny.RECIPE:
        return None
    return image


def _pull_tiny(store: ImageStore, options: PullOptions, progress: Progress) -> Image:
    certificates = read_keyring(_keyring(options))
    mirrors = choose_mirrors(options)
    downloader = Downloader(options.apt.proxy)
    now = datetime.now(UTC) if options.apt.checks_expiry else None
    archive = open_archive(mirrors, tiny.SUITE, tiny.ARCHITECTURE, certificates, downloader, progress, now)
    _remember(options, archive)
    kernel, busybox = _choose(archive)
    packages = {package.name: package.version for package in (kernel, busybox)}
    image = _usable("tiny", store)
    if image and image.definition.packages == packages and image.kernel.is_file():
        progress.note("Image 'tiny' is up to date.")
        return image
    folder = options.folder or cache_folder() / "downloads"
    kernel_data = fetch_package(archive, kernel, folder, downloader, progress)
    busybox_data = fetch_package(archive, busybox, folder, downloader, progress)
    progress.begin("Building", None)
    built = tiny.build_tiny(kernel_data, busybox_data, agent_executable(), busybox.version)
    definition = ImageDefinition(
        name="tiny",
        kernel="",
        description=f"Debian {tiny.SUITE}, kernel {built.release}, busybox {busybox.version}",
        packages=packages,
        recipe=tiny.RECIPE,
    )
    image = store.put(definition, {"kernel": built.kernel, "initrd": built.initrd})
    for package in (kernel, busybox):
        forget_download(package, folder)
    return image


def _choose(archive: Archive) -> tuple[debian.Package, debian.Package]:
    """The packages of the kernel that the meta-package names, and of busybox."""
    meta = debian.choose_package(archive.index, tiny.KERNEL_PACKAGE)
    for name, version in debian.dependencies(meta):
        if name.startswith("linux-image-"):
            kernel = debian.choose_package(archive.index, name, version)
            return kernel, debian.choose_package(archive.index, tiny.BUSYBOX_PACKAGE)
    raise UserError(f"The package {meta.name} names no kernel package; this program knows no such package.")


def _keyring(options: PullOptions) -> Path:
    remembered = read_setting(KEYRING_SETTING, options.settings) if not options.keyring else None
    return options.keyring or (Path(remembered) if remembered else find_keyring())


def _remember(options: PullOptions, archive: Archive) -> None:
    """Keep what the user had to say, once it has worked, on hosts whose apt configuration says nothing."""
    if not options.apt.mirrors() and read_setting(MIRROR_SETTING, options.settings) != archive.mirror:
        remember_setting(MIRROR_SETTING, archive.mirror, options.settings)
    if options.keyring and not options.apt.mirrors():
        remember_setting(KEYRING_SETTING, str(options.keyring.absolute()), options.settings)
