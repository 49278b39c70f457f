"""Confinement of the process that runs a guest: whatever the guest may break out of, there is nothing to reach.

In order: no new privileges, empty namespaces, landlock, a seccomp filter. Each stands alone, so that a host without
one of them still has the others. Sources: prctl(2), unshare(2), and what `landlock` and `seccomp` name.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from guesthouse.host.landlock import forbid_files_and_network, landlock_version, restrict_to_folder
from guesthouse.host.memory import LIBC
from guesthouse.host.seccomp import forbid_system_calls, seccomp_missing

PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE = 38, 4
NEW_MOUNTS, NEW_UTS, NEW_IPC, NEW_USER, NEW_NETWORK = 0x2_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x4000_0000
NAMESPACES = NEW_USER | NEW_MOUNTS | NEW_UTS | NEW_IPC | NEW_NETWORK

Measures = dict[str, str]
"""Name of a measure -> "" where it holds, else why it does not."""


def confine(readable: Sequence[Path] = (), *, accepting: bool = False, networking: bool = False) -> Measures:
    """Give up, for good, everything that running a guest does not need; says which measures hold.

    Files in the folders `readable` may still be read, where landlock can limit it to them; else nothing may. With
    `accepting`, sockets that listen already may take in clients; with `networking`, the host's network stays in reach.
    To be called by the only thread of the process, with all files open; threads started later are confined too.
    """
    done = {"no new privileges": _forbid_privileges(), "namespaces": _leave_namespaces(networking)}
    done["landlock"] = forbid_files_and_network(LIBC, readable, networking)
    reading = bool(readable) and not done["landlock"]
    done["seccomp"] = forbid_system_calls(LIBC, reading, accepting, networking)
    return done


def confine_to_folder(folder: int, readonly: bool) -> Measures:
    """Give up, for good, everything that serving one open folder does not need; says which measures hold.

    To be called by the only thread of the process. The namespaces stay: the owners of files are told by them.
    """
    done = {"no new privileges": _forbid_privileges()}
    done["landlock"] = restrict_to_folder(LIBC, folder, readonly)
    done["seccomp"] = forbid_system_calls(LIBC, folder="read" if readonly else "write")
    return done


def confine_to_sockets(folder: int) -> Measures:
    """Give up, for good, all but the descriptors that are open and Unix sockets below one open folder.

    That folder becomes the current one, and the root: landlock knows no rights to connect to a name. Says which
    measures hold. To be called by the only thread of the process.
    """
    os.fchdir(folder)
    done = {"no new privileges": _forbid_privileges(), "namespaces": _leave_namespaces(networking=False)}
    done["root"] = _reason(LIBC.chroot(b".") != 0)
    done["landlock"] = forbid_files_and_network(LIBC)
    done["seccomp"] = forbid_system_calls(LIBC, dialing=True)
    return done


def _reason(failed: bool) -> str:
    return os.strerror(ctypes.get_errno()) if failed else ""


def _forbid_privileges() -> str:
    return _reason(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)


def _leave_namespaces(networking: bool) -> str:
    """Into a user namespace that maps nobody, with mounts of its own, and no network unless that is needed."""
    return _reason(LIBC.unshare(NAMESPACES & ~NEW_NETWORK if networking else NAMESPACES) != 0)


def try_confinement() -> Measures:
    """What `confine` achieves on this host, found by a child process that does it and ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            text = "\n".join(f"{name}\t{reason}" for name, reason in confine().items())
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        lines = answer.read().decode().splitlines()
    os.waitpid(child, 0)
    if not lines:
        return {"confinement": "the trial process was killed"}
    return dict(line.split("\t", 1) for line in lines)


def offered() -> dict[str, str]:
    """What this host's kernel has, as text by name, without trying it."""
    version = landlock_version(LIBC)
    return {
        "landlock": f"version {version}" if version else "none",
        "seccomp": seccomp_missing(LIBC) or "filters",
    }
