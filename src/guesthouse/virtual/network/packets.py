"""IP packets as they come: one record for both versions, and the words that both share."""

from __future__ import annotations

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
MOST_HOPS = 64
"""Hop limit of what we send."""

PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmp"}


class Packet:
    """A packet from the guest. What it views belongs to the receiver of frames: copy what is to stay.

    `checked` says that the checksum of what it carries need not be looked at. `pieces` is the size that a longer
    datagram is to be cut into, 0 for whole. `whole` begins with the IP header.
    """

    __slots__ = ("checked", "destination", "hops", "mac", "payload", "pieces", "protocol", "source", "version", "whole")

    def __init__(
        self,
        version: int,
        source: bytes,
        destination: bytes,
        protocol: int,
        hops: int,
        payload: memoryview,
        whole: memoryview,
    ) -> None:
        self.version = version
        self.source = source
        self.destination = destination
        self.protocol = protocol
        self.hops = hops
        self.payload = payload
        self.whole = whole
        self.mac = b""
        self.checked = False
        self.pieces = 0


class Fragment:
    """A piece of a packet, `offset` bytes into its payload."""

    __slots__ = ("key", "more", "offset", "packet")

    def __init__(self, packet: Packet, key: tuple[bytes, bytes, int, int], offset: int, more: bool) -> None:
        self.packet = packet
        self.key = key
        self.offset = offset
        self.more = more
