"""From the network of a definition to the one that a guest's card is plugged into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Network
from guesthouse.host.capture import Capture
from guesthouse.host.loop import Loop
from guesthouse.host.network_wires import PacketWire, Wire, open_stream, open_tap
from guesthouse.manager.network import NetworkProcess, start_network
from guesthouse.manager.network_protocol import Unsaid
from guesthouse.virtual.machine.network import NetworkLink
from guesthouse.virtual.network.egress import Refusal
from guesthouse.virtual.network.plan import NetworkPlan, parse_forward
from guesthouse.virtual.network.rules import parse_rule

OURS = b"\x52\x54\x00"
"""How addresses of virtual cards begin, by custom."""


def network_plan(network: Network, name: str) -> NetworkPlan:
    """The user network that a definition means; raises UserError where one of its texts is wrong."""
    return NetworkPlan(
        forwards=tuple(map(parse_forward, network.publish)),
        rules=tuple(map(parse_rule, network.egress)),
        host_name=name or "guest",
    )


def check_network(network: Network) -> None:
    """Raise UserError where a definition's network can't be."""
    kind, _, place = network.mode.partition(":")
    if kind in ("tap", "socket") and not place:
        raise UserError(f"The network {network.mode!r} names no place; write {kind}:NAME.")
    if kind != "user" and (network.publish or network.egress):
        raise UserError("Published ports and egress rules need the user network; add --network user.")
    network_plan(network, "")
    card_address(network, "")


def card_address(network: Network, name: str) -> bytes:
    """The address of the guest's card: the one that was chosen, else one from the guest's name, else by chance."""
    if not network.mac:
        return OURS + (hashlib.sha256(name.encode()).digest()[:3] if name else os.urandom(3))
    try:
        address = bytes.fromhex(network.mac.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != 6 or address[0] & 1 or not any(address):
        raise UserError(f"{network.mac!r} is no address of a card; write it as 52:54:00:12:34:56.")
    return address


class GuestNetwork:
    """A guest's network while it runs; `link` is the machine's end."""

    def __init__(self, network: Network, name: str, loop: Loop, heard: Callable[[str], None]) -> None:
        """`heard` gets sentences about what was refused. Raises UserError for what the user can mend."""
        check_network(network)
        self._process: NetworkProcess | None = None
        self._heard = heard
        self.listens = False
        """Whether it takes in a peer later on."""
        self.link = NetworkLink(self._wire(network, name, loop), card_address(network, name))
        if network.pcap:
            self.link.look = Capture(network.pcap, heard).look

    def _wire(self, network: Network, name: str, loop: Loop) -> Wire:
        kind, _, place = network.mode.partition(":")
        if kind == "tap":
            return open_tap(place)
        if kind == "socket":
            stream = open_stream(place)
            self.listens = stream.listens
            if self.listens:
                self._heard(f"The network waits for somebody who connects to {place}.")
            return stream
        self._process = start_network(network_plan(network, name), loop, self._hear)
        descriptor = os.dup(self._process.device.fileno())
        self._process.device.close()
        return PacketWire(descriptor)

    @property
    def forwards(self) -> list[str]:
        """Sentences about the host's ports that lead to the guest."""
        found = self._process.forwards if self._process else ()
        return [
            f"{one.host or 'localhost'}:{one.host_port} leads to the guest's {one.protocol} port {one.guest_port}."
            for one in found
        ]

    def _hear(self, message: Refusal | Unsaid) -> None:
        if isinstance(message, Unsaid):
            self._heard(f"The network refused {message.count} times more.")
            return
        what = f"{message.name} ({message.address})" if message.name and message.address else message.name
        port = f" port {message.port}" if message.port else ""
        self._heard(f"The network refused the guest {message.protocol} to {what or message.address}{port}.")
