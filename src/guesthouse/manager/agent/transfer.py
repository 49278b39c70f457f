"""Copying files and folders between host and guest, with permissions, symbolic links and times.

As `cp -a` names things: what is copied to a folder that exists lands inside it, under its own name; else the target is
its new name. Devices, pipes and sockets are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.trees import Entry, Folder, is_folder, opened_folder, split_path, told_of_files
from guesthouse.manager.agent.calls import DIRECTORY, LINK, REGULAR, CallFailed, Calls, shown

DEEPEST = 256
Told = Callable[[str], None]


class Copied(msgspec.Struct):
    """What was copied: files, folders and links, and bytes in files; what was left out, by path."""

    files: int = 0
    folders: int = 0
    links: int = 0
    size: int = 0
    left_out: list[str] = []


class _Copy:
    """One copy under way; `told` hears of each path."""

    def __init__(self, calls: Calls, told: Told) -> None:
        self._calls = calls
        self._told = told
        self.copied = Copied(left_out=[])

    def _enter(self, path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise UserError(f"Folders are nested more than {DEEPEST} deep at {path}; copy a part of them.")
        self._told(path)

    # --- to the guest -------------------------------------------------------------------------------------------------

    def put(self, folder: Folder, name: str, target: bytes, depth: int = 0) -> None:
        """Copy what is called `name` in a folder of the host to a path of the guest."""
        path = f"{folder.shown}/{name}"
        self._enter(path, depth)
        entry = folder.look(name)
        if entry is None:
            raise UserError(f"There is no file {path} on the host.")
        if entry.kind == DIRECTORY:
            self._put_folder(folder, name, target, depth)
        elif entry.kind == REGULAR:
            self.copied.size += self._calls.write_file(target, folder.read(name), 0o600)
            self.copied.files += 1
        elif entry.kind == LINK:
            self._calls.make_link(target, os.fsencode(folder.read_link(name)))
            self.copied.links += 1
        else:
            self.copied.left_out.append(path)
            return
        self._finish_in_guest(entry, target)

    def _put_folder(self, folder: Folder, name: str, target: bytes, depth: int) -> None:
        self._calls.make_folder(target, 0o700)
        self.copied.folders += 1
        with folder.folder(name) as inner:
            for inside in inner.names():
                self.put(inner, inside, target + b"/" + os.fsencode(inside), depth + 1)

    def _finish_in_guest(self, entry: Entry, target: bytes) -> None:
        if entry.kind != LINK:
            self._calls.change_mode(target, entry.mode & 0o7777)
        self._calls.change_time(target, entry.mtime)

    # --- from the guest -----------------------------------------------------------------------------------------------

    def get(self, source: bytes, folder: Folder, name: str, depth: int = 0) -> None:
        """Copy what is at a path of the guest into a folder of the host, under a name."""
        self._enter(shown(source), depth)
        entry = self._calls.stat(source)
        if entry.kind == DIRECTORY:
            self._get_folder(source, folder, name, depth)
        elif entry.kind == REGULAR:
            folder.write(name, self._counted(source))
            self.copied.files += 1
        elif entry.kind == LINK:
            folder.make_link(name, os.fsdecode(self._calls.read_link(source)))
            self.copied.links += 1
        else:
            self.copied.left_out.append(shown(source))
            return
        folder.finish(name, entry.mode, entry.mtime)

    def _counted(self, source: bytes) -> Iterator[bytes]:
        for data in self._calls.read_pieces(source, regular=True):
            self.copied.size += len(data)
            yield data

    def _get_folder(self, source: bytes, folder: Folder, name: str, depth: int) -> None:
        folder.make_folder(name)
        self.copied.folders += 1
        with folder.folder(name) as inner:
            for inside in self._calls.list_folder(source):
                self.get(source + b"/" + inside, inner, os.fsdecode(inside), depth + 1)


def copy_in(calls: Calls, source: str, target: str, told: Told = lambda path: None) -> Copied:
    """Copy a file or folder of the host into the guest. Raises UserError; what was copied by then stays."""
    path = os.fsencode(target) or b"."
    parent, name = split_path(source)
    if target.endswith("/") or _is_folder_in_guest(calls, path):
        path = path.rstrip(b"/") + b"/" + os.fsencode(name)
    copy = _Copy(calls, told)
    with told_of_files(), opened_folder(parent) as folder:
        copy.put(folder, name, path)
    return copy.copied


def copy_out(calls: Calls, source: str, target: str, told: Told = lambda path: None) -> Copied:
    """Copy a file or folder of the guest to the host. Raises UserError; what was copied by then stays."""
    path = os.fsencode(source)
    parent, name = split_path(target)
    if target.endswith("/") or is_folder(target):
        own = os.fsdecode(path.rstrip(b"/").rpartition(b"/")[2])
        if own in ("", ".", ".."):
            raise UserError(f"{source} has no name of its own; name the target file or folder instead.")
        parent, name = target, own
    copy = _Copy(calls, told)
    with told_of_files(), opened_folder(parent) as folder:
        copy.get(path, folder, name)
    return copy.copied


def _is_folder_in_guest(calls: Calls, path: bytes) -> bool:
    try:
        return calls.stat(path, follow=True).kind == DIRECTORY
    except CallFailed:
        return False
