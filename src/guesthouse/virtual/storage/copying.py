"""Copying and comparing disks by what is stored of them: holes are skipped, zeros found, several reads under way."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from guesthouse.errors import UserError
from guesthouse.virtual.storage.block import SECTOR, Image, read
from guesthouse.virtual.storage.formats import Writer
from guesthouse.virtual.storage.vmdk_writer import StreamWriter

CHUNK = 2 << 20
READERS, UNDER_WAY = 3, 8
SPARSE = 4096
"""Bytes of zeros that become a hole, where nothing else is asked for."""

Advance = Callable[[int], None]


class Target(Protocol):
    """Takes a disk's content from front to end."""

    @property
    def chunk(self) -> int:
        """Bytes to give at once; offsets are multiples of it."""

    def prepare(self, offset: int, data: bytes) -> list[tuple[int, bytes]]:
        """What is to be written of a chunk; called in other threads."""

    def write(self, parts: list[tuple[int, bytes]]) -> None:
        """Write what `prepare` gave, in order."""


class ImageTarget:
    """An open image, all zeros."""

    chunk = CHUNK

    def __init__(self, image: Image, sparse: int = SPARSE) -> None:
        """`sparse` is the length of zeros that is left out, 0 to write them all."""
        self._image = image
        self._sparse = sparse

    def prepare(self, offset: int, data: bytes) -> list[tuple[int, bytes]]:
        """Leave out zeros."""
        return [(offset + first, data[first:behind]) for first, behind in runs(data, self._sparse)]

    def write(self, parts: list[tuple[int, bytes]]) -> None:
        """Write them."""
        for offset, data in parts:
            self._image.writev(offset, [data])


class WriterTarget:
    """A writer of blocks; blocks that are zero are left out."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._encode = writer.encode if isinstance(writer, StreamWriter) else bytes
        self.chunk = max(writer.block, CHUNK // writer.block * writer.block)

    def prepare(self, offset: int, data: bytes) -> list[tuple[int, bytes]]:
        """Cut into blocks, and compress those where the format does."""
        block = self._writer.block
        found = []
        for start in range(0, len(data), block):
            part = data[start : start + block]
            if part.count(0) < len(part):
                found.append(((offset + start) // block, self._encode(part)))
        return found

    def write(self, parts: list[tuple[int, bytes]]) -> None:
        """Write the blocks."""
        for number, data in parts:
            self._writer.put(number, data)


def runs(data: bytes, sparse: int) -> Iterator[tuple[int, int]]:
    """(first byte, the one behind) of what is left without the zeros that fill `sparse` aligned bytes."""
    zeros = bytes(len(data))
    if sparse == 0 or data == zeros:
        if sparse == 0 and data:
            yield 0, len(data)
        return
    first: int | None = None
    for start in range(0, len(data), sparse):
        part = data[start : start + sparse]
        if part == zeros[: len(part)]:
            if first is not None:
                yield first, start
                first = None
        elif first is None:
            first = start
    if first is not None:
        yield first, len(data)


def stored(image: Image) -> Iterator[tuple[int, int]]:
    """(offset, length) of what may be other than zero, in order; also what shows through from a backing image."""
    backed = getattr(image, "backing", None) is not None
    for extent in image.extents(0, image.size):
        if not extent.zero and (extent.data or backed):
            yield extent.offset, extent.length


def chunks(image: Image, size: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of the aligned chunks that hold anything, in order, each once."""
    behind = 0
    for offset, length in stored(image):
        start = max(offset // size * size, behind)
        while start < offset + length:
            behind = start + size
            yield start, min(size, image.size - start)
            start = behind


def copy(source: Image, target: Target, advance: Advance) -> None:
    """Copy a disk's content; `advance` is told the bytes of the disk that are behind us. Raises `OSError`."""
    waiting: deque[tuple[int, Future[list[tuple[int, bytes]]]]] = deque()
    told = 0
    pool = ThreadPoolExecutor(READERS)
    try:
        for offset, length in chunks(source, target.chunk):
            waiting.append((offset + length, pool.submit(_fetch, source, target, offset, length)))
            if len(waiting) == UNDER_WAY:
                told = _write_next(waiting, target, advance, told)
        while waiting:
            told = _write_next(waiting, target, advance, told)
    finally:
        pool.shutdown(cancel_futures=True)
    advance(source.size - told)


def _fetch(source: Image, target: Target, offset: int, length: int) -> list[tuple[int, bytes]]:
    try:
        data = read(source, offset, length)
    except OSError as error:
        raise UserError(f"Can't read the disk at byte {offset}: {error.strerror or error}.") from error
    return target.prepare(offset, data)


def _write_next(
    waiting: deque[tuple[int, Future[list[tuple[int, bytes]]]]], target: Target, advance: Advance, told: int
) -> int:
    end, future = waiting.popleft()
    target.write(future.result())
    advance(end - told)
    return end


def first_difference(one: Image, other: Image, advance: Advance) -> int | None:
    """The first byte in which two disks differ, what one of them lacks at the end read as zeros; None where equal."""
    both = sorted({*chunks(one, CHUNK), *chunks(other, CHUNK)})
    for offset, length in both:
        mine, theirs = _padded(one, offset, length), _padded(other, offset, length)
        if mine != theirs:
            return next(offset + at for at in range(length) if mine[at] != theirs[at])
        advance(length)
    return None


def _padded(image: Image, offset: int, length: int) -> bytes:
    there = max(min(length, image.size - offset), 0)
    return read(image, offset, there // SECTOR * SECTOR).ljust(length, b"\0")
