"""DHCP (RFC 2131, 2132): the guest's IPv4 address, router and name server. A lease is of an Ethernet address."""

from __future__ import annotations

import struct

from guesthouse.virtual.network.addresses import ANY4, Layout

HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
COOKIE = bytes.fromhex("63825363")
SERVER_PORT, CLIENT_PORT = 67, 68
BOOT_REQUEST, BOOT_REPLY = 1, 2
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
PAD, END = 0, 255
MASK, ROUTER, DNS, HOST_NAME, DOMAIN, MTU, BROADCAST = 1, 3, 6, 12, 15, 26, 28
REQUESTED, LEASE, KIND, SERVER, RENEW, REBIND, SEARCH = 50, 51, 53, 54, 58, 59, 119
LEASE_TIME = 86400
MOST_LEASES = 16
BROADCAST_FLAG = 0x8000


class Dhcp:
    """The server: a message in, a message out."""

    def __init__(self, layout: Layout, host_name: str, domain: str, mtu: int) -> None:
        self._layout = layout
        self._leases: dict[bytes, bytes] = {}
        self._told = _option(MASK, layout.mask.to_bytes(4, "big")) + _option(ROUTER, layout.gateway)
        self._told += _option(DNS, layout.dns) + _option(BROADCAST, layout.broadcast)
        self._told += _option(MTU, mtu.to_bytes(2, "big"))
        if host_name:
            self._told += _option(HOST_NAME, host_name.encode("ascii"))
        if domain:
            self._told += _option(DOMAIN, domain.encode("ascii"))

    def answer(self, data: memoryview) -> tuple[bytes, bytes, bytes] | None:
        """What to send, the IP address that it goes to (may be broadcast), and the client's Ethernet address."""
        if len(data) < HEADER.size:
            return None
        kind, hardware, size, _, transaction, _, flags, client, _, _, _, chaddr, _, _, cookie = HEADER.unpack_from(data)
        if (kind, hardware, size, cookie) != (BOOT_REQUEST, 1, 6, COOKIE):
            return None
        options = _options(data[HEADER.size :])
        mac = chaddr[:6]
        said = self._decide(options.get(KIND, b""), options, client, mac)
        if said is None:
            return None
        verdict, address = said
        body = _option(KIND, bytes([verdict])) + _option(SERVER, self._layout.gateway)
        if verdict != NAK:
            body += self._told
        if address != ANY4:
            body += b"".join(_option(which, int(seconds).to_bytes(4, "big")) for which, seconds in _TIMES)
        kept = client if verdict == ACK else ANY4
        message = HEADER.pack(
            BOOT_REPLY, 1, 6, 0, transaction, 0, flags, kept, address, self._layout.gateway, ANY4, chaddr,
            bytes(64), bytes(128), COOKIE,
        )  # fmt: skip
        to = client if client != ANY4 and verdict != NAK else b"\xff" * 4
        if to == b"\xff" * 4 and not flags & BROADCAST_FLAG and verdict != NAK and address != ANY4:
            to = address
        return message + body + bytes([END]), to, mac

    def _decide(self, kind: bytes, options: dict[int, bytes], client: bytes, mac: bytes) -> tuple[int, bytes] | None:
        """What to say, and the address that the client gets by it."""
        code = kind[0] if kind else 0
        if code == DISCOVER:
            address = self._lease(mac)
            return (OFFER, address) if address else None
        if code == REQUEST:
            if options.get(SERVER, self._layout.gateway) != self._layout.gateway:
                return None  # it has taken another server's
            wanted = options.get(REQUESTED, client)
            mine = self._lease(mac)
            return (ACK, mine) if mine and wanted == mine else (NAK, ANY4)
        if code == INFORM:
            return ACK, ANY4
        if code in (RELEASE, DECLINE):
            self._leases.pop(mac, None)
        return None

    def _lease(self, mac: bytes) -> bytes | None:
        """The address of an Ethernet address; None where all are given away."""
        if mac in self._leases:
            return self._leases[mac]
        first = int.from_bytes(self._layout.guest, "big")
        taken = set(self._leases.values())
        for number in range(MOST_LEASES):
            address = (first + number).to_bytes(4, "big")
            if address not in taken and self._layout.is_guest(address):
                self._leases[mac] = address
                return address
        return None


_TIMES = ((LEASE, LEASE_TIME), (RENEW, LEASE_TIME / 2), (REBIND, LEASE_TIME * 7 / 8))


def _option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


def _options(data: memoryview) -> dict[int, bytes]:
    """Options by code; what is malformed ends them."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != END:
        if data[at] == PAD:
            at += 1
        elif at + 1 < len(data) and at + 2 + data[at + 1] <= len(data):
            found[data[at]] = bytes(data[at + 2 : at + 2 + data[at + 1]])
            at += 2 + data[at + 1]
        else:
            break
    return found
