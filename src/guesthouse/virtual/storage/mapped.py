"""Images that other programs made, read through their tables of blocks; they are never written to in place."""

import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

from guesthouse.errors import UserError
from guesthouse.virtual.storage.block import Extent, check_range, check_write, length_of
from guesthouse.virtual.storage.raw import File
from guesthouse.virtual.storage.reports import Report

MOST_TABLE = 64 << 20
"""Bytes of the largest table that is believed: enough for 64 TiB in blocks of 8 MiB, or 16 TiB in those of 1 MiB."""

LARGEST_DISK = 1 << 56


class Piece(NamedTuple):
    """Where a run of the disk is: `length` bytes from `position` of `file`, or zeros where there is no file.

    `packed` is the number of bytes that the run's whole block takes compressed at `position`, 0 where it is as it is;
    the run then begins at byte `inside` of the block of `block` bytes.
    """

    length: int
    file: File | None = None
    position: int = 0
    packed: int = 0
    inside: int = 0
    block: int = 0


class MappedImage:
    """A read-only image whose format only has to tell where each block lies."""

    format: ClassVar[str] = ""

    def __init__(self, file: File, size: int) -> None:
        """`size` is the capacity in bytes, whole sectors."""
        if not 0 < size <= LARGEST_DISK or size % 512:
            raise UserError(f"The {self.format} image is damaged: its size of {size} bytes can't be.")
        self.file = file
        self._size = size

    @property
    def size(self) -> int:
        """The capacity in bytes."""
        return self._size

    @property
    def readonly(self) -> bool:
        """Always: such images are converted, not run."""
        return True

    def locate(self, offset: int, length: int) -> Piece:
        """Tell where the disk's bytes from `offset` are, of at most `length`; each format has its own way."""
        raise NotImplementedError

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """Tell where a range's bytes are, in order; neighbours are joined."""
        last: Piece | None = None
        while length:
            piece = self.locate(offset, length)
            offset, length = offset + piece.length, length - piece.length
            joined = _joined(last, piece)
            if last and not joined:
                yield last
            last = joined or piece
        if last:
            yield last

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        """Fill the buffers, in order; raises `OSError` outside the disk or where the image is damaged."""
        check_range(self, offset, length_of(buffers))
        for buffer in buffers:
            at = 0
            for piece in self.pieces(offset, len(buffer)):
                _fill(piece, buffer[at : at + piece.length])
                at += piece.length
            offset += len(buffer)

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        """Refuse."""
        check_write(self, offset, length_of(buffers))

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        """Refuse."""
        check_write(self, offset, length)

    def discard(self, offset: int, length: int) -> None:
        """Refuse."""
        check_write(self, offset, length)

    def flush(self) -> None:
        """Nothing waits."""

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """What is stored, and what is zero."""
        check_range(self, offset, length)
        for piece in self.pieces(offset, length):
            data = piece.file is not None
            position = piece.position if piece.file is self.file and not piece.packed else None
            yield Extent(offset, piece.length, data, not data, position, compressed=bool(piece.packed))
            offset += piece.length

    def resize(self, size: int) -> None:
        """Refuse."""
        raise UserError(f"An image in the format {self.format} can't be resized; convert it to raw or qcow2 first.")

    def info(self) -> dict[str, Any]:
        """What the format tells beside the size."""
        return {}

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """(number, position in the file, length) of every block that is stored; for checking."""
        return iter(())

    def check(self, repair: bool = False) -> Report:
        """Look for blocks that lie outside the file or over one another; nothing is ever repaired."""
        report = Report(end=self.file.size)
        taken: list[tuple[int, int, int]] = []
        for number, position, length in self.blocks():
            report.allocated += 1
            if position + length > self.file.size:
                report.corrupt(f"Block {number} lies behind the end of the file.")
            else:
                taken.append((position, length, number))
        taken.sort()
        for (position, length, number), (following, _, other) in pairwise(taken):
            if position + length > following:
                report.corrupt(f"Blocks {number} and {other} lie over one another.")
        return report

    def close(self) -> None:
        """Close and unlock the file."""
        self.file.close()


def _joined(last: Piece | None, piece: Piece) -> Piece | None:
    """Two pieces as one, None where they are none."""
    if last is None or last.file is not piece.file or last.packed or piece.packed:
        return None
    if last.file is not None and last.position + last.length != piece.position:
        return None
    return last._replace(length=last.length + piece.length)


def _fill(piece: Piece, target: memoryview) -> None:
    if piece.file is None:
        target[:] = bytes(len(target))
    elif piece.packed:
        target[:] = unpack(piece)
    elif piece.file.preadv([target], piece.position) < len(target):
        raise OSError("the image ends within a block")


def unpack(piece: Piece) -> bytes:
    """The bytes of a run that lies in a compressed block; never more than the block's."""
    packed = bytearray(piece.packed)
    if piece.file is None or piece.file.preadv([memoryview(packed)], piece.position) < piece.packed:
        raise OSError("the image ends within a block")
    try:
        data = zlib.decompressobj().decompress(packed, piece.block)
    except zlib.error as error:
        raise OSError(f"a compressed block is damaged ({error})") from error
    part = data[piece.inside : piece.inside + piece.length]
    if len(part) < piece.length:
        raise OSError("a compressed block is too short")
    return part


class Kept:
    """The tables of an image that were used last."""

    def __init__(self, load: Callable[[int], Any], most: int) -> None:
        self._load = load
        self._most = most
        self._tables: OrderedDict[int, Any] = OrderedDict()

    def get(self, number: int) -> Any:
        """A table, loaded where it is not there; several threads may ask."""
        found = self._tables.get(number)
        if found is None:
            found = self._tables[number] = self._load(number)
            while len(self._tables) > self._most:
                try:
                    self._tables.popitem(last=False)
                except KeyError:
                    break
        return found


def exactly(file: File, offset: int, length: int, what: str) -> bytes:
    """A structure's bytes; raises `UserError` where the file ends before, or `length` is beyond belief."""
    data = bytearray(length if length <= MOST_TABLE else 0)
    if length > MOST_TABLE or offset < 0 or offset >= 1 << 63 or file.preadv([memoryview(data)], offset) < length:
        raise UserError(f"The image is damaged: {what} is not where the file says it is.")
    return bytes(data)
