"""`guesthouse pull`: build an image into the user's store."""

from pathlib import Path

import click

from guesthouse.cli.progress_bars import ProgressBars
from guesthouse.manager.pull import ensure_image, pull
from guesthouse.manager.pull_source import PullOptions
from guesthouse.manager.store import Image, ImageStore


@click.command("pull")
@click.argument("image", default="tiny")
@click.option("--mirror", metavar="URL", help="Debian mirror to fetch from.  [default: the one of the host's apt]")
@click.option("--keyring", type=click.Path(path_type=Path), help="File with Debian's archive keys.")
def command(image: str, mirror: str | None, keyring: Path | None) -> None:
    """Build IMAGE (tiny or debian) from Debian's newest packages, checked against Debian's signatures.

    `tiny` is the kernel with a shell; `debian` is a whole system, which a machine installs for some minutes.

    The packages come from the mirror that the host's apt configuration names, from --mirror, or from the environment
    variable GUESTHOUSE_MIRROR.
    """
    with ProgressBars() as progress:
        options = PullOptions(mirror=mirror, keyring=keyring, ask=progress.asker())
        built = pull(image, ImageStore(), options, progress)
    click.echo(f"{image}: {built.definition.description}", err=True)


def fetch(image: str) -> Image:
    """The stored image for a `run`, built with progress bars where it is missing."""
    with ProgressBars() as progress:
        return ensure_image(image, ImageStore(), PullOptions(ask=progress.asker()), progress)
