"""What `pull` starts from: the user's options, the mirror, the keyring, and the verified archive behind them."""

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
from guesthouse.manager.debian_archive import Archive, open_archive
from guesthouse.manager.progress import Progress

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


class Source(msgspec.Struct, frozen=True):
    """The archive that packages come from, what fetches them, and the folder where they are until they are used."""

    archive: Archive
    downloader: Downloader
    folder: Path


def open_source(options: PullOptions, progress: Progress) -> Source:
    """The newest packages' list, verified; raises UserError where none can be reached or one is not what was signed."""
    certificates = read_keyring(_keyring(options))
    mirrors = choose_mirrors(options)
    downloader = Downloader(options.apt.proxy)
    now = datetime.now(UTC) if options.apt.checks_expiry else None
    archive = open_archive(mirrors, tiny.SUITE, tiny.ARCHITECTURE, certificates, downloader, progress, now)
    _remember(options, archive)
    return Source(archive, downloader, options.folder or cache_folder() / "downloads")


def choose_kernel(index: bytes) -> debian.Package:
    """The kernel's package, which the meta-package names."""
    meta = debian.choose_package(index, tiny.KERNEL_PACKAGE)
    for name, version in debian.dependencies(meta):
        if name.startswith("linux-image-"):
            return debian.choose_package(index, name, version)
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
