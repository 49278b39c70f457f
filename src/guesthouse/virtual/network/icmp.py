"""Control messages of both IP versions: echoes and errors (RFC 792, RFC 4443)."""

from __future__ import annotations

from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.checksum import checksum, total
from guesthouse.virtual.network.outside import Problem
from guesthouse.virtual.network.packets import ICMP, ICMPV6, Packet

ECHO_REPLY, UNREACHABLE, ECHO, TIME_EXCEEDED = 0, 3, 8, 11
UNREACHABLE6, TOO_BIG6, TIME_EXCEEDED6, ECHO6, ECHO_REPLY6 = 1, 2, 3, 128, 129

CODES4 = {
    Problem.REFUSED: 3, Problem.NO_NETWORK: 0, Problem.NO_HOST: 1, Problem.TIMED_OUT: 1, Problem.FORBIDDEN: 13,
    Problem.RESET: 1, Problem.BUSY: 1, Problem.TOO_LONG: 1,
}  # fmt: skip
CODES6 = {
    Problem.REFUSED: 4, Problem.NO_NETWORK: 0, Problem.NO_HOST: 3, Problem.TIMED_OUT: 3, Problem.FORBIDDEN: 1,
    Problem.RESET: 3, Problem.BUSY: 3, Problem.TOO_LONG: 3,
}  # fmt: skip
QUOTED4, QUOTED6 = 548, 1184
"""Bytes of the packet that an error quotes, so that the error itself stays below 576 or 1232 bytes."""


def message4(kind: int, code: int, rest: bytes, data: Buffer = b"") -> bytes:
    """An ICMP message; `rest` is the 4 bytes behind the checksum."""
    blank = bytes([kind, code, 0, 0]) + rest + data
    return b"%b%b%b" % (blank[:2], checksum(total(blank)).to_bytes(2, "big"), blank[4:])


def message6(kind: int, code: int, rest: bytes, data: Buffer = b"") -> bytes:
    """An ICMPv6 message, with no checksum yet."""
    return bytes([kind, code, 0, 0]) + rest + data


def unreachable(version: int, problem: Problem, quoted: Buffer) -> tuple[int, bytes]:
    """Protocol and message that say why the packet that `quoted` begins did not arrive."""
    if version == 4:
        return ICMP, message4(UNREACHABLE, CODES4[problem], bytes(4), bytes(quoted[:QUOTED4]))
    return ICMPV6, message6(UNREACHABLE6, CODES6[problem], bytes(4), bytes(quoted[:QUOTED6]))


def out_of_hops(packet: Packet) -> tuple[int, bytes]:
    """Protocol and message that say that a packet has travelled too far."""
    if packet.version == 4:
        return ICMP, message4(TIME_EXCEEDED, 0, bytes(4), bytes(packet.whole[:QUOTED4]))
    return ICMPV6, message6(TIME_EXCEEDED6, 0, bytes(4), bytes(packet.whole[:QUOTED6]))


def is_echo(packet: Packet) -> bool:
    """Whether a packet (of ICMP) asks for an echo."""
    return len(packet.payload) >= 8 and packet.payload[0] == (ECHO if packet.version == 4 else ECHO6)


def echo_reply(packet: Packet) -> bytes:
    """The answer to an echo."""
    rest, data = bytes(packet.payload[4:8]), packet.payload[8:]
    return message4(ECHO_REPLY, 0, rest, data) if packet.version == 4 else message6(ECHO_REPLY6, 0, rest, data)
