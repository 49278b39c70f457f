"""Relocatable objects in the arena: symbols, references among objects, room."""

import ctypes

import pytest

from guesthouse.virtual.engine.compiler import Compiler
from guesthouse.virtual.engine.objects import Arena, ArenaFull, decoded, encoded, read_object

TABLE = """
@numbers = private constant [3 x i64] [i64 10, i64 20, i64 30]
define i64 @pick(i64 %i) {
  %place = getelementptr i64, ptr @numbers, i64 %i
  %value = load i64, ptr %place
  ret i64 %value
}
"""
CALLER = """
declare dso_local i64 @pick(i64)
define i64 @twice(i64 %i) {
  %once = call i64 @pick(i64 %i)
  %both = add i64 %once, %once
  ret i64 %both
}
"""
KIND = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)


@pytest.fixture(scope="module")
def objects():
    compiler = Compiler()
    return read_object(compiler.compile(TABLE)), read_object(compiler.compile(CALLER))


def test_constants_and_calls_are_linked(objects):
    arena = Arena(1 << 16)
    arena.symbols |= arena.place(objects[0])
    placed = arena.place(objects[1])
    assert set(placed) == {"twice"}
    assert [KIND(arena.symbols["pick"])(i) for i in range(3)] == [10, 20, 30]
    assert KIND(placed["twice"])(2) == 60
    arena.mapping.close()


def test_an_object_comes_back_as_it_was_encoded(objects):
    assert [decoded(encoded(item)) for item in objects] == list(objects)
    with pytest.raises(ValueError, match="truncated"):
        decoded(encoded(objects[0])[:-1])


def test_an_unknown_symbol_is_an_error(objects):
    arena = Arena(1 << 16)
    with pytest.raises(KeyError):
        arena.place(objects[1])
    arena.mapping.close()


def test_what_was_kept_stays_when_the_rest_goes(objects):
    arena = Arena(1 << 12)
    arena.symbols |= arena.place(objects[0])
    arena.keep()
    kept = arena.used
    with pytest.raises(ArenaFull):
        for _ in range(1000):
            arena.place(objects[1])
    assert arena.used > kept
    arena.drop()
    assert arena.used == kept and KIND(arena.symbols["pick"])(1) == 20
    arena.mapping.close()


@pytest.mark.parametrize("data", (b"", b"\x7fELF\x01", b"MZ" + bytes(100)))
def test_other_data_is_no_object(data):
    with pytest.raises(ValueError, match="ELF"):
        read_object(data)
