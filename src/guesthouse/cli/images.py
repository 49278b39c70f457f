"""`guesthouse images`: the images in the user's store."""

from pathlib import Path

import click

from guesthouse.cli.progress_bars import ProgressBars
from guesthouse.errors import UserError
from guesthouse.manager.image_files import export_image, import_image, remove_image
from guesthouse.manager.store import Image, ImageStore, file_names

BUILT_IN = ("hello", "built in: greets, takes timer interrupts, turns paging on, powers off")
MIB = 1 << 20


@click.group("images", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the images you have, and what is in them; look at one, remove it, or move it to another store."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_images)


@command.command("list")
def list_images() -> None:
    """List the images you have, and what is in them."""
    store = ImageStore()
    rows = [BUILT_IN]
    for name in store.names():
        try:
            image = store.get(name)
        except UserError as error:
            rows.append((name, str(error)))
            continue
        if image:
            rows.append((name, image.definition.description))
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        click.echo(f"{name:{width}}  {description}".rstrip())
    if len(rows) == 1:
        click.echo("`guesthouse pull tiny` builds Debian's kernel with a shell.", err=True)


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Tell what image NAME is made of."""
    image = _found(name)
    definition = image.definition
    click.echo(f"{definition.name}: {definition.description}\nfolder    {image.folder}")
    for file in file_names(definition):
        status = (image.folder / file).stat()
        click.echo(f"file      {file}  {status.st_size / MIB:.1f} MiB, {status.st_blocks * 512 / MIB:.1f} on disk")
    if definition.append:
        click.echo(f"append    {definition.append}")
    for package, version in sorted(definition.packages.items()):
        click.echo(f"package   {package} {version}")


@command.command("remove")
@click.argument("names", nargs=-1, required=True)
def remove(names: tuple[str, ...]) -> None:
    """Remove images; guests made from them keep what they have."""
    for name in names:
        remove_image(ImageStore(), name)


@command.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def export(name: str, file: Path) -> None:
    """Write image NAME to one FILE."""
    image = _found(name)
    with ProgressBars() as progress:
        progress.begin(
            f"Exporting {name}", sum((image.folder / part).stat().st_size for part in file_names(image.definition))
        )
        export_image(image, file, progress.advance)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name it so.  [default: as it was named]")
def import_(file: Path, name: str | None) -> None:
    """Put the image in FILE, that `export` wrote, into your store."""
    with ProgressBars() as progress:
        progress.begin(f"Importing {file}", file.stat().st_size if file.is_file() else None)
        image = import_image(file, ImageStore(), name, progress.advance)
    click.echo(f"{image.definition.name}: {image.definition.description}", err=True)


def _found(name: str) -> Image:
    image = ImageStore().get(name)
    if image is None:
        raise UserError(f"There is no image {name!r}; `guesthouse images` lists those there are.")
    return image
