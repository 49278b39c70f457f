"""What a machine may be made of, as its caller gives it: images, files as paths or bytes, disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from guesthouse.guest.definition import File
from guesthouse.virtual.machine.core import Disk

Source = bytes | str | Path


class Image(Protocol):
    """An image of the user's store."""

    @property
    def kernel(self) -> Path: ...
    @property
    def initrd(self) -> Path | None: ...
    @property
    def definition(self) -> Any: ...


def file_of(source: Source | None, raw: bool = False) -> File:
    """The file that a source is; `raw` lets it be code without any header."""
    if source is None:
        return File()
    return File(path=str(source), raw=raw) if isinstance(source, str | Path) else File(data=bytes(source), raw=raw)


def disk_name(disk: Disk) -> tuple[str, bool]:
    """What a definition keeps of a disk: its path, "" for a backend, and whether it is read-only."""
    if isinstance(disk, tuple):
        return str(disk[0]), disk[1]
    return (str(disk), False) if isinstance(disk, str | Path) else ("", disk.readonly)
