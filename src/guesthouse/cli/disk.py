"""`guesthouse disk`: disk images made, converted, checked, resized and looked into."""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from guesthouse.cli.progress_bars import ProgressBars
from guesthouse.errors import UserError
from guesthouse.manager import disks
from guesthouse.manager.progress import Progress, SilentProgress
from guesthouse.virtual.storage.block import Extent, Image
from guesthouse.virtual.storage.formats import named, open_disk

CORRUPT, LEAKY, NO_CHECK = 2, 3, 63
DIFFERENT = 1
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

file_argument = click.argument("file", type=click.Path(path_type=Path))
output_option = click.option("--output", type=click.Choice(["human", "json"]), default="human", help="How to print it.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
progress_option = click.option("-p", "--progress", is_flag=True, help="Show how far it is.")


@click.group("disk")
def command() -> None:
    """Make, convert, check, resize and look into disk images: raw, vmdk, vdi, vpc (VHD), vhdx."""


def _kind(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else named(value)


format_option = click.option("-f", "--format", "kind", callback=_kind, help="The format; else the bytes tell.")


def _options(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in filter(None, ",".join(values).split(",")):
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"The option {text!r} has no value; write it as NAME=VALUE, for example subformat=fixed.")
        found[name] = value
    return found


options_option = click.option(
    "-o", "options", multiple=True, callback=_options, metavar="NAME=VALUE,...", help="Options of the format."
)


@contextmanager
def _opened(file: Path, kind: str | None) -> Iterator[Image]:
    image = open_disk(str(file), kind)
    try:
        yield image
    finally:
        image.close()


@contextmanager
def _progress(shown: bool) -> Iterator[Progress]:
    if not shown:
        yield SilentProgress()
        return
    with ProgressBars() as bars:
        yield bars


@command.command("create")
@click.option("-f", "--format", "kind", default="raw", show_default=True, help="The format.")
@options_option
@quiet_option
@file_argument
@click.argument("size")
def create(kind: str, options: dict[str, str], quiet: bool, file: Path, size: str) -> None:
    """Make an empty disk FILE of SIZE bytes, or 64k, 512M, 1.5G."""
    capacity = disks.size_in_bytes(size)
    disks.create(file, kind, capacity, options)
    if not quiet:
        click.echo(f"{file}: an empty {named(kind)} disk of {_readable(capacity)}")


@command.command("info")
@format_option
@output_option
@file_argument
def info(kind: str | None, output: str, file: Path) -> None:
    """Tell what disk FILE is."""
    found = disks.describe(file, kind)
    if output == "json":
        click.echo(json.dumps(found, indent=4))
        return
    click.echo(f"image: {file}\nfile format: {found['format']}")
    click.echo(f"virtual size: {_readable(found['virtual-size'])} ({found['virtual-size']} bytes)")
    click.echo(f"disk size: {_readable(found['actual-size'])}")
    if "cluster-size" in found:
        click.echo(f"cluster_size: {found['cluster-size']}")
    for name, value in found.get("format-specific", {}).get("data", {}).items():
        click.echo(f"{name.replace('-', ' ')}: {value}")


@command.command("convert")
@format_option
@click.option("-O", "target_kind", default="raw", show_default=True, help="The format to write.")
@options_option
@click.option("-c", "--compress", is_flag=True, help="Compress (vmdk: subformat streamOptimized).")
@click.option("-S", "sparse", default="4k", show_default=True, help="This many zeros become a hole; 0 for none.")
@progress_option
@quiet_option
@file_argument
@click.argument("target", type=click.Path(path_type=Path))
def convert(
    kind: str | None, target_kind: str, options: dict[str, str], compress: bool, sparse: str, progress: bool,
    quiet: bool, file: Path, target: Path,
) -> None:  # fmt: skip
    """Write the disk in FILE as TARGET, in another format; a TARGET that is there is replaced when all is written."""
    wanted = named(target_kind)
    if compress:
        if wanted != "vmdk":
            raise UserError(f"The format {wanted} can't be compressed; leave out -c, or write -O vmdk.")
        options = {"subformat": "streamOptimized"} | options
    with _opened(file, kind) as source, _progress(progress and not quiet) as bar:
        bar.begin(f"Converting {file}", source.size)
        disks.convert(source, target, wanted, options, disks.size_in_bytes(sparse), bar.advance)


@command.command("check")
@format_option
@output_option
@click.option("-r", "--repair", is_flag=True, help="Mend what can be mended.")
@quiet_option
@file_argument
def check(kind: str | None, output: str, repair: bool, quiet: bool, file: Path) -> int:
    """Tell whether disk FILE is sound; the status is 0, 2 where it is damaged, 3 where it only wastes space."""
    report = disks.check(file, kind, repair)
    if report is None:
        click.echo(f"guesthouse: The format of {file} has nothing to check.", err=True)
        return NO_CHECK
    if output == "json":
        fields = {"filename": str(file), "check-errors": 0, "image-end-offset": report.end,
                  "total-clusters": report.total, "allocated-clusters": report.allocated,
                  "corruptions": report.corruptions, "leaks": report.leaks,
                  "corruptions-fixed": report.corruptions_fixed, "leaks-fixed": report.leaks_fixed}  # fmt: skip
        click.echo(json.dumps(fields, indent=4))
    elif not quiet:
        for sentence in report.sentences:
            click.echo(sentence, err=True)
        click.echo(
            f"{report.corruptions} errors and {report.leaks} leaks were found; {report.allocated} blocks in use."
        )
    if report.corruptions > report.corruptions_fixed:
        return CORRUPT
    return LEAKY if report.leaks > report.leaks_fixed else 0


@command.command("resize", context_settings={"ignore_unknown_options": True})
@format_option
@click.option("--shrink", is_flag=True, help="Cut off the disk's end where it becomes smaller.")
@quiet_option
@file_argument
@click.argument("size")
def resize(kind: str | None, shrink: bool, quiet: bool, file: Path, size: str) -> None:
    """Set the size of disk FILE, or change it: 20G, +5G, -512M (what is cut off is lost)."""
    now = disks.resize(file, kind, size, shrink)
    if not quiet:
        click.echo(f"{file}: {_readable(now)}")


@command.command("map")
@format_option
@output_option
@click.option("--start-offset", "-s", default="0", help="Begin at this byte.")
@click.option("--max-length", "-l", help="Look at so many bytes.")
@file_argument
def map_(kind: str | None, output: str, start_offset: str, max_length: str | None, file: Path) -> None:
    """Tell how each part of disk FILE is kept."""
    length = None if max_length is None else disks.size_in_bytes(max_length)
    found = disks.extents(file, kind, disks.size_in_bytes(start_offset), length)
    if output == "json":
        click.echo("[" + ",\n".join(map(_extent, found)) + "]")
        return
    click.echo(f"{'Offset':16}{'Length':16}{'Mapped to':16}File")
    for extent in found:
        if extent.data and not extent.zero:
            place = "compressed" if extent.compressed else hex(extent.position) if extent.position is not None else "-"
            click.echo(f"{extent.offset:<#16x}{extent.length:<#16x}{place:16}{file}")


def _extent(extent: Extent) -> str:
    fields: dict[str, object] = {"start": extent.offset, "length": extent.length, "depth": extent.depth}
    fields |= {"present": extent.data, "zero": not extent.data, "data": extent.data, "compressed": extent.compressed}
    return json.dumps(fields if extent.position is None else fields | {"offset": extent.position})


@command.command("compare")
@click.option("-f", "kind", callback=_kind, help="The format of ONE.")
@click.option("-F", "other_kind", callback=_kind, help="The format of OTHER.")
@click.option("-s", "--strict", is_flag=True, help="Other sizes are a difference, too.")
@progress_option
@quiet_option
@click.argument("one", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
def compare(
    kind: str | None, other_kind: str | None, strict: bool, progress: bool, quiet: bool, one: Path, other: Path
) -> int:
    """Tell whether two disks have the same content; the status is 0, or 1 where they differ."""
    with _opened(one, kind) as first, _opened(other, other_kind) as second, _progress(progress) as bar:
        bar.begin("Comparing", None)
        found = disks.compare(first, second, strict, bar.advance)
    if not quiet:
        click.echo(found or "Images are identical.")
    sys.stdout.flush()
    return DIFFERENT if found else 0


def _readable(size: int) -> str:
    power = min(int(math.log(size, 1024)), len(UNITS) - 1) if size else 0
    return f"{size / 1024**power:.3g} {UNITS[power]}"
