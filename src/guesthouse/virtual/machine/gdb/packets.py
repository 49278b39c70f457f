"""Packets of the remote protocol: `$payload#checksum`, acknowledged with `+` or `-`; and the interrupt byte.

Source: "Debugging with GDB", appendix "gdb Remote Serial Protocol", section "Overview".
"""

from __future__ import annotations

from enum import Enum

PACKET_SIZE = 0x4000
"""Bytes of the longest payload, either way."""

INTERRUPT, ACK, NAK, START, END, ESCAPE = 0x03, b"+", b"-", b"$", b"#", 0x7D
SPECIAL = frozenset(b"#$}*")


class Garbage(Exception):
    """What came is no remote protocol; who sends that is no debugger."""


class Event(Enum):
    """What comes beside payloads."""

    INTERRUPT = "stop the guest"
    AGAIN = "the last packet did not arrive whole"
    DAMAGED = "a packet with a wrong checksum came"


class Unpacker:
    """Takes a client's bytes apart; holds no more than one packet beyond what was given last."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def give(self, data: bytes) -> None:
        """Take more bytes."""
        self._buffer += data

    def next(self) -> bytes | Event | None:
        """The next payload or event, None where more must come first; raises Garbage for what is neither."""
        buffer = self._buffer
        while buffer[:1] == ACK:
            del buffer[: len(buffer) - len(buffer.lstrip(ACK))]
        if not buffer:
            return None
        if buffer[0] == INTERRUPT:
            del buffer[0]
            return Event.INTERRUPT
        if buffer[:1] == NAK:
            del buffer[: len(buffer) - len(buffer.lstrip(NAK))]  # many of them ask for no more than one
            return Event.AGAIN
        if buffer[:1] != START:
            raise Garbage
        return self._packet()

    def _packet(self) -> bytes | Event | None:
        end = self._buffer.find(END)
        if end < 0 or len(self._buffer) < end + 3:
            if len(self._buffer) > PACKET_SIZE + 4:
                raise Garbage
            return None
        payload, digits = bytes(self._buffer[1:end]), bytes(self._buffer[end + 1 : end + 3])
        del self._buffer[: end + 3]
        return payload if digits.lower() == checksum(payload) else Event.DAMAGED

    def interrupted(self) -> bool:
        """Whether an interrupt is what comes next; for while the guest runs, when no packet may be answered."""
        while self._buffer[:1] == ACK:
            del self._buffer[0]
        return self._buffer[:1] == bytes([INTERRUPT])

    def __len__(self) -> int:
        return len(self._buffer)


def checksum(payload: bytes) -> bytes:
    """Two digits: the sum of the bytes modulo 256."""
    return b"%02x" % (sum(payload) & 0xFF)


def packet(payload: bytes) -> bytes:
    """A payload as it is sent."""
    return START + payload + END + checksum(payload)


def escape(data: bytes) -> bytes:
    """Binary data for a payload."""
    if not SPECIAL & set(data):
        return data
    return b"".join(bytes([ESCAPE, byte ^ 0x20]) if byte in SPECIAL else bytes([byte]) for byte in data)


def unescape(data: bytes) -> bytes:
    """Binary data from a payload."""
    first, *rest = data.split(bytes([ESCAPE]))
    result = bytearray(first)
    for part in rest:
        if not part:
            raise ValueError("an escape without its byte")
        result.append(part[0] ^ 0x20)
        result += part[1:]
    return bytes(result)
