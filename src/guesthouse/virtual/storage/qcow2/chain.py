"""A QCOW2 image with all that it is based on."""

from collections.abc import Callable
from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.qcow2.create import open_qcow2
from guesthouse.virtual.storage.qcow2.header import BACKING_FORMAT, parse_header

DEEPEST = 200
"""The most images in a chain."""

Chain = tuple[tuple[int, int], ...]
"""The files (device, inode) that lead to an image."""


def open_chain(file: HostFile, readonly: bool, chain: Chain, open_image: Callable[..., Image]) -> Image:
    """The QCOW2 image in a file, locked already, with the images it is based on, which `open_image` opens."""
    header = parse_header(file, f"The QCOW2 image {file.path}")
    backing = None
    here = file.identity
    if here in chain:
        raise UserError(f"The image {file.path} is based on itself; give it another backing file.")
    if len(chain) >= DEEPEST:
        raise UserError(f"The image {file.path} is the end of a chain of more than {DEEPEST}; convert one of them.")
    if header.backing:
        name = header.backing.removeprefix("file:")
        if name.startswith("json:") or "\0" in name:
            raise UserError(f"The image {file.path} is based on {name!r}, which is no file; rebase it onto one.")
        kind = header.extension(BACKING_FORMAT)
        backing = open_image(
            str(Path(file.path).parent / name), True, kind.decode("utf-8", "replace") if kind else None, (*chain, here)
        )
    try:
        return open_qcow2(file, readonly, backing)
    except BaseException:
        if backing is not None:
            backing.close()
        raise
