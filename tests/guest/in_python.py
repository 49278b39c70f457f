"""Runs a guest program in CPython, as a process of this host: `python -m tests.guest.in_python MODULE ARGUMENT...`.

The very functions that are compiled for the guest are called, on real memory and with real system calls; these have
other numbers here.
"""

import ctypes
import importlib
import os
import sys

from guesthouse.guest.agent import linux
from guesthouse.guest.program.words import Buffer

X86 = {
    linux.SYMLINKAT: 266, linux.UNLINKAT: 263, linux.MKDIRAT: 258, linux.MKNODAT: 259, linux.LINKAT: 265,
    linux.DUP3: 292, linux.FCNTL: 72, linux.IOCTL: 16, linux.FACCESSAT: 269, linux.CHDIR: 80, linux.FCHMODAT: 268,
    linux.FCHOWNAT: 260, linux.FCHOWN: 93, linux.OPENAT: 257, linux.CLOSE: 3, linux.PIPE2: 293, linux.GETDENTS64: 217,
    linux.READ: 0, linux.WRITE: 1, linux.PREAD64: 17, linux.PWRITE64: 18, linux.PPOLL: 271, linux.SIGNALFD4: 289,
    linux.READLINKAT: 267, linux.SYNC: 162, linux.UTIMENSAT: 280, linux.NANOSLEEP: 35, linux.CLOCK_SETTIME: 227,
    linux.KILL: 62, linux.SIGACTION: 13, linux.SIGPROCMASK: 14, linux.SETRESGID: 119, linux.SETRESUID: 117,
    linux.SETSID: 112, linux.SETGROUPS: 116, linux.UMASK: 95, linux.EXECVE: 59, linux.MMAP: 9, linux.MUNMAP: 11,
    linux.WAIT4: 61, linux.STATX: 332, linux.CLOSE_RANGE: 436,
}  # fmt: skip
TYPES = {8: ctypes.c_uint8, 16: ctypes.c_uint16, 32: ctypes.c_uint32, 64: ctypes.c_int64}


class HostSystem:
    """The system of a guest program, on this host."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._buffers: dict[object, ctypes.Array[ctypes.c_char]] = {}
        for width, kind in TYPES.items():
            setattr(self, f"load{width}", lambda address, kind=kind: self._place(kind, address).value)
            setattr(self, f"store{width}", lambda address, value, kind=kind: self._store(kind, address, value))

    def at(self, data: Buffer | bytes) -> int:
        key = data if isinstance(data, bytes) else id(data)
        if key not in self._buffers:
            content, size = (data, len(data) + 1) if isinstance(data, bytes) else (b"", data.size)
            self._buffers[key] = ctypes.create_string_buffer(content, size + 15)
            address = ctypes.addressof(self._buffers[key])
            ctypes.memmove(address + -address % 16, content, len(content))
        address = ctypes.addressof(self._buffers[key])
        return address + -address % 16

    @staticmethod
    def _place(kind: type, address: int):
        assert address % ctypes.sizeof(kind) == 0, "not aligned"
        return kind.from_address(address)

    def _store(self, kind: type, address: int, value: int) -> None:
        assert -(1 << 63) <= value < 1 << 64
        self._place(kind, address).value = value

    def call(self, number: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> int:
        assert all(-(1 << 63) <= value < 1 << 63 for value in (a, b, c, d, e, f))
        if number == linux.CLONE:
            return os.fork()
        if number == linux.EXIT_GROUP:
            os._exit(a)
        result = self._libc.syscall(X86[number], *(ctypes.c_long(value) for value in (a, b, c, d, e, f)))
        return result if result >= 0 else -ctypes.get_errno()


def run(module: str, arguments: list[str]) -> int:
    """Lay out a stack as the kernel does, and run the module's `main`."""
    system = HostSystem()
    variables = [f"{name}={value}".encode() for name, value in os.environ.items()]
    texts = [text.encode() for text in [module, *arguments]]
    words = [len(texts), *map(system.at, texts), 0, *map(system.at, variables), 0]
    stack = Buffer(8 * len(words))
    for index, word in enumerate(words):
        system.store64(system.at(stack) + 8 * index, word)
    result: int = importlib.import_module(module).main(system, system.at(stack))
    return result


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
