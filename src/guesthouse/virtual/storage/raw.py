"""A raw disk image: byte n of the disk is byte n of the file; holes of the file read as zeros."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

from guesthouse.errors import UserError
from guesthouse.virtual.storage.block import SECTOR, Extent, check_range, check_write, length_of

ZEROS = 1 << 20
DECEIVING = b"QFI\xfb"
"""A guest that can write this to a disk opened by its bytes would next time choose what files of the host it is."""


class File(Protocol):
    """An open file of the host, as `guesthouse.host.files` gives; every method may raise `OSError`."""

    @property
    def size(self) -> int:
        """The file's length in bytes."""

    def preadv(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Fill the buffers; returns the bytes read, fewer only at the end of the file."""

    def pwritev(self, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write all of the buffers, one behind the other."""

    def zero(self, offset: int, length: int, discard: bool) -> bool:
        """Zero a range without writing it, giving its space back where `discard` is set; false where that can't be."""

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(first byte, the one behind) of what is no hole."""

    def truncate(self, size: int) -> None:
        """Set the length in bytes."""

    def flush(self) -> None:
        """Return once the data would survive a loss of power."""

    def close(self) -> None:
        """Close and unlock the file."""


def read_at(file: File, offset: int, length: int) -> bytes:
    """Bytes of a file, zeros behind its end."""
    data = bytearray(length)
    file.preadv([memoryview(data)], offset)
    return bytes(data)


class RawImage:
    """A raw image as a block backend; a last part-sector reads as if filled up with zeros."""

    format: ClassVar[str] = "raw"

    def __init__(self, file: File, readonly: bool = False, probed: bool = False) -> None:
        """Take over an open file; `probed`: nobody but its first bytes said that it is raw."""
        self.file = file
        self._readonly = readonly
        self._probed = probed
        self._size = -(-file.size // SECTOR) * SECTOR
        if not self._size:
            raise UserError("The disk image is empty; give it a size first, for example with `truncate -s 1G FILE`.")

    @property
    def size(self) -> int:
        """The capacity in bytes."""
        return self._size

    @property
    def readonly(self) -> bool:
        """Whether writes are refused."""
        return self._readonly

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        """Fill the buffers, in order; raises `OSError` outside the disk."""
        check_range(self, offset, length_of(buffers))
        done = self.file.preadv(buffers, offset)
        for buffer in buffers:
            if done < len(buffer):
                buffer[max(done, 0) :] = bytes(len(buffer) - max(done, 0))
            done -= len(buffer)

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        """Write the buffers, in order; raises `OSError` outside the disk or where it is read-only."""
        check_write(self, offset, length_of(buffers))
        if self._probed and not offset and next((bytes(part[:4]) for part in buffers if len(part)), b"") == DECEIVING:
            raise OSError("this would make the disk look like another format; name its format to allow it")
        self.file.pwritev(buffers, offset)

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        """Make a range read as zeros, giving its space back where `unmap` is set."""
        check_write(self, offset, length)
        if length == 0 or self.file.zero(offset, length, unmap):
            return
        end = offset + length
        for start in range(offset, end, ZEROS):
            self.file.pwritev([bytes(min(ZEROS, end - start))], start)

    def discard(self, offset: int, length: int) -> None:
        """Give a range's space back; it reads as zeros where the host can do that."""
        check_write(self, offset, length)
        if length:
            self.file.zero(offset, length, True)

    def flush(self) -> None:
        """Return once all that was written would survive a loss of power."""
        if not self._readonly:
            self.file.flush()

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The file's data and holes."""
        check_range(self, offset, length)
        at, end = offset, offset + length
        for first, behind in self.file.data_ranges(offset, length):
            if first > at:
                yield Extent(at, first - at, data=False, zero=True)
            behind = min(-(-behind // SECTOR) * SECTOR, end)
            yield Extent(first, behind - first, data=True, zero=False, position=first)
            at = behind
        if at < end:
            yield Extent(at, end - at, data=False, zero=True)

    def resize(self, size: int) -> None:
        """Set the capacity in bytes, a multiple of 512."""
        check_write(self, 0, 0)
        self.file.truncate(size)
        self._size = size

    def info(self) -> dict[str, Any]:
        """Nothing: the file is the disk."""
        return {}

    def close(self) -> None:
        """Close and unlock the file."""
        self.file.close()
