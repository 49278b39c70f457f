"""Messages of the domain name system (RFC 1035): as much as a forwarder reads and says itself."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

HEADER = struct.Struct("!HHHHHH")
SIZE = HEADER.size
RESPONSE, AUTHORITATIVE, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
OPCODE = 0x7800
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = range(6)
A, CNAME, PTR, AAAA, ANY = 1, 5, 12, 28, 255
INTERNET = 1
LONGEST_NAME = 255
MOST_RECORDS = 512
LOCAL_TTL = 60


class Question(msgspec.Struct, frozen=True):
    """What a message asks: `name` in lower case without the last dot, `end` where the question ends in it."""

    number: int
    flags: int
    name: str
    kind: int
    end: int


def read_question(message: bytes) -> Question | None:
    """The one question of a message; None where it has another number of them, or is malformed."""
    if len(message) < SIZE:
        return None
    number, flags, questions, *_ = HEADER.unpack_from(message)
    if questions != 1:
        return None
    labels, at, length = [], SIZE, 0
    while at < len(message) and message[at]:
        size = message[at]
        length += 1 + size
        if size > 63 or length >= LONGEST_NAME or at + 1 + size > len(message):
            return None
        labels.append(message[at + 1 : at + 1 + size].decode("latin-1").lower().replace(".", "\\."))
        at += 1 + size
    if at + 5 > len(message):
        return None
    kind, family = struct.unpack_from("!HH", message, at + 1)
    return Question(number, flags, ".".join(labels), kind if family == INTERNET else 0, at + 5)


def addresses(message: bytes, question: Question) -> list[tuple[bytes, int]]:
    """Addresses among a message's answers, with the seconds that each is good for."""
    found = []
    count = min(HEADER.unpack_from(message)[3], MOST_RECORDS)
    at = question.end
    for _ in range(count):
        at = _skip_name(message, at)
        if at < 0 or at + 10 > len(message):
            break
        kind, family, ttl, size = struct.unpack_from("!HHIH", message, at)
        data = message[at + 10 : at + 10 + size]
        at += 10 + size
        if family == INTERNET and ((kind == A and len(data) == 4) or (kind == AAAA and len(data) == 16)):
            found.append((data, ttl))
    return found


def _skip_name(message: bytes, at: int) -> int:
    """Where a name ends; -1 where it does not."""
    while at < len(message):
        size = message[at]
        if size >= 0xC0:
            return at + 2
        if size > 63:
            return -1
        at += 1 + size
        if not size:
            return at
    return -1


def reply(query: bytes, question: Question, code: int, records: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """An answer of our own: records of (type, data) for the name that was asked for."""
    flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | (question.flags & RECURSION_DESIRED) | code
    parts = [HEADER.pack(question.number, flags, 1, len(records), 0, 0), query[SIZE : question.end]]
    parts += [struct.pack("!HHHIH", 0xC00C, kind, INTERNET, LOCAL_TTL, len(data)) + data for kind, data in records]
    return b"".join(parts)


def malformed(query: bytes) -> bytes:
    """The answer to a message (of a header at least) that is not understood."""
    number, flags, *_ = HEADER.unpack_from(query)
    code = NOT_IMPLEMENTED if flags & OPCODE else FORMAT_ERROR
    return HEADER.pack(number, RESPONSE | flags & (OPCODE | RECURSION_DESIRED) | code, 0, 0, 0, 0)


def encoded_name(name: str) -> bytes:
    """A name of ASCII as it is in messages."""
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".")) + b"\0"


def reverse_name(address: bytes) -> str:
    """The name whose PTR record names an address."""
    if len(address) == 4:
        return ".".join(str(byte) for byte in reversed(address)) + ".in-addr.arpa"
    return ".".join(reversed(address.hex())) + ".ip6.arpa"
