"""DHCPv6 (RFC 8415): name server and search domain, and an address for a guest that asks for one."""

from __future__ import annotations

import struct

from guesthouse.virtual.network.addresses import GATEWAY_MAC, Layout

SERVER_PORT, CLIENT_PORT = 547, 546
SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, STATUS, RAPID_COMMIT, DNS, SEARCH = 1, 2, 3, 5, 13, 14, 23, 24
SERVER = struct.pack("!HH", 3, 1) + GATEWAY_MAC
"""Our identifier: the Ethernet address (11.4)."""

LIFETIME = 86400


def answer(layout: Layout, domain: str, data: memoryview) -> bytes | None:
    """The answer to a message; None where there is none to give."""
    if len(data) < 4:
        return None
    options = _options(data[4:])
    kind = data[0]
    if options is None or options.get(SERVER_ID, SERVER) != SERVER:
        return None
    client = options.get(CLIENT_ID)
    if client is None and kind != INFORMATION_REQUEST:
        return None
    if kind not in (SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE, INFORMATION_REQUEST):
        return None
    advertised = kind == SOLICIT and RAPID_COMMIT not in options
    parts = [bytes([ADVERTISE if advertised else REPLY]), bytes(data[1:4]), _option(SERVER_ID, SERVER)]
    if client is not None:
        parts.append(_option(CLIENT_ID, client))
    if kind == SOLICIT and not advertised:
        parts.append(_option(RAPID_COMMIT, b""))
    if kind in (CONFIRM, RELEASE, DECLINE):
        parts.append(_option(STATUS, bytes(2)))
    elif (wanted := options.get(IA_NA)) is not None and len(wanted) >= 12:
        parts.append(_option(IA_NA, _address(layout, wanted[:4])))
    parts.append(_option(DNS, layout.dns6))
    if domain:
        name = b"".join(bytes([len(label)]) + label for label in domain.encode("ascii").split(b".")) + b"\0"
        parts.append(_option(SEARCH, name))
    return b"".join(parts)


def _address(layout: Layout, name: bytes) -> bytes:
    """The one address there is to give (21.4, 21.6)."""
    address = layout.guest6 + struct.pack("!II", LIFETIME, LIFETIME)
    return name + struct.pack("!II", LIFETIME // 2, LIFETIME * 4 // 5) + _option(IA_ADDRESS, address)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def _options(data: memoryview) -> dict[int, bytes] | None:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("!HH", data, at)
        if at + 4 + size > len(data):
            return None
        found.setdefault(code, bytes(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found if at == len(data) else None
