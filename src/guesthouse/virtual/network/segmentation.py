"""Work that a card may leave to its network, and here it is done: checksums, and cutting long TCP packets up.

Sources: RFC 1071 (checksum), RFC 791, RFC 8200 and RFC 9293 (headers); VIRTIO 1.3, section 5.1.6.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from guesthouse.virtual.network.checksum import checksum, pseudo_header, total

ETHERNET = 14
IPV4, IPV6 = 0x0800, 0x86DD
TCP = 6
FIN, PSH, CWR = 0x01, 0x08, 0x80
LEAST_TCP = 20


def finish_checksum(frame: memoryview, start: int, offset: int) -> bytes:
    """The frame with the checksum over everything from `start` put in at `start + offset`."""
    done = bytearray(frame)
    if start + offset + 2 <= len(done):
        # The place holds the sum of the pseudo header already.
        value = checksum(total(done[start:])) or 0xFFFF
        done[start + offset : start + offset + 2] = value.to_bytes(2, "big")
    return bytes(done)


def segments(frame: memoryview, size: int, tcp: int) -> Iterator[bytes]:
    """The packets of at most `size` bytes of data each that a long TCP packet stands for; `tcp`: where TCP begins.

    Headers are copied, lengths, numbers, flags and checksums made. Nothing where the frame is no such packet.
    """
    kind = int.from_bytes(frame[12:14], "big")
    if kind not in (IPV4, IPV6) or size <= 0 or tcp + LEAST_TCP > len(frame):
        return
    data_at = tcp + (frame[tcp + 12] >> 4) * 4
    if data_at < tcp + LEAST_TCP or data_at > len(frame):
        return
    number = int.from_bytes(frame[tcp + 4 : tcp + 8], "big")
    name = int.from_bytes(frame[18:20], "big")
    for index, at in enumerate(range(data_at, len(frame), size)):
        packet = bytearray(frame[:data_at]) + frame[at : at + size]
        flags = packet[tcp + 13]
        if at + size < len(frame):
            flags &= ~(FIN | PSH)
        if index:
            flags &= ~CWR
        packet[tcp + 13] = flags
        packet[tcp + 4 : tcp + 8] = (number + index * size & 0xFFFF_FFFF).to_bytes(4, "big")
        _finish(packet, kind, tcp, name + index & 0xFFFF)
        yield bytes(packet)


def _finish(packet: bytearray, kind: int, tcp: int, name: int) -> None:
    """Put the lengths and checksums of IP and TCP in."""
    length = len(packet) - tcp
    if kind == IPV4:
        packet[16:18] = (len(packet) - ETHERNET).to_bytes(2, "big")
        packet[18:20] = name.to_bytes(2, "big")
        packet[24:26] = b"\0\0"
        packet[24:26] = checksum(total(packet[ETHERNET : ETHERNET + (packet[ETHERNET] & 15) * 4])).to_bytes(2, "big")
        addresses = packet[26:30], packet[30:34]
    else:
        packet[18:20] = (len(packet) - ETHERNET - 40).to_bytes(2, "big")
        addresses = packet[22:38], packet[38:54]
    packet[tcp + 16 : tcp + 18] = b"\0\0"
    pseudo = pseudo_header(bytes(addresses[0]), bytes(addresses[1]), TCP, length)
    packet[tcp + 16 : tcp + 18] = checksum(pseudo + total(packet[tcp:])).to_bytes(2, "big")
