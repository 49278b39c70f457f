"""The user's guests: one folder a guest, with its definition file and everything that this names.

The folder needs nothing outside of it (but what the user's own options named): the files of its image are in it too, as
hard links where the host can, so that it may be copied and moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Disk, GuestFile, changed, resolved
from guesthouse.guest.guest_toml import FILE, parse, write
from guesthouse.host.user_folders import data_folder, list_folder, read_file, write_file
from guesthouse.host.whole_folders import link_or_copy, remove_folder, rename_folder, temporary_folder
from guesthouse.manager.image_disks import disk_for_guest
from guesthouse.manager.store import Image

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def guests_folder() -> Path:
    """Where the guests are that have a name."""
    return data_folder() / "guests"


def names() -> list[str]:
    """The names of the guests that are there, sorted."""
    return [name for name in list_folder(guests_folder()) if _NAME.match(name) and exists(name)]


def exists(name: str) -> bool:
    """Whether there is a guest of that name."""
    return read_file(_folder(name) / FILE) is not None


def load(name: str) -> GuestFile:
    """The definition of a guest, its paths absolute; raises UserError where there is none or it is wrong."""
    if not exists(name):
        raise UserError(f"There is no guest {name!r}; `guesthouse run --name {name} IMAGE` makes one.")
    return load_path(_folder(name))


def load_path(path: Path) -> GuestFile:
    """The definition in a file, or in the folder of a guest, wherever that lies."""
    file = path / FILE if path.is_dir() else path
    text = read_file(file)
    if text is None:
        raise UserError(f"There is no definition {file}; give a guest's folder or its {FILE}.")
    try:
        return resolved(parse(text.decode(), str(file)), str(file.parent.absolute()))
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8 (byte {error.start}); save it so.") from error


def folder_of(place: str) -> Path:
    """The folder of a guest, from its name or where it lies; raises UserError where there is none."""
    if "/" in place or place.endswith(".toml"):
        load_path(Path(place))
        return Path(place) if Path(place).is_dir() else Path(place).parent
    load(place)
    return _folder(place)


def shown(name: str) -> tuple[Path, str]:
    """The folder of a guest and the text of its definition."""
    load(name)
    return _folder(name), (read_file(_folder(name) / FILE) or b"").decode()


def create(name: str, image: Image, fields: Mapping[str, Any]) -> None:
    """Make a guest from an image, with the fields that the user set; raises UserError where that can't be."""
    folder = _folder(name)
    guest = resolved(changed(GuestFile(), {**fields, "command": ()}), str(Path.cwd()))
    with temporary_folder(guests_folder()) as made:
        files = {"kernel": image.kernel, "initrd": image.initrd}
        placed = {role: link_or_copy(path, made / path.name).name for role, path in files.items() if path}
        disks = (Disk(disk_for_guest(image.disk, made).name),) if image.disk else ()
        guest = msgspec.structs.replace(
            guest,
            name=name,
            image=image.definition.name,
            description=image.definition.description,
            disks=(*disks, *guest.disks),
            append=" ".join(filter(None, [image.definition.append, guest.append])),
            **placed,
        )
        write_file(made / FILE, write(guest).encode())
        rename_folder(made, folder)


def remove(name: str) -> None:
    """Remove a guest and its disks for good; raises UserError where there is none."""
    load(name)
    remove_folder(_folder(name))


def _folder(name: str) -> Path:
    if not _NAME.match(name):
        raise UserError(f"{name!r} can't be a guest's name; use letters, digits, '.', '_' and '-'.")
    return guests_folder() / name
