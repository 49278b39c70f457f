"""OCI images: from an index to the manifest of a platform, its configuration and its layers, as plain data.

Source: OCI Image Format Specification 1.1 (index, manifest, config, descriptor); the media types of Docker's registry
that mean the same are taken too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from guesthouse.errors import UserError

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LAYERS = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
}
"""Compression by media type."""

REFERENCE_NAME = "org.opencontainers.image.ref.name"
MOST_NESTED = 4
LONGEST_DOCUMENT = 4 << 20
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")

Fetch = Callable[["Descriptor"], bytes]
"""Gets a small document's bytes."""


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on."""

    architecture: str = ""
    os: str = ""
    variant: str = ""


RISCV64 = Platform("riscv64", "linux")


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A reference to content: its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = {}
    artifact_type: str = ""


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """Manifests for several platforms, or all that a layout holds."""

    manifests: list[Descriptor]
    schema_version: int = 2


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """An image: its configuration and layers, the lowest first."""

    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = 2


class Process(msgspec.Struct, frozen=True, rename="pascal"):
    """How the image wants its program started."""

    user: str = ""
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str = ""
    stop_signal: str = ""

    @property
    def command(self) -> list[str]:
        """The words of the program and its arguments; empty where the image names none."""
        return [*(self.entrypoint or []), *(self.cmd or [])]


class Configuration(msgspec.Struct, frozen=True):
    """What an image says of itself."""

    architecture: str = ""
    os: str = ""
    config: Process = Process()


def check_digest(descriptor: Descriptor, data: bytes) -> bytes:
    """The data where it is what the descriptor names; raises UserError where not."""
    check_form(descriptor)
    algorithm, _, wanted = descriptor.digest.partition(":")
    if len(data) != descriptor.size or hashlib.new(algorithm, data).hexdigest() != wanted:
        raise UserError(f"The content {descriptor.digest[:23]} is damaged: its digest differs; get the image again.")
    return data


def check_form(descriptor: Descriptor) -> None:
    """Raise UserError where a descriptor's digest is none that this program knows: it becomes part of paths."""
    if not _DIGEST.match(descriptor.digest) or descriptor.size < 0:
        raise UserError(f"{descriptor.digest[:80]!r} is no digest (sha256 or sha512); the image is damaged.")


def find_manifest(top: Descriptor, fetch: Fetch, platform: Platform = RISCV64) -> tuple[Descriptor, Manifest]:
    """The manifest of a platform below an index or manifest; raises UserError where there is none.

    `fetch` gets documents, which are checked here.
    """
    for _ in range(MOST_NESTED):
        data = _document(top, fetch)
        if top.media_type in MANIFESTS:
            return top, _decoded(data, Manifest, "manifest")
        if top.media_type not in INDEXES:
            raise UserError(f"This program knows no OCI content of type {top.media_type[:80]!r}; give an image.")
        top = choose(_decoded(data, Index, "index"), platform)
    raise UserError("The image's index leads to ever more indexes; it is damaged.")


def choose(index: Index, platform: Platform) -> Descriptor:
    """The entry for a platform; an entry that names none is taken where it is the only one."""
    entries = [entry for entry in index.manifests if not entry.artifact_type]
    for entry in entries:
        found = entry.platform
        if found and (found.os, found.architecture) == (platform.os, platform.architecture):
            return entry
    unnamed = [entry for entry in entries if entry.platform is None]
    if len(unnamed) == 1:
        return unnamed[0]
    there = sorted({f"{e.platform.os}/{e.platform.architecture}" for e in entries if e.platform})
    raise UserError(
        f"The image is not made for {platform.os}/{platform.architecture}"
        + (f", only for {', '.join(there)[:200]}; choose another one." if there else "; it holds no image at all.")
    )


def find_named(index: Index, name: str | None) -> Descriptor:
    """The entry of a layout's index that has a name; the only one where no name is given."""
    if name is None and len(index.manifests) == 1:
        return index.manifests[0]
    names = [entry.annotations.get(REFERENCE_NAME, "") for entry in index.manifests]
    if name is not None and name in names:
        return index.manifests[names.index(name)]
    known = ", ".join(filter(None, names))[:200] or "none with a name"
    what = f"holds no image {name!r}" if name is not None else "holds several images"
    raise UserError(f"The layout {what}; there are: {known}. Choose one with LAYOUT:NAME.")


def read_configuration(manifest: Manifest, fetch: Fetch) -> Configuration:
    """The configuration of an image; raises UserError where it is not for Linux on riscv64."""
    found: Configuration = _decoded(_document(manifest.config, fetch), Configuration, "configuration")
    if (found.os, found.architecture) not in ((RISCV64.os, RISCV64.architecture), ("", "")):
        raise UserError(f"The image is made for {found.os}/{found.architecture}, not for linux/riscv64.")
    return found


def compression(layer: Descriptor) -> str:
    """How a layer is compressed: "", "gzip" or "zstd"; raises UserError for a type that is no layer."""
    check_form(layer)
    if layer.media_type not in LAYERS:
        raise UserError(f"This program knows no layer of type {layer.media_type[:80]!r}; give another image.")
    return LAYERS[layer.media_type]


def read_index(data: bytes) -> Index:
    """An `index.json`."""
    found: Index = _decoded(data, Index, "index")
    return found


def _document(descriptor: Descriptor, fetch: Fetch) -> bytes:
    check_form(descriptor)
    if descriptor.size > LONGEST_DOCUMENT:
        raise UserError(f"A document of the image has {descriptor.size} bytes; none is that long, it is damaged.")
    return check_digest(descriptor, fetch(descriptor))


def _decoded(data: bytes, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise UserError(f"The image's {what} can't be read ({error}); get it again.") from error
