"""A raw disk image: sector n is at byte 512 n."""

from typing import Protocol

from guesthouse.errors import UserError

SECTOR = 512
ZEROS = 1 << 20


class File(Protocol):
    """An open file of the host, as `guesthouse.host.files` gives; every method may raise `OSError`."""

    @property
    def size(self) -> int:
        """The file's length in bytes."""

    def pread(self, length: int, offset: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write all of `data`."""

    def zero(self, offset: int, length: int, discard: bool) -> bool:
        """Zero a range without writing it, giving its space back where `discard` is set; false where that can't be."""

    def flush(self) -> None:
        """Return once the data would survive a loss of power."""


class RawDisk:
    """A raw image as a block backend; a last part-sector reads as if filled up with zeros."""

    def __init__(self, file: File, readonly: bool = False) -> None:
        self.file = file
        self._readonly = readonly
        self._sectors = (file.size + SECTOR - 1) // SECTOR
        if not self._sectors:
            raise UserError("The disk image is empty; give it a size first, for example with `truncate -s 1G FILE`.")

    @property
    def sectors(self) -> int:
        """The capacity in sectors, fixed when the image was opened."""
        return self._sectors

    @property
    def readonly(self) -> bool:
        """Whether writes are refused."""
        return self._readonly

    def _check(self, sector: int, count: int) -> None:
        if sector < 0 or count < 0 or sector + count > self._sectors:
            raise OSError("outside the disk")

    def _check_write(self, sector: int, count: int) -> None:
        if self._readonly:
            raise OSError("the disk is read-only")
        self._check(sector, count)

    def read(self, sector: int, count: int) -> bytes:
        """Read `count` sectors; raises `OSError` outside the disk."""
        self._check(sector, count)
        return self.file.pread(count * SECTOR, sector * SECTOR).ljust(count * SECTOR, b"\0")

    def write(self, sector: int, data: bytes) -> None:
        """Write whole sectors; raises `OSError` outside the disk or where it is read-only."""
        count, rest = divmod(len(data), SECTOR)
        if rest:
            raise OSError("not whole sectors")
        self._check_write(sector, count)
        self.file.pwrite(data, sector * SECTOR)

    def zero(self, sector: int, count: int, discard: bool) -> None:
        """Make sectors read as zeros, giving their space back where `discard` is set."""
        self._check_write(sector, count)
        start, end = sector * SECTOR, (sector + count) * SECTOR
        if count == 0 or self.file.zero(start, end - start, discard):
            return
        for offset in range(start, end, ZEROS):
            self.file.pwrite(bytes(min(ZEROS, end - offset)), offset)

    def flush(self) -> None:
        """Return once all that was written would survive a loss of power."""
        if not self._readonly:
            self.file.flush()
