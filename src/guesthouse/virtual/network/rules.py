"""Egress rules: where the guest may go, by address, port and name.

The first rule that fits decides; what none fits is allowed. A name stands for the addresses that our name server gave
the guest for it. A rule that allows a name allows public addresses only: else whoever owns the name could open the
host's own network by an answer with an address in it. A network that is meant is named by its addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.network.addresses import embedded, is_public

ALLOW, DENY = "allow", "deny"
PROTOCOLS = ("tcp", "udp", "icmp")
ALL_PORTS = (0, 65535)
FORM = "write it like 'allow *.example.org 80-443/tcp', 'deny 10.0.0.0/8' or 'deny any'"


class EgressRule(msgspec.Struct, frozen=True):
    """One rule. At most one of `network` (CIDR) and `name` is set; neither is any address. "" is any protocol."""

    verdict: str
    network: str = ""
    name: str = ""
    first_port: int = 0
    last_port: int = 65535
    protocol: str = ""


def parse_rule(text: str) -> EgressRule:
    """A rule as people write it: VERDICT any|ADDRESS[/BITS]|NAME|*.NAME [PORT[-PORT]][/tcp|/udp|/icmp]."""
    words = text.split()
    if not 2 <= len(words) <= 3 or words[0] not in (ALLOW, DENY):
        raise UserError(f"'{text}' is not an egress rule; {FORM}.")
    verdict, target = words[:2]
    ports, slash, protocol = (words[2] if len(words) == 3 else "").partition("/")
    if protocol not in PROTOCOLS if slash else False:
        raise UserError(f"'{protocol}' in the egress rule '{text}' is no protocol; take tcp, udp or icmp.")
    first, last = _ports(ports, text)
    if target == "any":
        return EgressRule(verdict, "", "", first, last, protocol)
    try:
        network = str(ipaddress.ip_network(target, strict=False))
    except ValueError:
        return EgressRule(verdict, "", _name(target, text), first, last, protocol)
    return EgressRule(verdict, network, "", first, last, protocol)


def _ports(words: str, text: str) -> tuple[int, int]:
    if not words:
        return ALL_PORTS
    first, dash, last = words.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or not 0 <= int(first) <= int(last or first) <= 65535:
        raise UserError(f"'{words}' in the egress rule '{text}' is no port and no range; {FORM}.")
    return int(first), int(last or first)


def _name(target: str, text: str) -> str:
    name = target.lower().rstrip(".")
    labels = name.removeprefix("*.").split(".")
    good = all(label and len(label) < 64 and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    if not good or not name.isascii() or labels[-1].isdecimal():
        raise UserError(f"'{target}' in the egress rule '{text}' is no network and no name; {FORM}.")
    return name


class Rules:
    """The rules of a guest, ready to be asked."""

    def __init__(self, rules: Sequence[EgressRule]) -> None:
        self._rules = [(rule, ipaddress.ip_network(rule.network) if rule.network else None) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def allows(self, protocol: str, address: bytes, port: int, names: Sequence[str]) -> bool:
        """Whether the guest may go there; `names` are those whose answers had the address. Port 0 for ICMP."""
        for rule, network in self._rules:
            if rule.protocol and rule.protocol != protocol:
                continue
            if protocol != "icmp" and not rule.first_port <= port <= rule.last_port:
                continue
            if protocol == "icmp" and (rule.first_port, rule.last_port) != ALL_PORTS:
                continue
            if network is not None and not _inside(address, network, rule.verdict):
                continue
            if rule.name and not _fits(rule, address, names):
                continue
            return rule.verdict == ALLOW
        return True

    def allows_question(self, name: str) -> bool:
        """Whether our name server may ask for a name.

        Not where a rule denies the name or everything before one allows it: a question is a message, too. Rules of
        some protocol or ports, and of networks, leave the decision to those behind.
        """
        for rule, network in self._rules:
            if network is None and (not rule.name or matches(rule.name, name)):
                if rule.verdict == ALLOW:
                    return True
                if not rule.protocol and (rule.first_port, rule.last_port) == ALL_PORTS:
                    return False
        return True


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _inside(address: bytes, network: Network, verdict: str) -> bool:
    """Whether an address is in a network; what a translator makes of it can be denied, but not allowed."""
    inner = embedded(address) if verdict == DENY else None
    return ipaddress.ip_address(address) in network or (inner is not None and ipaddress.ip_address(inner) in network)


def _fits(rule: EgressRule, address: bytes, names: Sequence[str]) -> bool:
    if not any(matches(rule.name, name) for name in names):
        return False
    return rule.verdict == DENY or is_public(address)


def matches(pattern: str, name: str) -> bool:
    """Whether a name is the pattern, or below it where that begins with "*."."""
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) >= len(pattern)
    return name == pattern
