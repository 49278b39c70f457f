"""Where the guest's packets may go, and what the guest's addresses are to the host."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from guesthouse.virtual.network.addresses import Layout, is_unicast, packed, text
from guesthouse.virtual.network.names import Names
from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.rules import Rules

LOOPBACK4, LOOPBACK6 = packed("127.0.0.1"), packed("::1")


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Something that the rules did not let the guest do; `time` in seconds on the network's clock.

    For a question to the name server, `protocol` is "dns", `address` "" and `name` what was asked for.
    """

    time: float
    protocol: str
    address: str
    port: int
    name: str = ""


class Egress:
    """Decides about destinations."""

    def __init__(
        self, layout: Layout, rules: Rules, names: Names, loopback: bool, refused: Callable[[Refusal], None]
    ) -> None:
        """With `loopback`, the gateway's address leads to the host's own services, those on 127.0.0.1 and ::1."""
        self._layout = layout
        self._rules = rules
        self._names = names
        self._loopback = loopback
        self._refused = refused

    def destination(self, protocol: str, address: bytes, port: int, now: float) -> bytes | Problem:
        """The host's address for one that the guest has sent to, or why it does not get there."""
        layout = self._layout
        names = self._names.of(address, now) if self._rules else []
        if self._rules and not self._rules.allows(protocol, address, port, names):
            self.log(now, protocol, text(address), port, names[-1] if names else "")
            return Problem.FORBIDDEN
        if address in (layout.gateway, layout.gateway6):
            if not self._loopback:
                return Problem.REFUSED
            return LOOPBACK4 if len(address) == 4 else LOOPBACK6
        if layout.is_inside(address):
            return Problem.REFUSED if address in (layout.dns, layout.dns6) else Problem.NO_HOST
        return address if is_unicast(address) else Problem.NO_NETWORK

    def allows_question(self, name: str, now: float) -> bool:
        """Whether the name server may be asked for a name."""
        if not self._rules or self._rules.allows_question(name):
            return True
        self.log(now, "dns", "", 53, name)
        return False

    def log(self, now: float, protocol: str, address: str, port: int, name: str) -> None:
        """Tell of a refusal."""
        self._refused(Refusal(now, protocol, address, port, name))

    def appearance(self, address: bytes) -> bytes:
        """What the guest sees of a host's address: what it cannot reach by itself is the gateway."""
        if is_unicast(address) and not self._layout.is_inside(address):
            return address
        return self._layout.gateway if len(address) == 4 else self._layout.gateway6
