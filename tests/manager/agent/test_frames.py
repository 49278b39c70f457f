from hypothesis import given
from hypothesis import strategies as st

from guesthouse.guest.agent.protocol import FRAME, HEADER, MARK, MOST_PAYLOAD
from guesthouse.manager.agent.frames import MARKED, Frame, FrameReader, packed

WORD = st.integers(0, 2**32 - 1)
FRAMES = st.builds(Frame, st.integers(1, 2**32 - 1), WORD, WORD, st.binary(max_size=100))


def read(pieces: list[bytes]) -> list[Frame]:
    reader, found = FrameReader(), []
    for piece in pieces:
        reader.add(piece)
        while (frame := reader.take()) is not None:
            found.append(frame)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.lists(FRAMES), st.lists(st.integers(0)), st.binary(max_size=40))
def test_frames_come_back_whole_however_they_are_cut(frames: list[Frame], places: list[int], before: bytes) -> None:
    data = before + MARK + b"".join(packed(f.kind, f.channel, f.argument, f.payload) for f in frames)
    assert read(cut(data, places)) == [MARKED, *frames]


def test_nothing_counts_before_a_mark_and_behind_a_length_that_no_frame_has() -> None:
    frame = packed(65, 1, 2, b"abc")
    assert read([frame * 3]) == []
    too_long = (MOST_PAYLOAD + 1).to_bytes(4, "little") + bytes(60)
    assert read([MARK + frame + too_long + frame + MARK + frame]) == [
        MARKED,
        Frame(65, 1, 2, b"abc"),
        MARKED,
        Frame(65, 1, 2, b"abc"),
    ]


def test_a_frame_in_an_unfinished_frame_is_resolved_by_padding() -> None:
    unfinished = packed(65, 1, 0, bytes(MOST_PAYLOAD))[: HEADER + 100]
    found = read([MARK + unfinished + b"\xff" * FRAME + MARK + packed(66)])
    assert found[-2:] == [MARKED, Frame(66)]


@given(st.lists(st.binary(max_size=3000), max_size=30))
def test_memory_is_bounded_whatever_comes(pieces: list[bytes]) -> None:
    reader = FrameReader()
    for piece in pieces:
        reader.add(piece)
        while reader.take() is not None:
            pass
        assert len(reader._buffer) <= FRAME
