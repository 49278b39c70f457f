"""`guesthouse cp`: files into a guest that runs, and out of it."""

import re

import click

from guesthouse.errors import UserError
from guesthouse.host.byte_stream import SocketStream
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent_relay import call_agent
from guesthouse.manager.guests import folder_of

_PLACE = re.compile(r"(?P<guest>[A-Za-z0-9][A-Za-z0-9._-]{0,63}):(?P<path>.*)\Z", re.DOTALL)


@click.command("cp")
@click.argument("source")
@click.argument("target")
def command(source: str, target: str) -> None:
    """Copy a file or a folder, with modes, links and times: from the host to GUEST:PATH, or from GUEST:PATH to it."""
    there, here = _PLACE.match(source), _PLACE.match(target)
    if bool(there) == bool(here):
        raise UserError("One of the two places must be in a guest: write it as GUEST:PATH.")
    place = there or here
    assert place is not None
    name = place["guest"]
    with call_agent(folder_of(name), name) as end:
        agent = Agent(SocketStream(end))
        agent.wait_ready()
        if there:
            agent.copy_out(place["path"], target)
        else:
            agent.copy_in(source, place["path"])
