"""`guesthouse run`: a throw-away machine on this terminal."""

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from guesthouse.cli.statistics import lines
from guesthouse.errors import UserError
from guesthouse.guest.definition import CLOCKS, ENGINES, parse_size
from guesthouse.guest.tiny import RECIPE
from guesthouse.host.terminal import is_terminal, terminal_environment
from guesthouse.host.user_folders import write_file
from guesthouse.manager.protocol import Disk, GdbPort, Plan
from guesthouse.manager.run import Outcome, Streams, run_guest
from guesthouse.manager.store import Image, ImageStore

BUILT_IN, DEFAULT_IMAGE = "hello", "tiny"
TRACES = ("instructions", "devices", "traps", "sbi")


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


class Memory(click.ParamType):  # type: ignore[type-arg]
    """A size such as 512M."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; ends with a usage error where it is no size."""
        try:
            return parse_size(value)
        except UserError as error:
            self.fail(str(error), param, ctx)


class DiskImage(click.ParamType):  # type: ignore[type-arg]
    """A file, and `,readonly` behind it where it is not to be written."""

    name = "disk"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Disk:
        """The path and whether it is read-only."""
        if isinstance(value, Disk):
            return value
        path, _, option = str(value).rpartition(",")
        if path and option in ("readonly", "ro"):
            return Disk(path, True)
        return Disk(str(value))


class GdbAddress(click.ParamType):  # type: ignore[type-arg]
    """A port, of this host alone where no other address stands before it, and `,wait` behind it."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> GdbPort:
        """Address, port and whether the guest waits; ends with a usage error where it is no such thing."""
        if isinstance(value, GdbPort):
            return value
        place, _, option = str(value).partition(",")
        host, _, port = place.rpartition(":")
        if option not in ("", "wait") or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            self.fail(
                f"{value!r} is no port; write it as 1234, or HOST:1234, with ,wait where it is to wait.", param, ctx
            )
        return GdbPort(host.strip("[]") or "127.0.0.1", int(port), option == "wait")


class Traces(click.ParamType):  # type: ignore[type-arg]
    """Names of what is traced, with commas between them."""

    name = "what"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names; ends with a usage error for one that is not known."""
        names = tuple(str(value).split(","))
        for name in names:
            if name not in TRACES:
                self.fail(f"there is no trace {name!r}; choose from {', '.join(TRACES)}.", param, ctx)
        return names


@click.command("run", cls=RunCommand, context_settings={"max_content_width": 110})
@click.argument("image", required=False)
@click.option(
    "--kernel", metavar="FILE[,raw]", help="Boot this kernel (ELF, Linux Image, compressed or not), or raw code."
)
@click.option("--initrd", metavar="FILE", help="Initial RAM file system for the kernel.")
@click.option("--append", metavar="TEXT", default="", help="Parameters for the kernel, behind ours.")
@click.option("--firmware", metavar="FILE", help="Start this in machine mode: OpenSBI, or a bare-metal program.")
@click.option("--disk", "disks", type=DiskImage(), multiple=True, metavar="FILE[,readonly]", help="Attach a raw disk.")
@click.option("--memory", type=Memory(), default="512M", show_default=True, help="RAM, 64M to 16G.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="How instructions run.")
@click.option("--clock", type=click.Choice(CLOCKS), default="host", show_default=True, help="What the guest's time is.")
@click.option("--seed", type=click.IntRange(0), help="Make all randomness come from this number.")
@click.option("--stats", is_flag=True, help="Print what happened, at the end, on standard error.")
@click.option("--stats-json", metavar="FILE", help="Write the same as JSON ('-' for standard error).")
@click.option("--trace", type=Traces(), metavar="WHAT,...", help=f"Trace {', '.join(TRACES)}.")
@click.option("--trace-file", metavar="FILE", help="Write the trace there.  [default: standard error]")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds, status 124."
)
@click.option(
    "--gdb", type=GdbAddress(), metavar="[HOST:]PORT[,wait]", help="Let gdb attach; wait: hold the guest until then."
)
@click.option("--no-reboot", is_flag=True, help="End with status 0 where the guest restarts.")
@click.option("--signature", metavar="FILE", help="Write the memory from begin_signature to end_signature, as words.")
@click.option("--signature-granularity", type=click.Choice(["1", "2", "4", "8", "16"]), default="4", show_default=True)
def command(image: str | None, **options: Any) -> int:
    """Run a guest until it powers off; then nothing of it is left.

    IMAGE is `tiny` (the default: Debian's kernel with a shell, built when it isn't there), `hello` (built in), or
    another one of `guesthouse images`. With --kernel or --firmware, no image is needed.

    Behind `--`, a COMMAND that the guest runs: with this command's standard input, output and error, and its status.

    On a terminal, Ctrl-A x quits and Ctrl-A h tells the other keys.
    """
    plan = plan_of(image, options["command"], options)
    outcome = run_guest(plan, Streams(say=say), options["timeout"])
    if outcome.text:
        say(outcome.text)
    if plan.signature:
        if outcome.signature is None:
            raise UserError("The program has no symbols begin_signature and end_signature; no signature is written.")
        write_file(Path(plan.signature), outcome.signature.encode())
    report(outcome, options["stats"], options["stats_json"])
    return outcome.status


def plan_of(image: str | None, words: tuple[str, ...] | None, options: dict[str, Any]) -> Plan:
    """What the worker is to do, from the command line; raises UserError where that contradicts itself."""
    kernel, initrd, firmware = (options[name] or "" for name in ("kernel", "initrd", "firmware"))
    if words == ():
        raise UserError("A command is missing behind `--`; leave `--` out for a shell.")
    kernel, raw = (kernel.removesuffix(",raw"), True) if kernel.endswith(",raw") else (kernel, False)
    plan = Plan(
        kernel=kernel,
        raw=raw,
        initrd=initrd,
        append=options["append"],
        firmware=firmware,
        disks=tuple(options["disks"]),
        memory=options["memory"],
        engine=options["engine"],
        clock=options["clock"],
        seed=options["seed"],
        reboot=not options["no_reboot"],
        command=None if words is None else tuple(map(os.fsencode, words)),
        trace=options["trace"] or (),
        trace_file=options["trace_file"] or "",
        signature=options["signature"] or "",
        gdb=options["gdb"],
        signature_granularity=int(options["signature_granularity"]),
        newline="\r\n" if is_terminal(0) and is_terminal(2) and words is None else "\n",
    )
    if image and kernel:
        raise UserError(f"Both an image ({image}) and a kernel are given; leave one of them out.")
    if image is None and (kernel or firmware):
        return plan
    return with_image(plan, image or DEFAULT_IMAGE)


def with_image(plan: Plan, name: str) -> Plan:
    """The plan with an image's files and, for its shell, what the terminal is."""
    if name == BUILT_IN:
        if plan.command is not None:
            raise UserError("The guest `hello` runs no commands; use `tiny`.")
        return msgspec.structs.replace(plan, builtin=name)
    image = find_image(name)
    words = [image.definition.append]
    if plan.command is None:
        words += terminal_environment(0)
    return msgspec.structs.replace(
        plan,
        kernel=str(image.kernel),
        initrd=plan.initrd or str(image.initrd or ""),
        append=" ".join(filter(None, [*words, plan.append])),
    )


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


def say(text: str) -> None:
    """Lines on standard error; what a guest had a hand in (a panic's text) may hold no control characters."""
    shown = "".join(character if character.isprintable() or character in "\r\n" else "?" for character in text)
    with contextlib.suppress(OSError):
        print(shown, file=sys.stderr, flush=True)


def report(outcome: Outcome, shown: bool, path: str | None) -> None:
    """Print or write the statistics."""
    if shown:
        say("\n".join(lines(outcome.statistics)))
    if path is not None:
        text = msgspec.json.format(msgspec.json.encode(outcome.statistics), indent=2)
        if path == "-":
            say(text.decode())
        else:
            write_file(Path(path), text + b"\n")
