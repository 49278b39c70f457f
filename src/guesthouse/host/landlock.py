"""Landlock: a process gives up opening files and reaching the network, for good.

Source: landlock(7) and the kernel's userspace-api/landlock document.
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files a version of the interface knows (the versions that added some)."""
NET_VERSION, NET_RIGHTS = 4, 0x3
SCOPE_VERSION, SCOPES = 6, 0x3
ATTRIBUTE = struct.Struct("<QQQ")
PATH_BENEATH, READ_FILE, READ_FOLDER = 1, 1 << 2, 1 << 3
NEVER_SHARED = 1 << 0 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 15
"""To execute, to make devices of characters, sockets and devices of blocks, and requests to devices."""
PATH_RULE = struct.Struct("<Qi")


def landlock_version(libc: ctypes.CDLL) -> int:
    """The version of the interface that this kernel offers; 0 where it has none or has it switched off."""
    return max(0, int(libc.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)))


def forbid_files_and_network(libc: ctypes.CDLL, readable: Sequence[Path] = (), networking: bool = False) -> str:
    """Deny every opening, creation and connection to this thread and those it starts; "" or why that is not possible.

    Files below the folders `readable` may still be opened for reading; a folder that is not there is left out. With
    `networking`, connections may be made. Descriptors that are open already keep working. Needs no-new-privileges.
    """
    version = landlock_version(libc)
    if not version:
        return "the kernel has no landlock"
    rights = (1 << max(count for since, count in FILE_RIGHTS.items() if since <= version)) - 1
    net = NET_RIGHTS if version >= NET_VERSION and not networking else 0
    scopes = SCOPES if version >= SCOPE_VERSION else 0
    size = ATTRIBUTE.size if scopes else 16 if version >= NET_VERSION else 8
    ruleset = libc.syscall(CREATE_RULESET, ATTRIBUTE.pack(rights, net, scopes), size, 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for folder in readable:
            _allow_reading(libc, ruleset, folder)
        if libc.syscall(RESTRICT_SELF, ruleset, 0):
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(ruleset)
    return ""


def restrict_to_folder(libc: ctypes.CDLL, descriptor: int, readonly: bool) -> str:
    """Deny the files outside one open folder, and the network, to this process; "" or why that is not possible.

    In the folder nothing may be executed, and no device or socket be made; with `readonly` files may only be read.
    Descriptors that are open already keep working. Needs no-new-privileges to be set.
    """
    version = landlock_version(libc)
    if not version:
        return "the kernel has no landlock"
    rights = (1 << max(count for since, count in FILE_RIGHTS.items() if since <= version)) - 1
    net = NET_RIGHTS if version >= NET_VERSION else 0
    scopes = SCOPES if version >= SCOPE_VERSION else 0
    size = ATTRIBUTE.size if scopes else 16 if net else 8
    ruleset = libc.syscall(CREATE_RULESET, ATTRIBUTE.pack(rights, net, scopes), size, 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        allowed = rights & (READ_FILE | READ_FOLDER if readonly else ~NEVER_SHARED)
        rule = PATH_RULE.pack(allowed, descriptor)
        if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0) or libc.syscall(RESTRICT_SELF, ruleset, 0):
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(ruleset)
    return ""


def _allow_reading(libc: ctypes.CDLL, ruleset: int, folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, PATH_RULE.pack(READ_FILE | READ_FOLDER, descriptor), 0)
    finally:
        os.close(descriptor)
