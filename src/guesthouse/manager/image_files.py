"""Images leave the store, come into it and go: exported, imported, removed.

An exported image is a tar archive, compressed with Zstandard: `image.json` comes first, then the files it names, each
checked against the digest in its name.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import msgspec
import zstandard

from guesthouse.errors import UserError
from guesthouse.host.user_folders import told_plainly
from guesthouse.host.whole_folders import new_file, remove_folder, rename_folder, temporary_folder
from guesthouse.manager.store import DEFINITION, FORMAT, Image, ImageDefinition, ImageStore, file_names

CHUNK = 1 << 20
LONGEST_DEFINITION = 1 << 20
LEVEL = 6

Advance = Callable[[int], None]
"""Hears how many bytes more have been done."""


def export_image(image: Image, target: Path, advance: Advance = lambda count: None) -> None:
    """Write an image to a file, which appears when it is whole; raises UserError where that can't be."""
    names = [DEFINITION, *file_names(image.definition)]
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=-1)
    with (
        told_plainly(f"write {target}"),
        new_file(target) as file,
        compressor.stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            with open(image.folder / name, "rb") as source:
                entry = archive.gettarinfo(fileobj=source, arcname=name)
                entry.uid = entry.gid = entry.mtime = 0
                entry.uname = entry.gname = ""
                archive.addfile(entry, _counted(source, advance))


def import_image(
    source: Path, store: ImageStore, name: str | None = None, advance: Advance = lambda count: None
) -> Image:
    """Put an exported image into the store, under another name where one is given.

    Raises UserError where the file is no such archive, is damaged, or an image of that name is there already.
    """
    with told_plainly(f"read {source}"), open(source, "rb") as file:
        try:
            unpacked = zstandard.ZstdDecompressor().stream_reader(_counted(file, advance))
            with tarfile.open(fileobj=unpacked, mode="r|") as archive, temporary_folder(store.folder) as folder:
                definition = _unpack(archive, folder, name, source)
                target = store.folder / definition.name
                if target.exists():
                    raise UserError(
                        f"There is an image {definition.name!r} already; remove it, or choose another name with --name."
                    )
                rename_folder(folder, target)
        except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            raise UserError(f"{source} is no image that `images export` wrote, or is damaged ({error}).") from error
    found = store.get(definition.name)
    assert found is not None
    return found


def remove_image(store: ImageStore, name: str) -> None:
    """Remove an image; guests made from it keep what they have. Raises UserError where there is none."""
    store.check_name(name)
    if not (store.folder / name / DEFINITION).exists():
        raise UserError(f"There is no image {name!r}; `guesthouse images` lists those there are.")
    with store.lock(name):
        remove_folder(store.folder / name)


def _unpack(archive: tarfile.TarFile, folder: Path, name: str | None, source: Path) -> ImageDefinition:
    first = archive.next()
    if first is None or first.name != DEFINITION or first.size > LONGEST_DEFINITION:
        raise UserError(f"{source} is no image that `images export` wrote: its first file is not {DEFINITION}.")
    try:
        definition = msgspec.json.decode(_opened(archive, first).read(), type=ImageDefinition)
    except msgspec.DecodeError as error:
        raise UserError(f"The definition in {source} is wrong ({error}); export the image again.") from error
    if definition.format != FORMAT:
        raise UserError(f"{source} has format {definition.format}, not {FORMAT}; a newer program wrote it.")
    if name is not None:
        definition = msgspec.structs.replace(definition, name=name)
    ImageStore(folder).check_name(definition.name)
    missing = set(file_names(definition))
    while (entry := archive.next()) is not None:
        if entry.name not in missing or not entry.isreg():
            raise UserError(f"{source} holds {entry.name!r}, which its definition does not name; export it again.")
        missing.discard(entry.name)
        _copy(_opened(archive, entry), folder / entry.name, source)
    if missing:
        raise UserError(f"{source} ends before its file {missing.pop()!r}; get it again.")
    (folder / DEFINITION).write_bytes(msgspec.json.format(msgspec.json.encode(definition), indent=2) + b"\n")
    return definition


def _opened(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(entry)
    if file is None:
        raise UserError(f"{entry.name!r} in the archive is no file; export the image again.")
    return file


def _copy(source: IO[bytes], target: Path, origin: Path) -> None:
    """Copy a file, its zeros as holes, and check it."""
    digest, size = hashlib.sha256(), 0
    with open(target, "xb") as file:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), 1)
            else:
                file.write(chunk)
        file.truncate(size)
    if not target.name.endswith("-" + digest.hexdigest()[:16]):
        raise UserError(f"The file {target.name!r} in {origin} is damaged; get it again.")


def _counted(file: IO[bytes], advance: Advance) -> IO[bytes]:
    """The file, which tells how much of it has been read."""
    return cast(IO[bytes], _Counted(file, advance))


class _Counted:
    """A file that tells how much of it has been read."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data
