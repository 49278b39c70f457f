"""Opening disk images that machines run from: raw and qcow2, with all an image is based on."""

from importlib import import_module

from guesthouse.errors import UserError
from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.raw import RawImage, read_at

QCOW2 = "guesthouse.virtual.storage.qcow2.chain"  # imported where there is one: that takes longer than to open it
QCOW2_MAGIC = b"QFI\xfb"


def open_image(
    path: str, readonly: bool = False, kind: str | None = None, chain: tuple[tuple[int, int], ...] = ()
) -> Image:
    """The image in a file, locked against a second writer; raises `UserError` where it can't be used.

    `kind` is raw or qcow2; without it the first bytes tell, and a raw image then refuses writes that would make it look
    like a qcow2 image. `chain` names the files (device, inode) that lead here.
    """
    file = HostFile(path, readonly)
    try:
        if kind == "qcow2" or (kind is None and read_at(file, 0, len(QCOW2_MAGIC)) == QCOW2_MAGIC):
            image: Image = import_module(QCOW2).open_chain(file, readonly, chain, open_image)
            return image
        if kind not in (None, "raw"):
            raise UserError(f"An image can't be based on the {kind} image {path}; convert that one to qcow2 first.")
        return RawImage(file, readonly, probed=kind is None)
    except OSError as error:
        file.close()
        raise UserError(f"Can't read the image {path}: {error.strerror or error}.") from error
    except BaseException:
        file.close()
        raise
