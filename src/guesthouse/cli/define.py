"""`guesthouse define`: the definition that options mean, and a look at one for mistakes."""

from pathlib import Path
from typing import Any

import click

from guesthouse.cli.guest_options import given, guest_options
from guesthouse.cli.run import RunCommand, guest_of
from guesthouse.errors import UserError
from guesthouse.guest.guest_file import GuestFile, changed, resolved
from guesthouse.guest.guest_toml import write
from guesthouse.host.user_folders import write_file
from guesthouse.manager.guest_plan import plan_of
from guesthouse.manager.guests import load, load_path


@click.command("define", cls=RunCommand, context_settings={"max_content_width": 110})
@click.argument("image", required=False)
@click.option("--check", "checked", metavar="FILE|NAME", help="Only look whether this definition is right.")
@click.option("--output", metavar="FILE", help="Write the definition there.  [default: standard output]")
@guest_options
@click.pass_context
def command(ctx: click.Context, /, image: str | None, checked: str | None, output: str | None, **_: Any) -> int:
    """Print the definition (guest.toml) that the options mean, from an IMAGE, a guest's folder or nothing.

    docs/guest-definition.md tells every field.
    """
    if checked is not None:
        check(checked)
        click.echo(f"{checked}: nothing is wrong.")
        return 0
    fields = given(ctx)
    folder = str(Path.cwd())
    guest = guest_of(image, None, fields, None) if image else resolved(changed(GuestFile(), fields), folder)
    plan_of(guest)
    if output:
        write_file(Path(output), write(guest).encode())
    else:
        click.echo(write(guest), nl=False)
    return 0


def check(place: str) -> None:
    """Raise UserError where a definition can't be started: a field is wrong, or a file that it names is not there."""
    guest = load_path(Path(place)) if "/" in place or place.endswith(".toml") or Path(place).is_dir() else load(place)
    plan_of(guest)
    named = {"kernel": guest.kernel, "initrd": guest.initrd, "firmware": guest.firmware}
    named |= {f"disks[{number}].file": disk.file for number, disk in enumerate(guest.disks)}
    named |= {f"shares[{number}].folder": share.folder for number, share in enumerate(guest.shares)}
    for field, path in named.items():
        if path and not Path(path).exists():
            raise UserError(f"{place}: the field `{field}` names {path}, which is not there.")
    if not (guest.kernel or guest.firmware or guest.image == "hello"):
        raise UserError(f"{place}: there is nothing to start; give it a kernel, a firmware or an image.")
