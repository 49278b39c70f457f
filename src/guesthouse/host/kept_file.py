"""A file that is read again later: opened once, so that a process that has confined itself still can."""

from __future__ import annotations

import os
from pathlib import Path

from guesthouse.errors import UserError

CHUNK = 1 << 20


class KeptFile:
    """An open file, read whole whenever it is wanted."""

    def __init__(self, path: Path | str, purpose: str) -> None:
        """Open it; `purpose` names it in sentences, such as "the kernel". Raises UserError where that can't be."""
        self.path = Path(path)
        self.purpose = purpose
        try:
            if self.path.is_dir():
                raise UserError(f"{self.path} is a folder; give the file that holds {purpose}.")
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError | ValueError) -> UserError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return UserError(f"Can't read {self.purpose} {self.path}: {reason}.")

    def read(self) -> bytes:
        """The whole content as it is now."""
        try:
            data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
            parts, offset = [data], len(data)
            while part := os.pread(self._descriptor, CHUNK, offset):  # a file that grows, or does not tell its size
                parts.append(part)
                offset += len(part)
        except OSError as error:
            raise self._failed(error) from error
        return b"".join(parts) if len(parts) > 1 else data

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class KeptBytes:
    """Bytes that stand for a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        """The content."""
        return self._data

    def close(self) -> None:
        """Nothing is open."""


Content = KeptFile | KeptBytes


def keep(path: str, data: bytes, purpose: str) -> Content:
    """The file at a path, or the bytes where the path is empty."""
    return KeptFile(path, purpose) if path else KeptBytes(data)
