"""Messages are read as they are written, and nothing else is read at all."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.virtual.shares.messages import (
    HEAD,
    LAYOUTS,
    MOST_NAMES,
    NUMBERS,
    Malformed,
    answer,
    decode,
    encode,
    error_answer,
    string,
)

TEXTS = st.binary(max_size=40)
KINDS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def fields_of(name: str, draw: Any) -> dict[str, Any]:
    """Random values for the fields of a request."""
    layout = LAYOUTS[NUMBERS[name]]
    values, position = {}, 0
    for run in layout.runs:
        if hasattr(run, "format"):
            for letter in run.format[1:]:
                values[layout.fields[position]] = draw(st.integers(0, (1 << KINDS[letter]) - 1))
                position += 1
        else:
            strategy = st.lists(TEXTS, max_size=MOST_NAMES) if run.name == "NAMES" else TEXTS
            values[layout.fields[position]] = draw(strategy)
            position += 1
    return values


@given(st.data())
def test_what_is_written_is_read_again(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(NUMBERS)))
    fields = fields_of(name, data.draw)
    message = encode(name, data.draw(st.integers(0, 65535)), **fields)
    size, kind, _ = HEAD.unpack_from(message)
    assert (size, kind) == (len(message), NUMBERS[name])
    found = decode(LAYOUTS[kind], memoryview(message))
    assert dict(zip(LAYOUTS[kind].fields, found, strict=True)) == fields


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_each_cut_and_each_longer_message_is_refused(name: str) -> None:
    dice = random.Random(name)
    fields = {}
    layout = LAYOUTS[NUMBERS[name]]
    for field in layout.fields:
        fields[field] = {"names": [b"a", b"bcd"], "data": b"12345"}.get(field, 1)
    for run, field in zip(_per_field(layout.runs), layout.fields, strict=True):
        if run == "STRING":
            fields[field] = dice.randbytes(5)
    message = encode(name, 1, **fields)
    for end in range(HEAD.size, len(message)):
        with pytest.raises(Malformed):
            decode(layout, memoryview(message[:end]))
    with pytest.raises(Malformed):
        decode(layout, memoryview(message + b"\0"))


def _per_field(runs: Any) -> list[str]:
    return [
        kind for run in runs for kind in ([run.name] if hasattr(run, "name") else ["NUMBER"] * (len(run.format) - 1))
    ]


@given(st.sampled_from(sorted(LAYOUTS)), st.binary(max_size=80))
def test_garbage_is_read_or_refused(kind: int, body: bytes) -> None:
    layout = LAYOUTS[kind]
    try:
        values = decode(layout, memoryview(HEAD.pack(HEAD.size + len(body), kind, 0) + body))
    except Malformed:
        return
    assert len(values) == len(layout.fields)


def test_a_walk_of_too_many_names_is_refused() -> None:
    message = encode("walk", 0, fid=1, new=2, names=[b"x"] * (MOST_NAMES + 1))
    with pytest.raises(Malformed):
        decode(LAYOUTS[NUMBERS["walk"]], memoryview(message))


def test_answers_have_a_head() -> None:
    assert answer(111, 3, b"ab") == b"\x09\0\0\0\x6f\x03\0ab"
    assert answer(111, 3, [b"a", b"b"]) == answer(111, 3, b"ab")
    assert error_answer(0x102, 2) == b"\x0b\0\0\0\x07\x02\x01\x02\0\0\0"
    assert string(b"xyz") == b"\x03\0xyz"
