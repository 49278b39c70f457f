"""What a guest's network is to be: plain data, as a definition or a command line gives it."""

from __future__ import annotations

import ipaddress

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.network.rules import EgressRule

FORM = "write it [HOSTIP:]HOSTPORT:GUESTPORT[/udp], like 2222:22"


class Forward(msgspec.Struct, frozen=True):
    """A port of the host that leads to one of the guest; `host` "" is the host's loopback, of IPv4 and IPv6."""

    host_port: int
    guest_port: int
    host: str = ""
    protocol: str = "tcp"


def parse_forward(text: str) -> Forward:
    """A forward as people write it; an IPv6 address stands in brackets, and 0 is any free port of the host."""
    words, slash, protocol = text.partition("/")
    if slash and protocol not in ("tcp", "udp"):
        raise UserError(f"'{protocol}' in '{text}' is no protocol for a port; take tcp or udp.")
    host, _, ports = words.rpartition(":")[0].rpartition(":")
    guest = words.rpartition(":")[2]
    if not _is_port(ports) or not _is_port(guest) or not int(guest):
        raise UserError(f"'{text}' does not forward a port; {FORM}.")
    if host:
        host = host[1:-1] if host[0] == "[" and host[-1] == "]" else host
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise UserError(f"'{host}' in '{text}' is no address of the host; {FORM}.") from None
    return Forward(int(ports), int(guest), host, protocol or "tcp")


def _is_port(words: str) -> bool:
    return words.isascii() and words.isdecimal() and len(words) <= 5 and int(words) <= 0xFFFF


class NetworkPlan(msgspec.Struct, frozen=True, tag="network"):
    """Everything that decides a user network.

    `subnet6` "" leaves IPv6 out. `names` gives names an address each ("guesthouse" is their domain). `resolvers` are
    ADDRESS or ADDRESS#PORT, () for those in the host's resolv.conf. With `loopback`, the gateway's address leads to
    services on the host's loopback. With `offload`, the device takes frames of up to 64 KiB and puts checksums in.
    `connections` is how many TCP connections there may be. `log` asks for a message about each refusal.
    """

    subnet: str = "10.0.2.0/24"
    subnet6: str = "fd00:6768::/64"
    forwards: tuple[Forward, ...] = ()
    rules: tuple[EgressRule, ...] = ()
    names: dict[str, str] = {}
    host_name: str = "guest"
    resolvers: tuple[str, ...] = ()
    loopback: bool = True
    offload: bool = True
    mtu: int = 1500
    connections: int = 4096
    log: bool = True
