"""The user's images on disk: one folder an image, described by its `image.json`.

Files are named by their content, and the description is written last in one step: a reader sees the old image or the
new one. Replaced files stay until the image is replaced again, for guests that are just starting from them.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.user_folders import (
    data_folder,
    exclusive,
    list_folder,
    make_folder,
    read_file,
    remove_file,
    write_file,
)
from guesthouse.host.whole_folders import file_digest, move_file, temporary_folder

DEFINITION = "image.json"
FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_FILE_NAME = re.compile(r"[a-z]+-[0-9a-f]{16}\Z")


class ImageDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `image.json` holds.

    `kernel`, `initrd` and `disk` name files beside it ("" for none); guests get a disk of their own that starts as a
    copy of `disk`. `append` is added to the kernel's parameters; `packages` maps the packages it was built from to
    their versions; `recipe` says which way of building made it.
    """

    name: str
    kernel: str
    initrd: str = ""
    disk: str = ""
    append: str = ""
    description: str = ""
    packages: dict[str, str] = {}
    recipe: int = 0
    format: int = FORMAT


def file_names(definition: ImageDefinition) -> list[str]:
    """The files beside `image.json` that a definition names."""
    return [name for name in (definition.kernel, definition.initrd, definition.disk) if name]


class Image(msgspec.Struct, frozen=True):
    """A stored image: its definition and the paths of its files."""

    definition: ImageDefinition
    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel's file."""
        return self.folder / self.definition.kernel

    @property
    def initrd(self) -> Path | None:
        """The initramfs, where it has one."""
        return self.folder / self.definition.initrd if self.definition.initrd else None

    @property
    def disk(self) -> Path | None:
        """The disk that guests get copies of, where it has one."""
        return self.folder / self.definition.disk if self.definition.disk else None


class ImageStore:
    """The images under one folder, the user's own unless another is given."""

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing is created before an image is stored."""
        self.folder = folder or data_folder() / "images"

    def names(self) -> list[str]:
        """The names of the images that are there, sorted."""
        return [name for name in list_folder(self.folder) if _NAME.match(name) and self.get(name)]

    def get(self, name: str) -> Image | None:
        """The image of that name, None where there is none. Raises UserError where its definition is damaged."""
        folder = self._image_folder(name)
        data = read_file(folder / DEFINITION)
        if data is None:
            return None
        try:
            definition = msgspec.json.decode(data, type=ImageDefinition)
        except msgspec.DecodeError as error:
            raise _damaged(name, str(error)) from error
        if definition.format != FORMAT or not all(_FILE_NAME.match(file) for file in file_names(definition)):
            raise _damaged(name, "a newer program made it, or its files have other names")
        return Image(definition, folder)

    def put(self, definition: ImageDefinition, files: Mapping[str, bytes | Path]) -> Image:
        """Store or replace an image; `files` has "kernel" and perhaps "initrd" and "disk", by their content or path.

        A file that is given by its path moves into the store; it must be on the same file system (see `workplace`).
        Hold the image's lock meanwhile.
        """
        folder = self._image_folder(definition.name)
        make_folder(folder)
        kept = {DEFINITION, *self._files_of(definition.name)}
        names = {role: f"{role}-{_digest(data)[:16]}" for role, data in files.items()}
        for role, data in files.items():
            if isinstance(data, Path):
                move_file(data, folder / names[role])
            else:
                write_file(folder / names[role], data)
        named = {role: names.get(role, "") for role in ("kernel", "initrd", "disk")}
        changed = msgspec.structs.replace(definition, **named)
        write_file(folder / DEFINITION, msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")
        for name in set(list_folder(folder)) - kept - set(names.values()):
            remove_file(folder / name)
        return Image(changed, folder)

    def workplace(self) -> AbstractContextManager[Path]:
        """A folder for large files in the making, on the store's file system, that is gone behind the `with`."""
        return temporary_folder(self.folder)

    def lock(self, name: str, waiting: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """The right to replace an image, held inside a `with`; where another process has it, `waiting` is called."""
        self.check_name(name)
        return exclusive(self.folder / f".{name}.lock", waiting)

    def check_name(self, name: str) -> None:
        """Raise UserError where a name can't be an image's."""
        if not _NAME.match(name):
            raise UserError(f"{name!r} can't be an image's name; use small letters, digits, '.', '_' and '-'.")

    def _image_folder(self, name: str) -> Path:
        self.check_name(name)
        return self.folder / name

    def _files_of(self, name: str) -> list[str]:
        """The files of the image as it is; none where it is missing or damaged."""
        try:
            image = self.get(name)
        except UserError:
            return []
        return file_names(image.definition) if image else []


def _digest(data: bytes | Path) -> str:
    return file_digest(data) if isinstance(data, Path) else hashlib.sha256(data).hexdigest()


def _damaged(name: str, why: str) -> UserError:
    return UserError(f"Image {name!r} can't be used ({why}); build it again with `guesthouse pull {name}`.")
