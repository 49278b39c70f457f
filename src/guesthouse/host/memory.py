"""Host memory: mappings with a known address, and code memory mapped twice.

Source: mmap(2), memfd_create(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os

from guesthouse.errors import UserError

MAP_NORESERVE = 0x4000
FAILED = ctypes.c_void_p(-1).value

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
LIBC.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _map(size: int, protection: int, flags: int, descriptor: int, purpose: str) -> int:
    address = LIBC.mmap(None, size, protection, flags, descriptor, 0)
    if address == FAILED or address is None:
        reason = os.strerror(ctypes.get_errno())
        raise UserError(f"the host gave no {size >> 20} MiB of address space for {purpose} ({reason}); ask for less")
    return int(address)


class Mapping:
    """Zeroed memory of `size` bytes at a fixed host `address`, taken from the host only where it is touched."""

    def __init__(self, size: int, purpose: str) -> None:
        self.size = size
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self.address = _map(size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, purpose)
        self.view = memoryview((ctypes.c_ubyte * size).from_address(self.address)).cast("B")

    def discard(self, offset: int, size: int) -> None:
        """Give whole pages back to the host; they read as zeros afterwards."""
        LIBC.madvise(self.address + offset, size, mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Unmap; nothing may use the address any more."""
        if self.address:
            self.view.release()
            LIBC.munmap(self.address, self.size)
            self.address = 0


class CodeMapping:
    """`size` bytes mapped twice: written at `view` (at `writable`), executed at `address`; never both in one place."""

    def __init__(self, size: int) -> None:
        self.size = size
        descriptor = os.memfd_create("guesthouse code", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            self.writable = _map(size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, "code")
            self.address = _map(size, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_SHARED, descriptor, "code")
        finally:
            os.close(descriptor)
        self.view = memoryview((ctypes.c_ubyte * size).from_address(self.writable)).cast("B")

    def close(self) -> None:
        """Unmap both; no native code may run any more."""
        if self.address:
            self.view.release()
            LIBC.munmap(self.writable, self.size)
            LIBC.munmap(self.address, self.size)
            self.address = 0


def address_of(name: str) -> int:
    """Address of a function of the host's C library."""
    return ctypes.cast(getattr(LIBC, name), ctypes.c_void_p).value or 0
