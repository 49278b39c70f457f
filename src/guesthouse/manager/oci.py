"""The root file system of an OCI image: from a layout's folder or archive, or a registry, to one tar archive."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

import msgspec
import zstandard

from guesthouse.errors import UserError
from guesthouse.guest.oci import (
    INDEXES,
    LONGEST_DOCUMENT,
    MANIFESTS,
    Configuration,
    Descriptor,
    Index,
    Manifest,
    check_form,
    compression,
    find_manifest,
    find_named,
    read_configuration,
    read_index,
)
from guesthouse.guest.oci_layers import flatten
from guesthouse.guest.oci_reference import Reference, parse_reference
from guesthouse.host.download import Downloader
from guesthouse.host.registry import Registry
from guesthouse.host.user_folders import cache_folder, make_folder, told_plainly
from guesthouse.manager.progress import Progress

INDEX, BLOBS = "index.json", "blobs"
WINDOW = 128 << 20
CHUNK = 1 << 20
_BLOB = re.compile(r"blobs/(sha256|sha512)/[0-9a-f]{64,128}\Z")


class Source(Protocol):
    """Where an image comes from."""

    def top(self) -> tuple[Descriptor, bytes | None]:
        """What to begin with, and its bytes where they are here already."""

    def document(self, descriptor: Descriptor) -> bytes:
        """A small document's bytes, unchecked."""

    def layer(self, descriptor: Descriptor, progress: Progress) -> Path:
        """A file with a layer's bytes; the digest has been checked."""


class OciImage(msgspec.Struct, frozen=True):
    """An image found: its digest, its configuration and its layers' files, the lowest first."""

    digest: str
    configuration: Configuration
    layers: list[tuple[Path, str]]

    def write_root(self, target: IO[bytes]) -> int:
        """Write the root file system as one tar archive; returns the number of its entries."""
        return flatten([_opener(path, method) for path, method in self.layers], target)


def open_oci(
    name: str, progress: Progress, downloader: Downloader | None = None, cache: Path | None = None
) -> OciImage:
    """Find the image that a layout's folder or archive (PATH[:NAME]) or a registry (HOST/NAME:TAG) has for riscv64.

    Layers that come from a registry are kept in `cache`, and go on where an earlier call was broken off. Raises
    UserError where there is no such image or it is damaged.
    """
    source = _source(name, downloader, cache or cache_folder() / "downloads" / "oci")
    top, known = source.top()

    def fetch(descriptor: Descriptor) -> bytes:
        return known if known is not None and descriptor is top else source.document(descriptor)

    found, manifest = find_manifest(top, fetch)
    configuration = read_configuration(manifest, fetch)
    return OciImage(found.digest, configuration, _layers(source, manifest, progress))


def _layers(source: Source, manifest: Manifest, progress: Progress) -> list[tuple[Path, str]]:
    methods = [compression(layer) for layer in manifest.layers]
    files = [source.layer(layer, progress) for layer in manifest.layers]
    return list(zip(files, methods, strict=True))


def _source(name: str, downloader: Downloader | None, cache: Path) -> Source:
    path, _, reference = name.partition(":") if not Path(name).exists() else (name, "", "")
    if Path(path).is_dir():
        return LayoutFolder(Path(path), reference or None)
    if Path(path).is_file():
        return LayoutFolder(_unpacked(Path(path), cache), reference or None)
    if name.startswith((".", "/")):
        raise UserError(f"There is no OCI layout {name}; give its folder, its archive, or HOST/NAME:TAG.")
    return RegistryImage(parse_reference(name), downloader or Downloader(), cache)


class LayoutFolder:
    """An OCI image layout in a folder."""

    def __init__(self, folder: Path, name: str | None) -> None:
        self._folder = folder
        self._name = name

    def top(self) -> tuple[Descriptor, bytes | None]:
        """The entry of its index."""
        with told_plainly(f"read the OCI layout {self._folder}"):
            data = (self._folder / INDEX).read_bytes()
        index = read_index(data)
        if self._name is None and len(index.manifests) > 1:
            return _index_descriptor(index)
        return find_named(index, self._name), None

    def document(self, descriptor: Descriptor) -> bytes:
        """A blob."""
        with told_plainly(f"read the OCI layout {self._folder}"):
            return self._path(descriptor).read_bytes()

    def layer(self, descriptor: Descriptor, progress: Progress) -> Path:
        """A blob's file, where its digest is right."""
        path = self._path(descriptor)
        progress.begin(f"Checking {descriptor.digest[7:19]}", descriptor.size)
        _check_file(path, descriptor, progress)
        return path

    def _path(self, descriptor: Descriptor) -> Path:
        check_form(descriptor)
        return self._folder / BLOBS / descriptor.digest.replace(":", "/")


class RegistryImage:
    """An image of a registry."""

    def __init__(self, reference: Reference, downloader: Downloader, cache: Path) -> None:
        self._registry = Registry(reference.host, reference.repository, downloader)
        self._version = reference.version
        self._cache = cache

    def top(self) -> tuple[Descriptor, bytes | None]:
        """What the tag or digest leads to."""
        data = self._registry.manifest(self._version, (*INDEXES, *MANIFESTS), LONGEST_DOCUMENT)
        found = _described(data)
        if self._version.startswith("sha256:") and found.digest != self._version:
            raise UserError(f"The registry gave something else than {self._version}; don't use it.")
        return found, data

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest or a small blob."""
        if descriptor.media_type in (*INDEXES, *MANIFESTS):
            return self._registry.manifest(descriptor.digest, (descriptor.media_type,), LONGEST_DOCUMENT)
        return self._registry.document(descriptor.digest, LONGEST_DOCUMENT)

    def layer(self, descriptor: Descriptor, progress: Progress) -> Path:
        """A layer, downloaded where it is not here."""
        check_form(descriptor)
        progress.begin(f"Layer {descriptor.digest[7:19]}", descriptor.size)
        path = self._cache / descriptor.digest.replace(":", "-")
        self._registry.blob(descriptor.digest, descriptor.size, path, progress.advance)
        return path


def _described(data: bytes) -> Descriptor:
    """The descriptor of a document whose type only its content tells."""
    try:
        told = msgspec.json.decode(data)
        kind = told.get("mediaType") or (INDEXES[0] if "manifests" in told else MANIFESTS[0])
    except (msgspec.DecodeError, AttributeError) as error:
        raise UserError(f"The registry's answer is no manifest ({error}); check the image's name.") from error
    return Descriptor(str(kind), f"sha256:{_sha256(data)}", len(data))


def _index_descriptor(index: Index) -> tuple[Descriptor, bytes]:
    data = msgspec.json.encode(index)
    return Descriptor(INDEXES[0], f"sha256:{_sha256(data)}", len(data)), data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_file(path: Path, descriptor: Descriptor, progress: Progress) -> None:
    """Raise UserError where a file is not what a descriptor names."""
    algorithm, _, wanted = descriptor.digest.partition(":")
    digest, size = hashlib.new(algorithm), 0
    with told_plainly(f"read {path}"), open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            progress.advance(len(chunk))
    if size != descriptor.size or digest.hexdigest() != wanted:
        raise UserError(f"The layer {path} is damaged: its digest differs; get the image again.")


def _opener(path: Path, method: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    """What opens a layer's file as a tar stream."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with told_plainly(f"read {path}"), open(path, "rb") as file:
            if method == "gzip":
                with gzip.open(file) as unpacked:
                    yield cast(IO[bytes], unpacked)
            elif method == "zstd":
                yield zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
            else:
                yield file

    return opened


def _unpacked(archive: Path, cache: Path) -> Path:
    """The folder of a layout that an archive holds, unpacked into the cache; only plain files are taken."""
    with told_plainly(f"read {archive}"), open(archive, "rb") as file:
        folder = cache / f"layout-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
        file.seek(0)
        try:
            with tarfile.open(fileobj=file) as packed:
                for entry in packed:
                    name = entry.name.removeprefix("./")
                    if entry.isreg() and (name == INDEX or _BLOB.match(name)):
                        make_folder((folder / name).parent)
                        with open(folder / name, "wb") as target:
                            shutil.copyfileobj(cast(IO[bytes], packed.extractfile(entry)), target)
        except (tarfile.TarError, EOFError) as error:
            raise UserError(
                f"{archive} is no archive of an OCI layout ({error}); make one with `oci-archive`."
            ) from error
    if not (folder / INDEX).exists():
        raise UserError(f"{archive} holds no OCI layout ({INDEX} is missing); save the image as an OCI archive.")
    return folder
