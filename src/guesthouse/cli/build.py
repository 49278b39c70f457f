"""`guesthouse build`: make our native parts ahead, so that the first run need not."""

import click

from guesthouse.manager.agent_program import agent_executable
from guesthouse.manager.native_parts import build_native_parts, code_folder


@click.command("build")
def command() -> None:
    """Build our own native parts into your cache; what is there already is left alone.

    A run does so by itself where it finds them missing, which takes it some seconds more.
    """
    for part in build_native_parts():
        name = part.module.rpartition(".")[2]
        click.echo(f"{name}: {part.size >> 10} KiB of native code in {part.seconds:.1f} s ({code_folder()})")
        if part.problem:
            click.echo(f"guesthouse: native code is not kept: {part.problem}.", err=True)
    click.echo(f"the guest's agent: {len(agent_executable()) >> 10} KiB")
