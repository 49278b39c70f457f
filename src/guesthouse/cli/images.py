"""`guesthouse images`: list the images in the user's store."""

import click

from guesthouse.errors import UserError
from guesthouse.manager.store import ImageStore

BUILT_IN = ("hello", "built in: greets, takes timer interrupts, turns paging on, powers off")


@click.command("images")
def command() -> None:
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
