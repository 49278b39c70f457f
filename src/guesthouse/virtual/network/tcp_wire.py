"""TCP segments on the wire: read, and built with as little work as a frame of 64 KiB deserves (RFC 9293, 3.1)."""

from __future__ import annotations

import struct

from guesthouse.virtual.network.addresses import GATEWAY_MAC, Buffer
from guesthouse.virtual.network.checksum import checksum, pseudo_header, total
from guesthouse.virtual.network.link import Link
from guesthouse.virtual.network.packets import ETHERTYPE_IPV4, ETHERTYPE_IPV6, MOST_HOPS, TCP
from guesthouse.virtual.network.virtio_header import GSO_TCPV4, GSO_TCPV6, PLAIN, partial, segmented

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
HEADER = struct.Struct("!HHIIBBHHH")
"""ports, sequence, acknowledgment, header length, flags, window, checksum, urgent pointer"""

SIZE = HEADER.size
OPTION_END, OPTION_NOTHING, OPTION_MSS, OPTION_SCALE = 0, 1, 2, 3
MOST_SCALE = 14
WORD = 0xFFFF_FFFF
ETHERNET = 14
IP4 = struct.Struct("!HHHHBBH4s4s")
IP6 = struct.Struct("!IHBB16s16s")
CHECKSUM_AT = 16
LARGEST = 0xFFFF - 20 - 20
"""Bytes of payload that a packet can have, of either version."""


def distance(to: int, origin: int) -> int:
    """How far a sequence number on the wire is behind one that counts on, -2^31 to 2^31 - 1."""
    return ((to - origin + 0x8000_0000) & WORD) - 0x8000_0000


def handshake_options(data: memoryview) -> tuple[int | None, int | None]:
    """Maximum segment size and window scale, None where they are not said."""
    mss = scale = None
    at = 0
    while at < len(data) and data[at] != OPTION_END:
        if data[at] == OPTION_NOTHING:
            at += 1
            continue
        if at + 1 >= len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
            break
        size = data[at + 1]
        if data[at] == OPTION_MSS and size == 4:
            mss = data[at + 2] << 8 | data[at + 3]
        elif data[at] == OPTION_SCALE and size == 3:
            scale = min(data[at + 2], MOST_SCALE)
        at += size
    return mss, scale


def options_for(mss: int, scale: int | None) -> bytes:
    """The options of our handshake; no scale where the guest told none."""
    return struct.pack("!BBH", OPTION_MSS, 4, mss) + (
        b"" if scale is None else bytes([OPTION_NOTHING, OPTION_SCALE, 3, scale])
    )


class Wire:
    """Sends the segments of one connection from `source` to the guest; `mss` may be changed until data goes."""

    def __init__(self, link: Link, source: bytes, source_port: int, guest: bytes, guest_port: int) -> None:
        self._link = link
        self._source, self._guest = source, guest
        self._ports = source_port, guest_port
        self._four = len(source) == 4
        self._pseudo = pseudo_header(source, guest, TCP, 0)
        self._ip_sum = total(source + guest) + 0x4500 + 0x4000 + (MOST_HOPS << 8 | TCP)
        self._front = b""
        self._start = ETHERNET + (20 if self._four else 40)
        self.mss = 536
        self.largest = 536

    def limit(self, mss: int) -> None:
        """Segments of at most `mss` bytes; several of them go as one frame where that is cut up behind us."""
        self.mss = mss
        self.largest = LARGEST // mss * mss if self._link.offload else mss
        self._front = b""

    def _prepare(self, now: float) -> bool:
        """The constant beginnings of frames, as soon as the guest's Ethernet address is known."""
        mac = self._link.mac(self._guest)
        if mac is None:
            self._link.solicit(self._guest, now)
            return False
        kind = ETHERTYPE_IPV4 if self._four else ETHERTYPE_IPV6
        ethernet = mac + GATEWAY_MAC + kind.to_bytes(2, "big")
        start = self._start
        self._front = (partial(start, CHECKSUM_AT) if self._link.offload else PLAIN) + ethernet
        gso = GSO_TCPV4 if self._four else GSO_TCPV6
        self._long_front = segmented(gso, start + SIZE, self.mss, start, CHECKSUM_AT) + ethernet
        return True

    def send(
        self, now: float, seq: int, ack: int, flags: int, window: int, payload: Buffer = b"", options: bytes = b""
    ) -> bool:
        """Send a segment; False where the link had no room for it (an unknown Ethernet address counts as a loss)."""
        if not self._front and not self._prepare(now):
            return True
        size = len(payload)
        length = SIZE + len(options) + size
        if self._four:
            words = self._ip_sum + 20 + length
            words = (words & 0xFFFF) + (words >> 16)
            words = (words & 0xFFFF) + (words >> 16)
            ip = IP4.pack(0x4500, 20 + length, 0, 0x4000, MOST_HOPS, TCP, 0xFFFF - words, self._source, self._guest)
        else:
            ip = IP6.pack(6 << 28, length, TCP, MOST_HOPS, self._source, self._guest)
        source_port, port = self._ports
        pseudo = (self._pseudo + length) % 0xFFFF
        offset = (SIZE + len(options)) << 2
        link = self._link
        if link.offload:
            tcp = HEADER.pack(source_port, port, seq & WORD, ack & WORD, offset, flags, window, pseudo, 0)
        else:
            tcp = HEADER.pack(source_port, port, seq & WORD, ack & WORD, offset, flags, window, 0, 0)
            field = checksum(pseudo + total(tcp) + total(options) + total(payload))
            tcp = HEADER.pack(source_port, port, seq & WORD, ack & WORD, offset, flags, window, field, 0)
        head = b"%b%b%b%b" % (self._long_front if size > self.mss else self._front, ip, tcp, options)
        return link.transmit((head, payload) if size else (head,))


def reset_for(wire: Wire, now: float, seq: int, ack: int, flags: int, length: int) -> None:
    """Answer a segment that belongs to nothing (RFC 9293, 3.10.7.1); `length` counts SYN and FIN."""
    if flags & RST:
        return
    if flags & ACK:
        wire.send(now, ack, 0, RST, 0)
    else:
        wire.send(now, 0, seq + length, RST | ACK, 0)
