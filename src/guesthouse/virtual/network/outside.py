"""What the network needs of the host: streams, datagrams, echoes and chance. Made by `host`, or by a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from guesthouse.host.network_problem import Broken, Problem
from guesthouse.virtual.network.addresses import Buffer


class StreamUser(Protocol):
    """Who is told about a stream."""

    def connected(self) -> None:
        """The other side has taken the connection."""

    def failed(self, problem: Problem) -> None:
        """It came to nothing, or was broken off."""

    def readable(self) -> None:
        """There is something to receive, or the end. Not said again until `receive` gave None."""

    def writable(self) -> None:
        """There is room again after a `send` that did not take everything."""


class Stream(Protocol):
    """A connection of the host; both calls never wait."""

    def receive(self, most: int) -> bytes | None:
        """What is there, at most `most` bytes; None for nothing now, b"" for the end. Raises Broken."""

    def send(self, data: Buffer) -> int:
        """How many bytes were taken. Raises Broken."""

    def finish(self) -> None:
        """Nothing more will be sent."""

    def close(self) -> None:
        """Let go of it; what was sent still goes out."""

    def reset(self) -> None:
        """Break it off."""


class Datagrams(Protocol):
    """A socket for datagrams of the host, or for echoes (where a port is the identifier, and of no use)."""

    def send(self, data: Buffer, address: bytes, port: int) -> Problem | None:
        """Send one; None where that went well."""

    def close(self) -> None:
        """Let go of it."""


__all__ = ["Bounced", "Broken", "Datagrams", "Outside", "Problem", "Received", "Stream", "StreamUser"]

Received = Callable[[bytes, bytes, int], None]
"""Called with a datagram, and the address and port of who sent it."""

Bounced = Callable[[bytes, int, Problem], None]
"""Called with the address and port that an earlier datagram did not reach."""


class Outside(Protocol):
    """The host's network."""

    def connect(self, address: bytes, port: int, user: StreamUser) -> Stream | Problem:
        """Begin a connection; `user` hears what becomes of it, later."""

    def datagrams(self, version: int, received: Received, bounced: Bounced) -> Datagrams | None:
        """A socket for IP version 4 or 6; None where the host has none to give."""

    def echoes(self, version: int, received: Received) -> Datagrams | None:
        """A socket for ICMP echoes, whole messages without IP header; None where the host does not permit it."""

    def random(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
