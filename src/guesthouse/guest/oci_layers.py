"""Layers of an OCI image made into one file system: what each adds, and what it takes away from those below.

Source: OCI Image Format Specification 1.1, chapter "Image Layer Filesystem Changeset" (whiteouts, opaque whiteouts).
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO

from guesthouse.errors import UserError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_ENTRIES = 4_000_000

OpenLayer = Callable[[], AbstractContextManager[IO[bytes]]]
"""Opens a layer's tar stream, uncompressed, from its start; called twice."""


def flatten(layers: Sequence[OpenLayer], target: IO[bytes]) -> int:
    """Write the file system that the layers make, the lowest first, as one tar archive (GNU format).

    Returns the number of entries. Raises UserError where a layer is damaged or leads out of the file system. A
    hard link whose target a higher layer has replaced becomes a file with the content that the target had.
    """
    owners = _owners(layers)
    count = 0
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8") as out:
        for number, layer in enumerate(layers):
            count += _copy(number, layer, owners, out)
    return count


def _owners(layers: Sequence[OpenLayer]) -> dict[str, int]:
    """For each path of the result the layer whose entry counts."""
    owners: dict[str, int] = {}
    children: dict[str, set[str]] = {}
    for number, layer in enumerate(layers):
        for _, entry in _entries(layer):
            folder, name = posixpath.split(entry.name)
            if name == OPAQUE:
                _remove_below(folder, number, owners, children)
            elif name.startswith(WHITEOUT):
                hidden = posixpath.join(folder, name.removeprefix(WHITEOUT))
                _remove_below(hidden, number, owners, children)
                if owners.get(hidden, number) < number:
                    del owners[hidden]
                    children.get(folder, set()).discard(hidden)
            else:
                if not entry.isdir():
                    _remove_below(entry.name, number, owners, children)
                owners[entry.name] = number
                children.setdefault(folder, set()).add(entry.name)
                if len(owners) > MOST_ENTRIES:
                    raise UserError(f"The image has more than {MOST_ENTRIES} files; this program takes no such image.")
    return owners


def _remove_below(folder: str, number: int, owners: dict[str, int], children: dict[str, set[str]]) -> None:
    """Forget what lower layers have below a path; this layer's own stays."""
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        for child in list(children.get(parent, ())):
            waiting.append(child)
            if owners.get(child, number) < number:
                del owners[child]
                children[parent].discard(child)


def _copy(number: int, layer: OpenLayer, owners: dict[str, int], out: tarfile.TarFile) -> int:
    """Write what counts of one layer."""
    count = 0
    written: set[str] = set()
    stand_ins: dict[str, str] = {}  # a target that does not count -> the link that has its content
    lost = _lost_targets(number, layer, owners)
    for archive, entry in _entries(layer):
        name = entry.name
        if entry.isreg() and name in lost and owners.get(name) != number:
            stand_ins[name] = entry.name = lost[name]
            name = entry.name
        elif owners.get(name) != number or posixpath.basename(name).startswith(WHITEOUT) or name in written:
            continue
        elif entry.islnk():
            if stand_ins.get(entry.linkname) == name:
                continue
            entry.linkname = stand_ins.get(entry.linkname, entry.linkname)
        entry.pax_headers = {}
        out.addfile(entry, archive.extractfile(entry) if entry.isreg() else None)
        written.add(name)
        count += 1
    return count


def _lost_targets(number: int, layer: OpenLayer, owners: dict[str, int]) -> dict[str, str]:
    """Targets of hard links of this layer that do not count themselves, each with the first link that does."""
    lost: dict[str, str] = {}
    for _, entry in _entries(layer):
        if entry.islnk() and owners.get(entry.name) == number and owners.get(entry.linkname) != number:
            lost.setdefault(entry.linkname, entry.name)
    return lost


def _entries(layer: OpenLayer) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The entries of a layer, their names made relative and plain."""
    try:
        with layer() as stream, tarfile.open(fileobj=stream, mode="r|", encoding="utf-8") as archive:
            while (entry := archive.next()) is not None:
                entry.name = _plain(entry.name)
                if entry.islnk():
                    entry.linkname = _plain(entry.linkname)
                if entry.name:
                    yield archive, entry
                archive.members = []  # type: ignore[attr-defined]  # else the archive keeps all of them
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"A layer of the image is damaged ({error}); get it again.") from error


def _plain(name: str) -> str:
    """A path relative to the root; raises UserError where it leads out."""
    path = posixpath.normpath(name.lstrip("/") or ".")
    if path == ".." or path.startswith("../") or "\0" in path:
        raise UserError(f"A layer of the image names the path {name[:100]!r}, which leads out of it; don't use it.")
    return "" if path == "." else path
