import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.virtual.machine.gdb.packets import (
    PACKET_SIZE,
    Event,
    Garbage,
    Unpacker,
    escape,
    packet,
    unescape,
)


def everything(data: bytes, piece: int = 1 << 20) -> list[bytes | Event]:
    unpacker, found = Unpacker(), []
    for at in range(0, len(data), piece):
        unpacker.give(data[at : at + piece])
        while (event := unpacker.next()) is not None:
            found.append(event)
    return found


def test_a_packet_is_framed_as_the_manual_says() -> None:
    assert packet(b"OK") == b"$OK#9a"
    assert packet(b"") == b"$#00"


@pytest.mark.parametrize("piece", (1, 2, 3, 100))
def test_packets_come_in_any_pieces(piece: int) -> None:
    data = b"+" + packet(b"g") + b"+\x03" + packet(b"m80000000,4") + b"$g#00---+" + packet(b"")
    expected = [b"g", Event.INTERRUPT, b"m80000000,4", Event.DAMAGED, Event.AGAIN, b""]
    found = everything(data, piece)
    assert [event for event in found if event is not Event.AGAIN] == [e for e in expected if e is not Event.AGAIN]
    assert 1 <= found.count(Event.AGAIN) <= 3


def test_an_interrupts_byte_within_a_packet_is_data() -> None:
    assert everything(packet(b"X80,1:\x03")) == [b"X80,1:\x03"]


@pytest.mark.parametrize("data", (b"GET / HTTP/1.1\r\n", b"\xff", b"$" + b"x" * (PACKET_SIZE + 100), b"#00"))
def test_what_is_no_protocol_is_noticed(data: bytes) -> None:
    with pytest.raises(Garbage):
        everything(data)


@given(st.binary(max_size=300))
def test_binary_data_survives(data: bytes) -> None:
    escaped = escape(data)
    assert not set(b"#$*") & set(escaped)
    assert unescape(escaped) == data
    assert everything(packet(escaped)) == [escaped]


@pytest.mark.parametrize("data", (b"}", b"ab}", b"}}]"))
def test_an_escape_of_nothing_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="escape"):
        unescape(data)


@given(st.lists(st.sampled_from([b"$", b"#", b"+", b"-", b"\x03", b"}", b"g", b"67", b"$g#67"]), max_size=60))
def test_random_bytes_end_or_are_garbage(parts: list[bytes]) -> None:
    with contextlib.suppress(Garbage):
        assert len(everything(b"".join(parts))) <= len(parts)


def test_an_interrupt_is_seen_before_packets_are_read() -> None:
    unpacker = Unpacker()
    unpacker.give(b"++\x03$g#67")
    assert unpacker.interrupted()
    assert unpacker.next() is Event.INTERRUPT
    assert not unpacker.interrupted()
