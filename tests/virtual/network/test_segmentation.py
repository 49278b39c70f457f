"""Cutting long TCP packets up and finishing checksums, beside scapy, which makes the same packets one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from guesthouse.virtual.network.segmentation import finish_checksum, segments

NUMBERS = st.integers(0, (1 << 32) - 1)


@pytest.mark.parametrize("version", [4, 6])
@given(length=st.integers(1, 5000), size=st.integers(1, 1460), number=NUMBERS, options=st.booleans())
def test_pieces_are_what_scapy_makes(version: int, length: int, size: int, number: int, options: bool) -> None:
    size = max(size, length // 60 + 1)
    data = bytes(index * 13 % 256 for index in range(length))
    chosen = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))] if options else []
    ip = IP(src="10.1.2.3", dst="10.3.2.1", id=65_530) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    start = 34 if version == 4 else 54

    def packet(at: int, flags: str, piece: bytes, index: int) -> bytes:
        made = ip.copy()
        if version == 4:
            made.id = (65_530 + index) % 65_536
        tcp = TCP(sport=1, dport=2, seq=(number + at) % (1 << 32), ack=9, flags=flags, options=chosen)
        return bytes(Ether(dst="52:54:00:00:00:01", src="52:54:00:00:00:02") / made / tcp / Raw(piece))

    wanted = []
    for index, at in enumerate(range(0, length, size)):
        flags = "A" + "C" * (index == 0) + "PF" * (at + size >= length)
        wanted.append(packet(at, flags, data[at : at + size], index))
    whole = packet(0, "PACF", data, 0)
    assert list(segments(memoryview(whole), size, start)) == wanted


@given(data=st.binary(max_size=200), size=st.integers(0, 3000), tcp=st.integers(0, 70_000))
def test_what_is_no_such_packet_does_no_harm(data: bytes, size: int, tcp: int) -> None:
    frame = bytes(12) + b"\x08\x00" + data
    assert sum(len(piece) for piece in segments(memoryview(frame), size, tcp)) <= 200 * len(frame)


def test_a_checksum_is_finished_over_what_follows() -> None:
    packet = bytearray(bytes(Ether() / IP(src="10.1.2.3", dst="10.3.2.1") / TCP() / Raw(b"odd")))
    right = bytes(packet)
    words = b"\x0a\x01\x02\x03\x0a\x03\x02\x01" + (6).to_bytes(2, "big") + (23).to_bytes(2, "big")
    pseudo = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, 12, 2))
    packet[50:52] = (pseudo % 65_535).to_bytes(2, "big")
    assert finish_checksum(memoryview(packet), 34, 16) == right
    assert finish_checksum(memoryview(packet), 60_000, 16) == packet, "outside the frame"
