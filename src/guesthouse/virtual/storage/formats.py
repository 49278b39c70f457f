"""The formats of disk images by name: which one a file has, how it is opened, how one is written."""

from pathlib import Path
from typing import Protocol

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.images import open_image
from guesthouse.virtual.storage.raw import File, RawImage
from guesthouse.virtual.storage.vdi import SIGNATURE, VdiImage, VdiWriter
from guesthouse.virtual.storage.vhd import COOKIE, VhdImage, VhdWriter
from guesthouse.virtual.storage.vhdx import VhdxImage
from guesthouse.virtual.storage.vmdk import TEXT_START, VmdkImage
from guesthouse.virtual.storage.vmdk_writer import StreamWriter, VmdkWriter

READABLE = ("raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx")
OTHER_NAMES = {"vhd": "vpc"}
SUBFORMATS = {
    "vmdk": ("monolithicSparse", "streamOptimized"),
    "vdi": ("dynamic", "fixed"),
    "vpc": ("dynamic", "fixed"),
}
QCOW2_MAGIC = b"QFI\xfb"


class Writer(Protocol):
    """Writes an image of a fixed capacity, its blocks from first to last; blocks left out read as zeros."""

    @property
    def block(self) -> int:
        """Bytes of a block."""

    def put(self, number: int, data: bytes) -> None:
        """Write a block, the disk's last one perhaps short; numbers rise."""

    def finish(self) -> None:
        """Write what makes it an image."""


def named(name: str) -> str:
    """A format by the name a user gave; raises `UserError` for one that is not known."""
    found = OTHER_NAMES.get(name.lower(), name.lower())
    if found not in READABLE:
        raise UserError(f"The format {name!r} is not known; these are: {', '.join(READABLE)}.")
    return found


def probe(path: str) -> str:
    """The format of a file by its first bytes and its last ones; raw where it is none that we know."""
    with HostFile(path, readonly=True) as file:
        head, tail = bytearray(512), bytearray(512)
        file.preadv([memoryview(head)], 0)
        file.preadv([memoryview(tail)], max(file.size - 512, 0))
    if head.startswith(QCOW2_MAGIC):
        return "qcow2"
    if head.startswith(b"KDMV") or head.startswith(TEXT_START):
        return "vmdk"
    if head[64:68] == SIGNATURE.to_bytes(4, "little"):
        return "vdi"
    if head.startswith(b"vhdxfile"):
        return "vhdx"
    return "vpc" if head.startswith(COOKIE) or tail.startswith(COOKIE) else "raw"


def open_disk(path: str, kind: str | None = None, readonly: bool = True) -> Image:
    """Open an image of a format, or of that which its bytes tell; raises `UserError` where it can't be used.

    A guest chooses what a raw disk's first bytes are, so name the format of disks that are not your own.
    """
    kind = kind or probe(path)
    if kind == "qcow2":
        return open_image(path, readonly, kind)
    file = HostFile(path, readonly or kind != "raw")
    try:
        return _opened(file, kind, readonly)
    except OSError as error:
        file.close()
        raise UserError(f"Can't read the image {path}: {error.strerror or error}.") from error
    except BaseException:
        file.close()
        raise


def _opened(file: HostFile, kind: str, readonly: bool) -> Image:
    folder = file.path.parent
    if kind == "vmdk":
        return VmdkImage(file, lambda name: HostFile(folder / name, readonly=True))
    if kind == "vdi":
        return VdiImage(file)
    if kind == "vpc":
        return VhdImage(file)
    if kind == "vhdx":
        return VhdxImage(file)
    return RawImage(file, readonly)


def writer(kind: str, subformat: str | None, file: File, size: int, path: Path) -> Writer:
    """What writes an image of a foreign format; raises `UserError` for one that is only read."""
    kinds = SUBFORMATS.get(kind)
    if kinds is None:
        raise UserError(f"The format {kind} is read, not written; choose raw, qcow2, {', '.join(SUBFORMATS)}.")
    subformat = subformat or kinds[0]
    if subformat not in kinds:
        raise UserError(f"There is no subformat {subformat!r} of {kind}; choose {' or '.join(kinds)}.")
    if kind == "vmdk":
        return (StreamWriter if subformat == "streamOptimized" else VmdkWriter)(file, size, path.name)
    return (VdiWriter if kind == "vdi" else VhdWriter)(file, size, subformat == "fixed")
