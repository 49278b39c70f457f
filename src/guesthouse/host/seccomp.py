"""A seccomp filter for the process that runs a guest: the system calls it still may make, as a BPF program.

Sources: seccomp(2), the kernel's seccomp_filter document; x86-64 numbers from the kernel's syscall_64.tbl.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

import msgspec

AUDIT_ARCH_X86_64 = 0xC000003E
X32 = 0x4000_0000
NR_OFFSET, ARCH_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
KILL_PROCESS, ERRNO, ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
INSTRUCTION = struct.Struct("<HBBI")

SECCOMP, SET_MODE_FILTER, GET_ACTION_AVAILABLE = 317, 1, 2
THREAD_SYNC = 1

PROT_EXEC, CLONE_THREAD, AT_EMPTY_PATH = 0x4, 0x1_0000, 0x1000
OPEN_CHANGES = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_EXCL
CLONE3, ACCEPT4 = 435, 288

ALWAYS = {
    # bytes through descriptors that are open already
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20,
    "fsync": 74, "fdatasync": 75, "ftruncate": 77, "fallocate": 285, "preadv": 295, "pwritev": 296,
    "preadv2": 327, "pwritev2": 328,
    # waiting
    "poll": 7, "sched_yield": 24, "select": 23, "pause": 34, "nanosleep": 35, "futex": 202, "restart_syscall": 219,
    "clock_nanosleep": 230, "epoll_wait": 232, "epoll_ctl": 233, "pselect6": 270, "ppoll": 271, "epoll_pwait": 281,
    "epoll_pwait2": 441,
    # memory; what would be executable is refused below
    "munmap": 11, "brk": 12, "mremap": 25, "madvise": 28,
    # signals of its own, threads, the end
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "exit": 60, "wait4": 61, "sigaltstack": 131,
    "gettid": 186, "set_tid_address": 218, "exit_group": 231, "waitid": 247, "set_robust_list": 273, "rseq": 334,
    # harmless questions
    "getpid": 39, "getrusage": 98, "gettimeofday": 96, "times": 100, "getppid": 110, "sched_getaffinity": 204,
    "time": 201, "clock_gettime": 228, "clock_getres": 229, "getcpu": 309, "getrandom": 318,
}  # fmt: skip


FOLDER = {
    # names in folders, files and their attributes; what may be reached is landlock's to say
    "openat": 257, "newfstatat": 262, "readlinkat": 267, "getdents64": 217, "fstatfs": 138, "preadv2": 327,
    "getxattr": 191, "fgetxattr": 193, "flistxattr": 196,
}  # fmt: skip
FOLDER_CHANGES = {
    "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268,
    "utimensat": 280, "fsetxattr": 190, "fremovexattr": 199,
}  # fmt: skip


DIALING = {"accept4": ACCEPT4, "connect": 42, "shutdown": 48}
"""To take clients in and to reach other programs: of this host, as `UNIX_SOCKETS` are all that can be made."""


class Rule(msgspec.Struct, frozen=True):
    """A system call allowed only where argument `argument`, masked, has this value (its low 32 bits)."""

    number: int
    argument: int
    mask: int
    value: int


NETWORKING = {
    "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48,
    "getsockname": 51, "getpeername": 52, "setsockopt": 54, "getsockopt": 55, "accept4": ACCEPT4,
}  # fmt: skip
SOCKETS = [Rule(41, 0, 0xFFFF_FFFF, 2), Rule(41, 0, 0xFFFF_FFFF, 10), Rule(16, 1, 0xFFFF_FFFF, 0x5421)]
"""socket: of IPv4 and IPv6 only; ioctl: FIONBIO, which makes a socket not wait."""

OPEN_FOR_READING = Rule(257, 2, OPEN_CHANGES, 0)  # openat


LOCK_RULES = [Rule(72, 1, 0xFFFF_FFFF, command) for command in (36, 37)]  # fcntl: F_OFD_GETLK, F_OFD_SETLK
UNIX_SOCKETS = Rule(41, 0, 0xFFFF_FFFF, 1)  # socket: AF_UNIX
PIPE_RULE = Rule(259, 2, 0xF000, 0x1000)  # mknodat: named pipes


def rules(pid: int) -> list[Rule]:
    """The system calls that are allowed under a condition, for the process `pid`."""
    commands = (1, 2, 3, 4)  # F_GETFD, F_SETFD, F_GETFL, F_SETFL
    return [
        Rule(9, 2, PROT_EXEC, 0),  # mmap
        Rule(10, 2, PROT_EXEC, 0),  # mprotect
        Rule(56, 0, CLONE_THREAD, CLONE_THREAD),  # clone: threads, never processes
        Rule(234, 0, 0xFFFF_FFFF, pid),  # tgkill: itself, as abort does
        Rule(262, 3, AT_EMPTY_PATH, AT_EMPTY_PATH),  # newfstatat: of a descriptor
        *(Rule(72, 1, 0xFFFF_FFFF, command) for command in commands),  # fcntl
    ]


def program(allowed: Sequence[int], conditional: Sequence[Rule]) -> bytes:
    """The filter: a foreign architecture is killed, what is not allowed fails with EPERM (clone3 with ENOSYS).

    The C library takes ENOSYS as the sign to use clone, whose flags a filter can see.
    """
    code = [
        _op(LOAD, ARCH_OFFSET),
        _op(EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        _op(RETURN, KILL_PROCESS),
        _op(LOAD, NR_OFFSET),
        _op(AT_LEAST, X32, 0, 1),
        _op(RETURN, KILL_PROCESS),
    ]
    for number in allowed:
        code += [_op(EQUAL, number, 0, 1), _op(RETURN, ALLOW)]
    for rule in conditional:
        code += [
            _op(EQUAL, rule.number, 0, 5),
            _op(LOAD, ARGUMENTS_OFFSET + 8 * rule.argument),
            _op(AND, rule.mask),
            _op(EQUAL, rule.value, 0, 1),
            _op(RETURN, ALLOW),
            _op(LOAD, NR_OFFSET),
        ]
    code += [_op(EQUAL, CLONE3, 0, 1), _op(RETURN, ERRNO | errno.ENOSYS), _op(RETURN, ERRNO | errno.EPERM)]
    return b"".join(code)


def _op(code: int, k: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return INSTRUCTION.pack(code, when_true, when_false, k)


def seccomp_missing(libc: ctypes.CDLL) -> str:
    """Why no filter can be set on this host; "" where one can."""
    if platform.machine() != "x86_64":
        return f"the filter is not written for {platform.machine()} processors"
    if libc.syscall(SECCOMP, GET_ACTION_AVAILABLE, 0, struct.pack("<I", KILL_PROCESS)):
        return "the kernel has no seccomp filters"
    return ""


def forbid_system_calls(
    libc: ctypes.CDLL,
    reading: bool = False,
    accepting: bool = False,
    networking: bool = False,
    folder: str = "",
    dialing: bool = False,
) -> str:
    """Filter the system calls of every thread of this process; "" or why that is not possible.

    With `reading`, files may be opened for reading: to be asked for only where landlock says which. With `accepting`,
    clients may be taken in at sockets that listen already; with `networking`, connections be made; with `dialing`,
    both, but with Unix sockets only. With `folder` ("read" or "write") files may be opened, or made and changed too,
    which landlock limits to one folder. Needs no-new-privileges to be set.
    """
    if missing := seccomp_missing(libc):
        return missing
    allowed = [*ALWAYS.values(), *([ACCEPT4] if accepting else [])]
    allowed += NETWORKING.values() if networking else []
    conditional = [*rules(os.getpid()), *(SOCKETS if networking else []), *([OPEN_FOR_READING] if reading else [])]
    if dialing:
        allowed += DIALING.values()
        conditional.append(UNIX_SOCKETS)
    if folder:
        allowed += FOLDER.values()
        conditional += LOCK_RULES
    if folder == "write":
        allowed += FOLDER_CHANGES.values()
        conditional.append(PIPE_RULE)
    code = program(allowed, conditional)
    holder = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("<HxxxxxxQ", len(code) // INSTRUCTION.size, ctypes.addressof(holder))
    result = libc.syscall(SECCOMP, SET_MODE_FILTER, THREAD_SYNC, head)
    if result:
        return "a thread refuses the filter" if result > 0 else os.strerror(ctypes.get_errno())
    return ""
