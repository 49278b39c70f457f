"""How far a TCP connection is, and what it needs around it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.tcp_receive import Budget
from guesthouse.virtual.network.timers import Timers

if TYPE_CHECKING:
    from guesthouse.virtual.network.tcp import Connection


class Phase(Enum):
    """How far a connection is; RFC 9293's states past ESTABLISHED follow from which FINs there were."""

    CONNECTING = "the host's side is being made"
    SYN_SENT = "the guest is asked"
    SYN_RECEIVED = "the guest is answered"
    OPEN = "open"
    TIME_WAIT = "over, and remembered"
    CLOSED = "over"


class Owner(Protocol):
    """What a connection needs around it."""

    timers: Timers
    budget: Budget

    def owe(self, connection: Connection) -> None:
        """`connection.flush` is to be called at the end of this turn."""

    def opened(self, connection: Connection) -> None:
        """The handshake is done."""

    def refused(self, connection: Connection, problem: Problem) -> None:
        """The host did not take it: the guest is to be told."""

    def waits(self, connection: Connection) -> None:
        """It has ended in order, and is remembered for a while."""

    def gone(self, connection: Connection) -> None:
        """It is over; forget it."""
