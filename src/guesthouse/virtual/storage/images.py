"""Opening disk images that machines run from: raw and qcow2, with all an image is based on."""

from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.qcow2.create import open_qcow2
from guesthouse.virtual.storage.qcow2.header import BACKING_FORMAT, MAGIC, parse_header, read_at
from guesthouse.virtual.storage.raw import RawImage

DEEPEST = 200
"""The most images in a chain."""


def open_image(
    path: str, readonly: bool = False, kind: str | None = None, chain: tuple[tuple[int, int], ...] = ()
) -> Image:
    """The image in a file, locked against a second writer; raises `UserError` where it can't be used.

    `kind` is raw or qcow2; without it the first bytes tell, and a raw image then refuses writes that would make it look
    like a qcow2 image. `chain` names the files (device, inode) that lead here.
    """
    file = HostFile(path, readonly)
    try:
        if kind == "qcow2" or (kind is None and read_at(file, 0, 4) == MAGIC):
            return _open_qcow2(file, readonly, chain)
        if kind not in (None, "raw"):
            raise UserError(f"An image can't be based on the {kind} image {path}; convert that one to qcow2 first.")
        return RawImage(file, readonly, probed=kind is None)
    except OSError as error:
        file.close()
        raise UserError(f"Can't read the image {path}: {error.strerror or error}.") from error
    except BaseException:
        file.close()
        raise


def _open_qcow2(file: HostFile, readonly: bool, chain: tuple[tuple[int, int], ...]) -> Image:
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
