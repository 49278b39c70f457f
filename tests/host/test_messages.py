"""Messages as bytes: cut as they come, and bounded."""

import io

import msgspec
import pytest

from guesthouse.host.messages import LENGTH, Frames, framed, packed, read_message, write_message


def test_frames_come_out_whole_however_they_arrive() -> None:
    frames, data, seen = Frames(), framed(b"one") + framed(b"") + framed(b"x" * 300), []
    for at in range(len(data)):
        frames.add(data[at : at + 1])
        while (content := frames.take()) is not None:
            seen.append(content)
    assert seen == [b"one", b"", b"x" * 300]


def test_a_message_that_is_too_large_is_refused_by_its_length() -> None:
    frames = Frames(largest=100)
    frames.add(LENGTH.pack(101))
    with pytest.raises(ValueError, match="101 bytes is larger than 100"):
        frames.take()
    with pytest.raises(ValueError, match="larger"):
        read_message(io.BytesIO(LENGTH.pack(101)), largest=100)


def test_streams_carry_messages_to_their_end() -> None:
    stream = io.BytesIO()
    write_message(stream, {"a": [1, b"2"]})
    assert stream.getvalue() == packed({"a": [1, b"2"]})
    stream.seek(0)
    assert read_message(stream) == {"a": [1, b"2"]}
    assert read_message(stream) is None


def test_a_message_that_is_cut_off_is_no_message() -> None:
    with pytest.raises(msgspec.DecodeError):
        read_message(io.BytesIO(packed([1, 2, 3])[:-1]))
