"""The disks of images and of guests made from them; what kind of file they are is decided here alone."""

import os
from contextlib import ExitStack
from pathlib import Path

from guesthouse.host.sparse_copy import copy_sparse
from guesthouse.host.user_folders import cache_folder, told_plainly
from guesthouse.host.whole_folders import temporary_folder

NAME = "disk"


def new_disk(folder: Path, size: int) -> Path:
    """An empty disk of that many bytes in a folder."""
    path = folder / NAME
    with told_plainly(f"write {path}"), open(path, "xb") as file:
        os.ftruncate(file.fileno(), size)
    return path


def disk_for_guest(base: Path, folder: Path) -> Path:
    """A disk in a folder that starts with what an image's has, and leaves that as it is."""
    path = folder / NAME
    copy_sparse(base, path)
    return path


def throw_away(base: Path, stack: ExitStack) -> Path:
    """A disk for one run, which `stack` removes."""
    return disk_for_guest(base, stack.enter_context(temporary_folder(cache_folder() / "runs")))
