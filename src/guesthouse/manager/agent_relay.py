"""The way to the agent of a guest that runs: a socket of the host, at which one command after the other is served.

It is imported only where a guest lasts. Whoever may use the socket is the user who runs the guest (its folder is the
user's alone).
"""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from guesthouse.errors import UserError
from guesthouse.guest.agent.protocol import PORT
from guesthouse.host.local_sockets import connect_local, listen_local
from guesthouse.host.loop import Loop
from guesthouse.host.user_folders import runtime_folder
from guesthouse.host.visitors import Visitor, Visitors

if TYPE_CHECKING:
    from guesthouse.virtual.machine.input import Input

NAME = PORT.decode()


def socket_of(folder: Path) -> Path:
    """Where the agent of the guest in a folder is found while that runs."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
    return runtime_folder() / "guests" / f"{name}.agent"


def call_agent(folder: Path, name: str) -> socket.socket:
    """A connection to the agent of a guest; raises UserError where the guest does not run."""
    end = connect_local(socket_of(folder))
    if end is None:
        raise UserError(f"The guest {name!r} does not run; start it with `guesthouse run --name {name}`.")
    return end


class AgentRelay:
    """Leads visitors to the agent's port, one at a time; its end of the port for the machine is itself."""

    def __init__(self, loop: Loop, place: Path) -> None:
        """Listen at `place`; raises UserError where the guest runs already."""
        listener = listen_local(place)
        if listener is None:
            raise UserError("The guest runs already; stop it first, or use `guesthouse exec`.")
        self.ports = {NAME: self}
        self._client: Visitor | None = None
        self._input: Input | None = None
        self._visitors = Visitors(loop, listener, self)

    def connect(self, port: Input) -> None:
        """Take the way into the guest."""
        self._input = port

    # What the guest says, in the machine's thread.

    def write(self, data: bytes) -> None:
        """Pass on what the agent says; where nobody listens, nobody misses it."""
        client = self._client
        if client is not None:
            client.send(data)

    def opened(self, is_open: bool) -> None:
        """The agent tells by itself when it is there."""

    # What the visitor says, in the loop's thread.

    def attach(self, client: Visitor) -> None:
        """Somebody is there."""
        self._client = client

    def receive(self, client: Visitor, data: bytes) -> None:
        """Pass it on; how much may be under way is agreed between the visitor and the agent."""
        if self._input is not None:
            self._input.write(data)
        client.taken()

    def leave(self, client: Visitor) -> None:
        """Nobody is there any more."""
        self._client = None
        client.taken()

    def refresh(self) -> None:
        """Move what is queued."""
        self._visitors.refresh()
