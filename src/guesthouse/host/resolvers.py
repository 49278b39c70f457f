"""The name servers that the host asks: resolv.conf(5)."""

import ipaddress
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MOST = 3


def host_resolvers(path: Path = RESOLV_CONF) -> list[str]:
    """Their addresses, in order; what the C library would take where the file says none, or is not there."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [line[1] for line in words if len(line) >= 2 and line[0] == "nameserver"]
    return [address for address in named if _is_address(address)][:MOST] or ["127.0.0.1"]


def _is_address(words: str) -> bool:
    """Whether it is one that holds without an interface (fe80::1%eth0 does not)."""
    try:
        return "%" not in words and bool(ipaddress.ip_address(words))
    except ValueError:
        return False
