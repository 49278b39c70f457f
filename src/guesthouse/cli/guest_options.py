"""The options that describe a guest, the same for every verb that starts or defines one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from guesthouse.errors import UserError
from guesthouse.guest.definition import BUSES, CLOCKS, ENGINES, MOST_CPUS, Share, parse_size
from guesthouse.guest.guest_file import NETWORKS, TRACES, Disk, GuestFile
from guesthouse.manager.guest_plan import gdb_port

SHARE_OPTIONS = re.compile(r"(?:(?:ro|rw|[ug]id=[0-9]{1,10})(?:,|\Z))+")


class Memory(click.ParamType):  # type: ignore[type-arg]
    """A size such as 512M."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The size as it was written; ends with a usage error where it is none."""
        try:
            parse_size(value)
        except UserError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class DiskImage(click.ParamType):  # type: ignore[type-arg]
    """A file, and `,readonly` behind it where it is not to be written."""

    name = "disk"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Disk:
        """The file and whether it is read-only."""
        if isinstance(value, Disk):
            return value
        path, _, option = str(value).rpartition(",")
        if path and option in ("readonly", "ro"):
            return Disk(file=path, readonly=True)
        return Disk(file=str(value))


class SharedFolder(click.ParamType):  # type: ignore[type-arg]
    """A folder, the tag behind it, and perhaps more: `ro`, `uid=N`, `gid=N`, with commas between."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Share:
        """The share; ends with a usage error where it is none."""
        if isinstance(value, Share):
            return value
        text, options = str(value), ""
        front, _, last = text.rpartition(":")
        if ":" in front and SHARE_OPTIONS.fullmatch(last):
            text, options = front, last
        folder, _, tag = text.rpartition(":")
        if not folder or not tag:
            self.fail(f"{value!r} is no shared folder; write it as DIR:TAG, or DIR:TAG:ro.", param, ctx)
        words = dict(word.partition("=")[::2] for word in options.split(",") if word)
        uid, gid = int(words.get("uid", 0)), int(words.get("gid", 0))
        return Share(folder=folder, tag=tag, readonly="ro" in words, uid=uid, gid=gid)


class GdbAddress(click.ParamType):  # type: ignore[type-arg]
    """A port, of this host alone where no other address stands before it, and `,wait` behind it."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address as it was written; ends with a usage error where it is none."""
        try:
            gdb_port(str(value))
        except UserError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class NetworkMode(click.ParamType):  # type: ignore[type-arg]
    """How a guest is connected."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The mode as it was written; ends with a usage error where there is no such one."""
        if str(value).partition(":")[0] not in NETWORKS:
            self.fail(f"there is no network {value!r}; choose none, user, tap:NAME or socket:PATH.", param, ctx)
        return str(value)


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


OPTIONS = [
    click.option(
        "--kernel", metavar="FILE[,raw]", help="Boot this kernel (ELF, Linux Image, compressed or not), or raw code."
    ),
    click.option("--initrd", metavar="FILE", help="Initial RAM file system for the kernel."),
    click.option("--append", metavar="TEXT", help="Parameters for the kernel, behind ours."),
    click.option("--firmware", metavar="FILE", help="Start this in machine mode: OpenSBI, or a bare-metal program."),
    click.option(
        "--disk", "disks", type=DiskImage(), multiple=True, metavar="FILE[,readonly]", help="Attach a disk image."
    ),
    click.option("--network", type=NetworkMode(), help="Connect the guest: none, user, tap:NAME, socket:PATH."),
    click.option(
        "--publish", multiple=True, metavar="[HOSTIP:]HOSTPORT:GUESTPORT[/udp]", help="Lead a port to the guest's."
    ),
    click.option("--egress", multiple=True, metavar="RULE", help="Allow or deny what the guest may reach."),
    click.option("--pcap", metavar="FILE", help="Write every frame to FILE."),
    click.option(
        "--share",
        "shares",
        type=SharedFolder(),
        multiple=True,
        metavar="DIR:TAG[:ro]",
        help="Share a folder; the guest's `mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt` finds it.",
    ),
    click.option(
        "--vsock",
        metavar="PATH",
        help="Let programs reach the guest's sockets: `CONNECT PORT` at PATH; PATH_PORT back.",
    ),
    click.option("--balloon", is_flag=True, help="Let the guest give back the memory that it has free."),
    click.option("--memory", type=Memory(), help="RAM, 64M to 16G.  [default: 512M]"),
    click.option("--cpus", type=click.IntRange(1, MOST_CPUS), help="Processors of the guest.  [default: 1]"),
    click.option("--bus", type=click.Choice(BUSES), help="Where virtio devices are.  [default: mmio]"),
    click.option("--engine", type=click.Choice(ENGINES), help="How instructions run.  [default: auto]"),
    click.option("--clock", type=click.Choice(CLOCKS), help="What the guest's time is.  [default: host]"),
    click.option("--seed", type=click.IntRange(0), help="Make all randomness come from this number."),
    click.option("--stats", is_flag=True, help="Print what happened, at the end, on standard error."),
    click.option("--stats-json", metavar="FILE", help="Write the same as JSON ('-' for standard error)."),
    click.option("--trace", type=Traces(), metavar="WHAT,...", help=f"Trace {', '.join(TRACES)}."),
    click.option("--trace-file", metavar="FILE", help="Write the trace there.  [default: standard error]"),
    click.option(
        "--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds, status 124."
    ),
    click.option(
        "--gdb",
        type=GdbAddress(),
        metavar="[HOST:]PORT[,wait]",
        help="Let gdb attach; wait: until it has.",
    ),
    click.option(
        "--no-reboot", "reboot", flag_value=False, default=True, help="End with status 0 where the guest restarts."
    ),
    click.option(
        "--signature", metavar="FILE", help="Write the memory from begin_signature to end_signature, as words."
    ),
    click.option(
        "--signature-granularity", type=click.Choice(["1", "2", "4", "8", "16"]), help="Bytes a word.  [default: 4]"
    ),
]


NETWORK_OPTIONS = {"mode": "network", "publish": "publish", "egress": "egress", "pcap": "pcap"}
"""Options by the field of the network that they set."""


def guest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all the options of a guest."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def given(ctx: click.Context) -> dict[str, Any]:
    """The fields of a definition that the user's options set, by name."""
    names = {field.name for field in msgspec.structs.fields(GuestFile)}
    fields = {
        name: value
        for name, value in ctx.params.items()
        if name in names and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if "kernel" in fields and fields["kernel"].endswith(",raw"):
        fields |= {"kernel": fields["kernel"].removesuffix(",raw"), "raw": True}
    if "signature_granularity" in fields:
        fields["signature_granularity"] = int(fields["signature_granularity"])
    told = {name: ctx.params.get(option) for name, option in NETWORK_OPTIONS.items()}
    if any(told.values()):
        fields["network"] = {name: value for name, value in told.items() if value}
    if ctx.params.get("command") is not None:
        fields["command"] = ctx.params["command"]
    return fields
