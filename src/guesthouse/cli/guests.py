"""`guesthouse guests`: the guests that have a name."""

import click

from guesthouse.errors import UserError
from guesthouse.manager import guests


@click.group("guests", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List your guests, or look at one, or remove one."""
    if ctx.invoked_subcommand is not None:
        return
    rows = [(name, *_described(name)) for name in guests.names()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for name, machine, description in rows:
        click.echo(f"{name:{widths[0]}}  {machine:{widths[1]}}  {description}".rstrip())
    if not rows:
        click.echo("There is none; `guesthouse run --name NAME IMAGE` makes one.", err=True)


def _described(name: str) -> tuple[str, str]:
    try:
        guest = guests.load(name)
    except UserError as error:
        return "", str(error)
    return f"{guest.memory}, {guest.cpus} CPU{'s' if guest.cpus > 1 else ''}", guest.description


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print where guest NAME is and its definition."""
    folder, text = guests.shown(name)
    click.echo(f"# {folder}\n{text}", nl=False)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove guest NAME, its disks and all that is on them."""
    guests.remove(name)
