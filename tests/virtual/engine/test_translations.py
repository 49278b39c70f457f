"""The life of translations: a listening thread that ends with the engine."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from guesthouse.errors import UserError
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.translations import Translations
from tests.toy.isa import ISA


class SilentSource:
    """A source of native code that never answers, until nobody wants to wait any more."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()

    def receive(self) -> dict[str, Any]:
        self.interrupted.wait()
        raise UserError("nobody waits")

    def interrupt(self) -> None:
        self.interrupted.set()


def translations() -> Translations:
    engine = cast(NativeEngine, SimpleNamespace(isa=ISA, state=SimpleNamespace(arrived=0)))
    return Translations(engine, cast(NativeCode, SilentSource()), waits=False)


def test_closing_ends_a_thread_that_waits_for_an_answer() -> None:
    before = threading.active_count()
    tested = translations()
    tested._listen()
    assert threading.active_count() == before + 1
    tested.close()
    assert threading.active_count() == before


def test_closing_without_a_thread_does_nothing() -> None:
    tested = translations()
    tested.close()
    tested.close()
    assert tested._listener is None
