"""Debian's archive as data: the signed Release file, the package lists it vouches for, and choosing from them.

Sources: Debian's repository format (Release, Packages, by-hash), deb-version(7), deb-control(5).
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cmp_to_key
from itertools import zip_longest

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import compression

INDEX_LIMIT = 512 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_INDEX_METHODS = ((".xz", "xz"), (".gz", "gzip"), (".zst", "zstd"), ("", None))
_PARTS = re.compile(r"(\D*)(\d*)")


class Hashed(msgspec.Struct, frozen=True):
    """A file as a signed list describes it: path under its folder, size in bytes, SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Release(msgspec.Struct, frozen=True):
    """A Release file: its one-line fields, and the files it vouches for by path."""

    fields: dict[str, str]
    files: dict[str, Hashed]


class Package(msgspec.Struct, frozen=True):
    """A binary package of a package list; `file.path` is under the mirror's root."""

    name: str
    version: str
    architecture: str
    depends: str
    file: Hashed


def parse_stanza(text: str) -> dict[str, str]:
    """The fields of one paragraph; the lines of a folded field are joined by newlines, without their indentation."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip() if colon else ""
        if name:
            fields[name] = value.strip()
    return fields


def parse_release(data: bytes) -> Release:
    """Read a Release file whose signature has been verified. Raises UserError where it vouches for nothing."""
    fields = parse_stanza(data.decode("utf-8", "replace"))
    files = {}
    for line in fields.pop("SHA256", "").splitlines():
        parts = line.split()
        if len(parts) == 3 and _SHA256.match(parts[0]) and parts[1].isdecimal():
            files[parts[2]] = Hashed(_safe_path(parts[2]), int(parts[1]), parts[0])
    if not files:
        raise UserError("The mirror's Release file lists no SHA-256 sums; use another mirror.")
    return Release(fields, files)


def check_release(release: Release, suite: str, now: datetime | None) -> None:
    """Raises UserError where the file is of another suite, or expired at `now` (None: its expiry is not checked)."""
    if suite not in (release.fields.get("Codename"), release.fields.get("Suite")):
        found = release.fields.get("Codename", "nothing")
        raise UserError(f"The mirror gives {found!r} for Debian {suite}; use another mirror.")
    until = release.fields.get("Valid-Until")
    if until and now:
        try:
            expiry = parsedate_to_datetime(until).astimezone(UTC)
        except (ValueError, TypeError) as error:
            raise UserError(f"The mirror's Release file has an expiry that is no date ({until!r}).") from error
        if expiry < now:
            raise UserError(f"The mirror's Release file expired ({until}); use a mirror that is up to date.")


def choose_index(release: Release, component: str, architecture: str) -> Hashed:
    """The package list of a component, as the best compressed file. Raises UserError where the mirror has none."""
    stem = f"{component}/binary-{architecture}/Packages"
    for suffix, _ in _INDEX_METHODS:
        if stem + suffix in release.files:
            return release.files[stem + suffix]
    raise UserError(f"The mirror has no packages for {architecture}; use a mirror that carries all architectures.")


def by_hash(file: Hashed) -> str:
    """The path of a file by its hash, which stays valid while a mirror is updated."""
    return f"{file.path.rpartition('/')[0]}/by-hash/SHA256/{file.sha256}"


def check_file(data: bytes, file: Hashed) -> None:
    """Raises UserError where the bytes are not those that the signed list describes."""
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        raise UserError(f"{file.path} is not what Debian signed; nothing was stored, try again or use another mirror.")


def unpack_index(data: bytes, file: Hashed) -> bytes:
    """A package list, decompressed as its path says, after checking it against its hash."""
    check_file(data, file)
    method = next((method for suffix, method in _INDEX_METHODS if suffix and file.path.endswith(suffix)), None)
    return compression.decompress(data, method, "The package list", INDEX_LIMIT) if method else data


def find_packages(index: bytes, name: str) -> list[Package]:
    """All versions of a package in a package list, newest first. Raises UserError for a damaged entry."""
    found = [parse_package(parse_stanza(text)) for text in _stanzas_of(index, name)]
    return sorted(found, key=lambda package: _VERSION_KEY(package.version), reverse=True)


def parse_package(fields: dict[str, str]) -> Package:
    """The package that an entry of a package list describes. Raises UserError for a damaged entry."""
    name = fields["Package"]
    size, sha256 = fields.get("Size", ""), fields.get("SHA256", "")
    if not size.isdecimal() or not _SHA256.match(sha256) or not fields.get("Version") or not fields.get("Filename"):
        raise UserError(f"The mirror's entry for package {name} is incomplete; use another mirror.")
    file = Hashed(_safe_path(fields["Filename"]), int(size), sha256)
    return Package(name, fields["Version"], fields.get("Architecture", ""), fields.get("Depends", ""), file)


def choose_package(index: bytes, name: str, version: str | None = None) -> Package:
    """The newest package of that name, or the one of that version. Raises UserError where there is none."""
    for package in find_packages(index, name):
        if version in (None, package.version):
            return package
    raise UserError(f"The mirror has no package {name}{f' {version}' if version else ''}; use another mirror.")


def dependencies(package: Package) -> Iterator[tuple[str, str | None]]:
    """(name, exact version or None) of what a package depends on, the first of alternatives."""
    for clause in filter(None, (part.strip() for part in package.depends.split(","))):
        match = re.match(r"([a-z0-9][a-z0-9.+-]*)(?::\S+)?\s*(?:\((\S+)\s+([^)\s]+)\s*\))?", clause.split("|")[0])
        if match:
            yield match[1], match[3] if match[2] == "=" else None


def compare_versions(a: str, b: str) -> int:
    """Negative, zero or positive as version `a` is older than, the same as or newer than `b` (deb-version(7))."""
    for left, right in zip(_version_fields(a), _version_fields(b), strict=True):
        for one, other in zip_longest(_PARTS.findall(left), _PARTS.findall(right), fillvalue=("", "")):
            keys = [([_rank(char) for char in text] + [0], int(digits or 0)) for text, digits in (one, other)]
            if keys[0] != keys[1]:
                return -1 if keys[0] < keys[1] else 1
    return 0


_VERSION_KEY = cmp_to_key(compare_versions)


def _version_fields(version: str) -> tuple[str, str, str]:
    """Epoch, upstream version, Debian revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return epoch, upstream, revision


def _rank(char: str) -> int:
    """Order of a character outside of numbers: `~` before the end, the end (0), letters, everything else."""
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256


def _stanzas_of(index: bytes, name: str) -> Iterator[str]:
    line = b"Package: " + name.encode() + b"\n"
    position = index.find(line)
    while position >= 0:
        start = index.rfind(b"\n\n", 0, position)
        start = start + 2 if start >= 0 else 0
        end = index.find(b"\n\n", position)
        end = end if end >= 0 else len(index)
        if position == start or index[position - 1 : position] == b"\n":
            yield index[start:end].decode("utf-8", "replace")
        position = index.find(line, position + 1)


def _safe_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or ":" in path.partition("/")[0]:
        raise UserError(f"The mirror lists a file with a path that is not allowed ({path!r}); use another mirror.")
    return path
