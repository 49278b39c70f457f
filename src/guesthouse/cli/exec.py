"""`guesthouse exec`: a command in a guest that runs."""

import os

import click

from guesthouse.cli.run import RunCommand
from guesthouse.errors import UserError
from guesthouse.host.byte_stream import SocketStream
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent.execute import Execution, execute
from guesthouse.manager.agent_relay import call_agent
from guesthouse.manager.guests import folder_of


@click.command("exec", cls=RunCommand)
@click.argument("guest")
@click.option("-e", "--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; repeatable.")
@click.option("-w", "--workdir", default="/root", show_default=True, metavar="DIR", help="Run it in this folder.")
@click.option("-u", "--user", "user_name", metavar="NAME", help="Run it as this user.  [default: root]")
@click.option("-t/-T", "--tty/--no-tty", "terminal", default=None, help="Give it a terminal, or none.")
def command(
    guest: str,
    variables: tuple[str, ...],
    workdir: str,
    user_name: str | None,
    terminal: bool | None,
    command: tuple[str, ...] | None,
) -> int:
    """Run a COMMAND in GUEST, a name or a guest's folder, that runs elsewhere; with this command's streams and status.

    Needs the agent in the guest, which images `tiny` and `debian` have.
    """
    if not command:
        raise UserError("Say what to run, behind `--`: `guesthouse exec GUEST -- COMMAND`.")
    if wrong := next((each for each in variables if "=" not in each), None):
        raise UserError(f"{wrong!r} sets no variable; write it as NAME=VALUE.")
    folder = folder_of(guest)
    user = None
    if user_name is not None:
        with call_agent(folder, guest) as end:  # one visitor at a time
            user = Agent(SocketStream(end)).user(user_name)
    execution = Execution(
        words=tuple(map(os.fsencode, command)),
        environment=tuple(map(os.fsencode, variables)),
        directory=os.fsencode(workdir),
        user=user,
        terminal=terminal,
    )
    with call_agent(folder, guest) as end:
        return execute(end, execution)
