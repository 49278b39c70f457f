"""What every disk image is, whatever its format: the contract of the block backends, and what is the same for all.

A device needs only `BlockBackend` (see `guesthouse.virtual.devices.wires`); whoever works on images needs `Image`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from guesthouse.virtual.devices.wires import BlockBackend

SECTOR = 512


class Extent(NamedTuple):
    """A range of a disk, in bytes, that an image keeps in one way.

    `data`: bytes are stored, at `position` of the image's file where that has them as they are. Neither `data` nor
    `zero`: the image says nothing of the range, so that what it is based on shows, or zeros where there is nothing.
    `depth` counts down the chain of images from 0, the one asked.
    """

    offset: int
    length: int
    data: bool
    zero: bool
    position: int | None = None
    depth: int = 0
    compressed: bool = False


class Image(BlockBackend, Protocol):
    """A disk image of any format, open."""

    format: ClassVar[str]
    """Its name as users know it, for example "qcow2"."""

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """Tell how a range is kept by this image alone, in order, without gaps."""

    def resize(self, size: int) -> None:
        """Set the capacity in bytes; new bytes read as zeros. Raises `UserError` where the format can't."""

    def info(self) -> dict[str, Any]:
        """What the format has to say about the image beyond its size, as plain data."""

    def close(self) -> None:
        """Write what waits, close and unlock the files."""


def read(disk: BlockBackend, offset: int, length: int) -> bytes:
    """Copy a range out of a disk."""
    data = bytearray(length)
    disk.readv(offset, [memoryview(data)])
    return bytes(data)


def check_range(disk: BlockBackend, offset: int, length: int) -> None:
    """Raise `OSError` for a range that is not whole sectors of the disk."""
    if offset % SECTOR or length % SECTOR:
        raise OSError("not whole sectors")
    if offset < 0 or length < 0 or offset + length > disk.size:
        raise OSError("outside the disk")


def check_write(disk: BlockBackend, offset: int, length: int) -> None:
    """Raise `OSError` also where the disk is read-only."""
    if disk.readonly:
        raise OSError("the disk is read-only")
    check_range(disk, offset, length)


def length_of(buffers: Sequence[bytes | memoryview]) -> int:
    """Bytes in all."""
    return sum(len(buffer) for buffer in buffers)
