"""Opening disk images of any format."""

from guesthouse.host.files import HostFile
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.raw import RawImage


def open_image(path: str, readonly: bool = False) -> Image:
    """The image in a file, locked against a second writer; raises `UserError` where it can't be used."""
    file = HostFile(path, readonly)
    try:
        return RawImage(file, readonly)
    except BaseException:
        file.close()
        raise
