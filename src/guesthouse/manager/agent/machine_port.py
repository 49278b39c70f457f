"""The agent of a guest that runs in this process: the machine runs while the agent is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from guesthouse.errors import UserError
from guesthouse.guest.agent.protocol import PORT
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent.session import CLOSED
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.stop import Reason

NAME = PORT.decode()
ENDS = (Reason.POWER_OFF, Reason.PANIC, Reason.RESET)
PAUSE = 0.01
"""Seconds between two looks at a machine that stops for something else, such as a breakpoint."""


class AgentPort:
    """The port of a `Machine`'s agent: give its `ports` to the machine, then ask for the `agent`."""

    def __init__(self) -> None:
        self._agent: MachineAgent | None = None
        self._early = bytearray()

    @property
    def ports(self) -> Mapping[str, AgentPort]:
        """As `Machine(ports=...)` wants it."""
        return {NAME: self}

    def agent(self, machine: Machine, *, fresh: bool = True) -> MachineAgent:
        """The agent in a machine that was built with these ports; its methods run the machine while they wait.

        `fresh` is False for a machine that was loaded: its agent may have been spoken to before.
        """
        if NAME not in machine.ports:
            raise UserError(f"The machine has no port {NAME!r}; build it with ports=port.ports.")
        self._agent = MachineAgent(machine, fresh)
        self._agent.take(bytes(self._early))
        self._early.clear()
        return self._agent

    def write(self, data: bytes) -> None:
        """Take what the agent says; called by the machine."""
        if self._agent is not None:
            self._agent.take(data)
        elif len(self._early) < 1 << 16:
            self._early += data

    def opened(self, is_open: bool) -> None:
        """Hear of the guest's end; the agent says by itself when it is there."""


class MachineAgent(Agent):
    """The agent in a machine of this process: what it says is answered while the machine runs."""

    def __init__(self, machine: Machine, fresh: bool) -> None:
        self._machine = machine
        self._awaited: Callable[[], bool] | None = None
        super().__init__(self, fresh=fresh)

    def take(self, data: bytes) -> None:
        """Take what the agent says, and stop the machine where that is what was waited for."""
        self.session.receive(data)
        self._answer()
        if self._awaited is not None and (self._awaited() or self.session.problem):
            self._awaited = None
            self._machine.stop()

    def _answer(self) -> None:
        if data := self.session.take_output():
            self._machine.ports[NAME].write(data)

    def exchange(self, data: bytes, timeout: float | None) -> bytes | None:
        """Send `data`; what comes is taken while the machine runs."""
        self._machine.ports[NAME].write(data)
        return b""

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Run the machine until a condition holds or the conversation is over; False where the time is up."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._answer()
        while not condition() and not self.session.problem:
            rest = None if deadline is None else deadline - time.monotonic()
            if rest is not None and rest <= 0:
                return False
            self._awaited = condition
            stop = self._machine.run(timeout=rest)
            self._awaited = None
            if stop.reason in ENDS:
                self.session.close(CLOSED)
            elif stop.reason not in (Reason.STOPPED, Reason.TIMEOUT):
                time.sleep(PAUSE)
        self._answer()
        return True
