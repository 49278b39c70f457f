"""`guesthouse run`: a machine on this terminal."""

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from guesthouse.cli.guest_options import given, guest_options
from guesthouse.cli.statistics import lines
from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Disk, GuestFile, changed
from guesthouse.guest.tiny import RECIPE
from guesthouse.host.terminal import is_terminal, terminal_environment
from guesthouse.host.user_folders import write_file
from guesthouse.manager.guest_plan import BUILT_IN, plan_of
from guesthouse.manager.run import Outcome, Streams, run_guest
from guesthouse.manager.store import Image, ImageStore

DEFAULT_IMAGE = "tiny"
# Imported where a definition is named: most runs have none.
DEFINITIONS = "guesthouse.manager.guests"
RELAY = "guesthouse.manager.agent_relay"
IMAGE_DISKS = "guesthouse.manager.image_disks"  # likewise where the image has a disk


class RunCommand(click.Command):
    """Takes what stands behind `--` as the guest's command, before click sees it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split the arguments; the command is None where there is no `--`."""
        command = None
        if "--" in args:
            at = args.index("--")
            command, args = tuple(args[at + 1 :]), args[:at]
        rest = super().parse_args(ctx, args)
        ctx.params["command"] = command
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show the command in the usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


@click.command("run", cls=RunCommand, context_settings={"max_content_width": 110})
@click.argument("image", required=False)
@click.option("--name", help="Make a guest of this name from IMAGE, or start it again; its disks last.")
@guest_options
@click.pass_context
def command(ctx: click.Context, /, image: str | None, name: str | None, **_: Any) -> int:
    """Run a guest until it powers off; without --name nothing of it is left then.

    IMAGE is `tiny` (the default: Debian's kernel with a shell), `debian` (a whole Debian system; both are built when
    they aren't there), `hello` (built in), another one of `guesthouse images`, or the folder or the guest.toml of a
    guest. With --kernel or --firmware, no image is needed.

    Behind `--`, a COMMAND that the guest runs: with this command's standard input, output and error, and its status.

    On a terminal, Ctrl-A x quits and Ctrl-A h tells the other keys.
    """
    with contextlib.ExitStack() as stack:
        guest = guest_of(image, name, given(ctx), stack)
        plan = plan_of(guest, newline_for(guest))
        if place := name or (image if is_place(image) else None):
            plan = msgspec.structs.replace(plan, agent=agent_socket(place))
        outcome = run_guest(plan, Streams(say=say), guest.timeout)
    if outcome.text:
        say(outcome.text)
    if guest.signature:
        if outcome.signature is None:
            raise UserError("The program has no symbols begin_signature and end_signature; no signature is written.")
        write_file(Path(guest.signature), outcome.signature.encode())
    report(outcome, guest.stats, guest.stats_json)
    return outcome.status


def guest_of(
    image: str | None, name: str | None, fields: dict[str, Any], stack: contextlib.ExitStack | None
) -> GuestFile:
    """The guest that the command line means, from its image, name or file, with the fields that the options set.

    What lasts only as long as the run is undone by `stack`, which is None where there will be none. Raises UserError
    where the command line contradicts itself.
    """
    if fields.get("command") == ():
        raise UserError("A command is missing behind `--`; leave `--` out for a shell.")
    if image and "kernel" in fields:
        raise UserError(f"Both an image ({image}) and a kernel are given; leave one of them out.")
    if name is not None:
        definitions = importlib.import_module(DEFINITIONS)
        if not definitions.exists(name):
            definitions.create(name, find_image(image or DEFAULT_IMAGE), fields)
            fields = {key: value for key, value in fields.items() if key == "command"}
        elif image is not None:
            raise UserError(f"There is a guest {name!r} already; leave {image!r} out to start it.")
        guest: GuestFile = definitions.load(name)
    elif image is not None and is_place(image):
        guest = importlib.import_module(DEFINITIONS).load_path(Path(image))
    elif image is None and ("kernel" in fields or "firmware" in fields):
        guest = GuestFile()
    else:
        guest = from_image(image or DEFAULT_IMAGE, stack)
        if guest.disks and "disks" in fields:
            fields = {**fields, "disks": (*guest.disks, *fields["disks"])}
    append = " ".join(filter(None, [guest.append, *environment_for(guest, fields), fields.get("append", "")]))
    return changed(guest, {**fields, "append": append})


def is_place(image: str | None) -> bool:
    """Whether an image is the folder or the file of a guest."""
    return image is not None and ("/" in image or image.endswith(".toml"))


def agent_socket(place: str) -> str:
    """Where the agent of a guest that lasts is found while it runs."""
    folder = importlib.import_module(DEFINITIONS).folder_of(place)
    return str(importlib.import_module(RELAY).socket_of(folder))


def environment_for(guest: GuestFile, fields: dict[str, Any]) -> list[str]:
    """Kernel parameters that tell the shell of an image what the terminal is."""
    wanted = guest.image not in ("", BUILT_IN) and not guest.command and "command" not in fields
    return terminal_environment(0) if wanted else []


def from_image(name: str, stack: contextlib.ExitStack | None) -> GuestFile:
    """A throw-away guest from an image."""
    if name == BUILT_IN:
        return GuestFile(image=name)
    image = find_image(name)
    guest = GuestFile(
        image=name, kernel=str(image.kernel), initrd=str(image.initrd or ""), append=image.definition.append
    )
    if image.disk:
        if stack is None:
            raise UserError(
                f"A guest of {name!r} has a disk of its own; `guesthouse run --name NAME {name}` makes one."
            )
        disk = importlib.import_module(IMAGE_DISKS).throw_away(image.disk, stack)
        guest = msgspec.structs.replace(guest, disks=(Disk(str(disk)),))
    return guest


def find_image(name: str) -> Image:
    """The stored image, built first where it is missing or of an older recipe.

    What builds it is imported only then: the network and the progress bars cost time at every start.
    """
    try:
        image = ImageStore().get(name)
    except UserError:
        image = None
    if image and (name != DEFAULT_IMAGE or image.definition.recipe == RECIPE):
        return image
    built: Image = importlib.import_module("guesthouse.cli.pull").fetch(name)
    return built


def newline_for(guest: GuestFile) -> str:
    """What ends our lines on standard error while the guest may have the terminal in raw mode."""
    return "\r\n" if is_terminal(0) and is_terminal(2) and not guest.command else "\n"


def say(text: str) -> None:
    """Lines on standard error; what a guest had a hand in (a panic's text) may hold no control characters."""
    shown = "".join(character if character.isprintable() or character in "\r\n" else "?" for character in text)
    with contextlib.suppress(OSError):
        print(shown, file=sys.stderr, flush=True)


def report(outcome: Outcome, shown: bool, path: str) -> None:
    """Print or write the statistics."""
    if shown:
        say("\n".join(lines(outcome.statistics)))
    if path:
        text = msgspec.json.format(msgspec.json.encode(outcome.statistics), indent=2)
        if path == "-":
            say(text.decode())
        else:
            write_file(Path(path), text + b"\n")
