"""What can be done with disk images: made, told of, converted, checked, resized, mapped and compared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from guesthouse.errors import UserError
from guesthouse.host.new_file import allocated_bytes, new_file
from guesthouse.host.user_folders import told_plainly
from guesthouse.virtual.storage.block import SECTOR, Extent, Image
from guesthouse.virtual.storage.copying import (
    SPARSE,
    Advance,
    ImageTarget,
    Target,
    WriterTarget,
    copy,
    first_difference,
)
from guesthouse.virtual.storage.formats import SUBFORMATS, named, open_disk, writer
from guesthouse.virtual.storage.qcow2.create import create as create_qcow2
from guesthouse.virtual.storage.qcow2.create import open_qcow2
from guesthouse.virtual.storage.raw import RawImage
from guesthouse.virtual.storage.reports import Report

LARGEST = (1 << 63) - 512
SUBFORMAT = "subformat"
QCOW2_OPTIONS = ("cluster_size", "refcount_bits", "compat", "lazy_refcounts", "backing_file", "backing_fmt")
SUFFIXES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}


@runtime_checkable
class Checkable(Protocol):
    """An image that can look whether it is sound."""

    def check(self, repair: bool = False) -> Report:
        """Look, and mend where asked to."""


def size_in_bytes(text: str) -> int:
    """Read a size such as 512, 64k, 1.5G, rounded up to whole sectors; raises `UserError` for what is none."""
    number, factor = text.strip(), 1
    if number[-1:].lower() in SUFFIXES:
        number, factor = number[:-1], SUFFIXES[number[-1].lower()]
    try:
        size = int(number) * factor if number.isdecimal() else int(float(number) * factor)
    except (ValueError, OverflowError):
        size = -1
    if not 0 <= size <= LARGEST:
        raise UserError(f"{text!r} is no size; write it as 1073741824, 64k, 512M or 1.5G.")
    return -(-size // SECTOR) * SECTOR


def create(path: Path, kind: str, size: int, options: Mapping[str, str]) -> None:
    """Make an empty image in the place of what has its name; raises `UserError` where that can't be."""
    if not size:
        raise UserError("A disk needs a size of at least one sector, for example 10G.")
    with _made(path, kind, size, options):
        pass


def convert(source: Image, path: Path, kind: str, options: Mapping[str, str], sparse: int, advance: Advance) -> None:
    """Write a disk's content as another image; it takes its name when it is complete."""
    with _made(path, kind, source.size, options, sparse) as target:
        copy(source, target, advance)


@contextmanager
def _made(path: Path, kind: str, size: int, options: Mapping[str, str], sparse: int = SPARSE) -> Iterator[Target]:
    """An image while it is written: takes the content."""
    kind = named(kind)
    subformat = _subformat(kind, options)
    with new_file(path) as file:
        if kind == "qcow2":
            create_qcow2(file, size, **qcow2_options(options))
            image = open_qcow2(file)
            yield ImageTarget(image, sparse)
            image.settle()
        elif kind == "raw":
            file.truncate(size)
            yield ImageTarget(RawImage(file), sparse)
        else:
            making = writer(kind, subformat, file, size, path)
            yield WriterTarget(making)
            making.finish()


def qcow2_options(options: Mapping[str, str]) -> dict[str, Any]:
    """What was asked for by `-o`, under the names that qemu-img has, for `create` of qcow2."""
    found: dict[str, Any] = {}
    if "cluster_size" in options:
        found["cluster_size"] = size_in_bytes(options["cluster_size"])
    if "refcount_bits" in options:
        found["refcount_bits"] = int(options["refcount_bits"]) if options["refcount_bits"].isdecimal() else 0
    if "compat" in options:
        found["version"] = {"0.10": 2, "1.1": 3, "v2": 2, "v3": 3}.get(options["compat"], 0)
    if "lazy_refcounts" in options:
        found["lazy_refcounts"] = options["lazy_refcounts"] == "on"
    for name in ("backing_file", "backing_fmt"):
        if name in options:
            found[{"backing_file": "backing", "backing_fmt": "backing_format"}[name]] = options[name]
    return found


def _subformat(kind: str, options: Mapping[str, str]) -> str | None:
    known = (SUBFORMAT,) if kind in SUBFORMATS else QCOW2_OPTIONS if kind == "qcow2" else ()
    for name in options:
        if name not in known:
            text = f"it has: {', '.join(known)}" if known else "it has none"
            raise UserError(f"The format {kind} has no option {name!r}; {text}.")
    return options.get(SUBFORMAT)


def resize(path: Path, kind: str | None, size: str, shrink: bool) -> int:
    """Set a disk's capacity, or change it by what begins with + or -; returns the bytes it has now.

    Raises `UserError` for a disk that is in use, and for one that would lose its end where `shrink` isn't set.
    """
    with told_plainly(f"resize {path}"):
        image = open_disk(str(path), kind, readonly=False)
        try:
            sign = {"+": 1, "-": -1}.get(size[:1], 0)
            wanted = image.size * abs(sign) + (sign or 1) * size_in_bytes(size[abs(sign) :])
            if not 0 < wanted <= LARGEST:
                raise UserError(f"A disk of {wanted} bytes can't be; it has {image.size}.")
            if wanted < image.size and not shrink:
                raise UserError("This would cut off the disk's end, and what is there is lost; add --shrink to do it.")
            image.resize(wanted)
            image.flush()
            return image.size
        finally:
            image.close()


def check(path: Path, kind: str | None, repair: bool) -> Report | None:
    """Look whether an image is sound; None where its format has nothing to check."""
    with told_plainly(f"check {path}"):
        image = open_disk(str(path), kind, readonly=not repair)
        try:
            return image.check(repair) if isinstance(image, Checkable) else None
        finally:
            image.close()


def describe(path: Path, kind: str | None) -> dict[str, Any]:
    """What there is to tell of an image, by the names that scripts know from qemu-img."""
    with told_plainly(f"look at {path}"):
        image = open_disk(str(path), kind)
        try:
            details = image.info()
            found = {
                "filename": str(path),
                "format": image.format,
                "virtual-size": image.size,
                "actual-size": allocated_bytes(path),
            }
        finally:
            image.close()
    if "cluster-size" in details:
        found["cluster-size"] = details.pop("cluster-size")
    if details:
        found["format-specific"] = {"type": image.format, "data": details}
    return found


def extents(path: Path, kind: str | None, start: int = 0, length: int | None = None) -> Iterator[Extent]:
    """How a disk's bytes are kept, neighbours of the same kind joined."""
    with told_plainly(f"look at {path}"):
        image = open_disk(str(path), kind)
        try:
            start = min(start // SECTOR * SECTOR, image.size)
            rest = image.size - start
            yield from joined(
                image.extents(start, rest if length is None else min(-(-length // SECTOR) * SECTOR, rest))
            )
        finally:
            image.close()


def joined(found: Iterator[Extent]) -> Iterator[Extent]:
    """Neighbours that are kept in the same way as one."""
    last: Extent | None = None
    for extent in found:
        if last and _continues(last, extent):
            last = last._replace(length=last.length + extent.length)
            continue
        if last:
            yield last
        last = extent
    if last:
        yield last


def _continues(last: Extent, extent: Extent) -> bool:
    if last[2:4] != extent[2:4] or last[5:] != extent[5:]:
        return False
    if last.position is None or extent.position is None:
        return last.position is extent.position
    return last.position + last.length == extent.position


def compare(one: Image, other: Image, strict: bool, advance: Advance) -> str | None:
    """Tell in a sentence how two disks differ, None where they don't; sizes count where `strict` is set."""
    if strict and one.size != other.size:
        return "The sizes are not the same."
    at = first_difference(one, other, advance)
    return None if at is None else f"Content mismatch at offset {at}!"
