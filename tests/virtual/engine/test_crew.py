"""Fences between processors: who is waited for, and for how long. What they do is tested on every tier."""

import threading
from collections.abc import Iterator

import pytest

from guesthouse import Machine
from guesthouse.virtual.engine.crew import Crew
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.memory import peers
from tests.virtual.machine.programs import assembled


@pytest.fixture
def engine() -> Iterator[NativeEngine]:
    with Machine(kernel=assembled("1:  j 1b\n").data, memory="64M", cpus=3, engine="interpreter") as machine:
        found = machine._core.engine
        assert isinstance(found, NativeEngine)
        yield found


def put(crew: Crew, number: int, what: int, value: int) -> None:
    crew._words[(number * peers.LINE + what) // 8] = value


def test_nobody_waits_for_who_is_outside_of_native_code(engine: NativeEngine) -> None:
    engine.fence_code([0, 1, 2])
    engine.fence_pages([1], 0x1000, 1, 0)
    assert engine.fences() is None
    assert [engine.crew._get(number, peers.REFETCH) for number in range(3)] == [1, 1, 1]
    assert [engine.crew._get(number, peers.FORGET) for number in range(3)] == [0, peers.FORGET_RANGE, 0]
    assert [engine.crew._get(number, peers.POSTED) for number in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("what", (peers.LOOKS, peers.NATIVE))
def test_who_asks_waits_until_the_other_looks_or_leaves(engine: NativeEngine, what: int) -> None:
    put(engine.crew, 1, peers.NATIVE, 1)
    engine.fence_code([0, 1])
    wait = engine.fences()
    assert wait is not None
    assert engine.fences() is None
    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.02)
    assert waiting.is_alive()
    put(engine.crew, 1, what, 7 if what == peers.LOOKS else 0)
    waiting.join(5)
    assert not waiting.is_alive()
    put(engine.crew, 1, peers.NATIVE, 0)


def test_several_wait_at_once(engine: NativeEngine) -> None:
    put(engine.crew, 1, peers.NATIVE, 1)
    waiting = []
    for _ in range(3):
        engine.fence_pages([1], 0, 1, 0)
        wait = engine.fences()
        assert wait is not None
        waiting.append(threading.Thread(target=wait))
        waiting[-1].start()
    put(engine.crew, 1, peers.NATIVE, 0)
    for thread in waiting:
        thread.join(5)
        assert not thread.is_alive()
    assert engine.crew._get(1, peers.FORGET) == peers.FORGET_ALL
