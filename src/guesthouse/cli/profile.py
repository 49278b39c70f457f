"""`guesthouse profile`: run a guest and tell where its time goes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from guesthouse.cli import run
from guesthouse.cli.flame_graph import flame_graph, grown
from guesthouse.cli.guest_options import given
from guesthouse.cli.profile_code import code_lines
from guesthouse.cli.profile_names import ProfileNames
from guesthouse.cli.profile_report import ProfileReport, weighted_stacks
from guesthouse.errors import UserError
from guesthouse.guest.symbols import Symbols, read_symbols
from guesthouse.host.kept_file import keep
from guesthouse.host.user_folders import write_file
from guesthouse.manager.guest_plan import plan_of
from guesthouse.manager.native_parts import hello_symbols
from guesthouse.manager.profile import RATE, Profile, Sampling
from guesthouse.manager.run import Streams, run_guest

NOT_OURS = ("stats", "stats_json", "trace", "trace_file", "signature", "signature_granularity", "gdb")

OPTIONS = [
    click.Option(["--top"], type=click.IntRange(1), default=25, show_default=True, help="Functions in the table."),
    click.Option(
        ["--places"], type=click.IntRange(0), default=3, show_default=True, help="Hot places with their code."
    ),
    click.Option(["--svg"], metavar="FILE", help="Write a flame graph."),
    click.Option(["--code"], is_flag=True, help="Show what the engines make of the hottest loop."),
    click.Option(
        ["--symbols"], metavar="FILE", multiple=True, help="Names from an ELF file or a System.map; repeatable."
    ),
    click.Option(["--output"], metavar="FILE", help="Write the report there.  [default: standard error]"),
    click.Option(
        ["--rate"], type=click.FloatRange(1, 10_000), default=RATE, show_default=True, help="Samples a second."
    ),
    click.Option(["--every"], type=click.IntRange(1), metavar="STEPS", help="Sample every so many steps instead."),
]


def profile(image: str | None, **options: Any) -> int:
    """Run a guest as `run` does, and tell where its time goes: by engine, exit, function, and place in the code.

    A running Linux names its own functions; --symbols gives names to other programs. The guest is sampled and runs
    about as fast as ever. With --clock instructions samples count steps, every half a million of them.
    """
    names = [_symbols(path) for path in options["symbols"]]
    with contextlib.ExitStack() as stack:
        guest = run.guest_of(image, options["name"], given(click.get_current_context()), stack)
        plan = plan_of(guest, run.newline_for(guest))
        plan = msgspec.structs.replace(plan, profile=Sampling(options["rate"], options["every"]))
        if plan.builtin:
            names.append(hello_symbols())
        outcome = run_guest(plan, Streams(say=run.say), guest.timeout)
    if outcome.text:
        run.say(outcome.text)
    if outcome.profile is None or not outcome.profile.samples:
        raise UserError("The guest ended before the first sample; take more of them (--rate, --every).")
    _show(outcome.profile, ProfileNames(outcome.profile, names), options)
    return outcome.status


def _symbols(path: str) -> Symbols:
    with contextlib.closing(keep(path, b"", "the file of symbols")) as content:
        return read_symbols(content.read(), path)


def _show(profile: Profile, names: ProfileNames, options: dict[str, Any]) -> None:
    if options["svg"]:
        root = grown(weighted_stacks(profile, names))
        unit = ("million steps", 1e6) if profile.counted else ("ms", 1e6)
        title = f"Where the guest's {'steps' if profile.counted else 'time'} went"
        write_file(Path(options["svg"]), flame_graph(root, title, *unit).encode())
    text = "\n".join(_lines(profile, names, options))
    if options["output"]:
        write_file(Path(options["output"]), text.encode() + b"\n")
    else:
        run.say("\n" + text)


def _lines(profile: Profile, names: ProfileNames, options: dict[str, Any]) -> Iterator[str]:
    report = ProfileReport(profile, names, options["top"])
    yield from report.lines(options["places"])
    if options["code"] and (hot := report.hot_places()):
        yield from code_lines(hot[0], profile.pages[hot[0].page])


def _make_command() -> click.Command:
    kept = [parameter for parameter in run.command.params if parameter.name not in NOT_OURS]
    settings = {"max_content_width": 110}
    return run.RunCommand(
        "profile", callback=profile, params=[*kept, *OPTIONS], help=profile.__doc__, context_settings=settings
    )


command = _make_command()
