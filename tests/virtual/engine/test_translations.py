"""The life of translations: a listening thread that ends with the engine."""

from __future__ import annotations

import ctypes
import struct
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.engine.code_names import beside, page_digest, region_name, regions_by_page
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.translations import HOT, ROUND, Translations, Wanted
from guesthouse.virtual.memory import code_page as layout
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.host_words import Handler
from tests.every_tier.engines import RISCV64, Rig, isa_of
from tests.toy.isa import ISA


class SilentSource:
    """A source of native code that never answers, until nobody wants to wait any more."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()

    def regions_by_page(self) -> dict[str, list[int]]:
        return {}

    def receive(self) -> dict[str, Any]:
        self.interrupted.wait()
        raise UserError("nobody waits")

    def interrupt(self) -> None:
        self.interrupted.set()


def translations() -> Translations:
    engine = cast(NativeEngine, SimpleNamespace(isa=ISA, state=SimpleNamespace(arrived=0, asks=0)))
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


class LostSource(SilentSource):
    """A source whose service dies with the first request, and is there again for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = 0

    def lost(self) -> None:
        self.losses += 1


def test_a_service_that_dies_is_noticed_once_and_its_requests_forgotten() -> None:
    engine = cast(NativeEngine, SimpleNamespace(isa=ISA, state=SimpleNamespace(arrived=0, asks=0)))
    source = LostSource()
    tested = Translations(engine, cast(NativeCode, source), waits=False)
    tested._asked = {"a": Wanted(tested.engine, 0, 0, b"", "a"), "b": Wanted(tested.engine, 1, 0, b"", "b")}
    tested._listen()
    tested._listen()
    source.interrupt()
    assert tested._listener is not None
    tested._listener.join(5)
    assert engine.state.arrived == 1
    tested.serve()
    assert (source.losses, tested._asked, tested._listener) == (1, {}, None)
    source.interrupted.clear()
    tested._listen()  # another service's answers are waited for
    assert tested._listener is not None and tested._listener.is_alive()
    tested.close()


def test_answers_are_matched_by_name_and_an_unknown_one_is_left() -> None:
    tested = translations()
    tested._asked = {"a": Wanted(tested.engine, 0, 0, b"", "a"), "b": Wanted(tested.engine, 1, 0, b"", "b")}
    for name in ("b", "unknown", "a"):
        tested._take({"name": name, "seconds": 0.5, "error": "no"})
    assert not tested._asked and set(tested._known) == {"a", "b"}
    assert (tested.counts.refused, tested.counts.seconds) == (2, 1.0)


BASE = 0x8000_0000
RISCV = isa_of(RISCV64)


def run_loop(engine: str, rounds: int) -> Rig:
    """A processor that has counted to `rounds`, by a loop of two instructions."""
    rig = Rig(engine, RISCV64, BASE, 1 << 16)
    words = (
        RISCV.by_name["addi"].pattern.encode({"rd": 10, "rs1": 10, "imm": 1}),
        RISCV.by_name["bne"].pattern.encode({"rs1": 10, "rs2": 11, "offset": -4}),
        RISCV.by_name["wfi"].pattern.encode({}),
    )
    code = b"".join(word.to_bytes(4, "little") for word in words)
    rig.ram[: len(code)] = code
    rig.state.pc, rig.state.x[11] = BASE, rounds
    assert rig.engine.run(10 * rounds) == Exit.WAIT
    assert rig.state.x[10] == rounds
    return rig


def test_what_is_kept_of_a_page_is_installed_as_soon_as_something_on_it_is_warm() -> None:
    run_loop("translator", 2000).close()  # its region is kept now
    for rounds, installed in ((20, False), (4000, True)):
        rig = run_loop("auto", rounds)
        assert (rig.engine.translations.counts.installed > 0) == installed
        assert rig.state.stitched_steps == 0, "the region has replaced the block"
        rig.close()


def test_names_of_regions_tell_their_page_and_entry() -> None:
    page = b"code" * 1024
    names = [region_name("digest", page, entry) for entry in (0, 0xFFE)]
    others = [region_name("other", page, 2), "digest.runtime", "digest.stencils"]
    assert regions_by_page("digest", [*names, *others]) == {page_digest(page): [0, 0xFFE]}
    assert beside(names[0], 0xFFE) == names[1]
    with pytest.raises(ValueError, match="no offset"):
        region_name("digest", page, 4096)


@pytest.mark.parametrize(
    ("first", "start", "hot", "counter", "jumps"),
    [
        (layout.COUNTED, 0, HOT // ROUND, 3 << 8 | 5, 3 * ROUND + 5 - layout.COUNTED),
        (layout.COUNTED, 0, HOT // ROUND, layout.COUNTED, 0),
        (ROUND - 1, ROUND - 1, 1, 2 << 8 | ROUND - 1, 2 * HOT),
    ],
)
def test_what_a_place_counted_is_told_in_jumps(first: int, start: int, hot: int, counter: int, jumps: int) -> None:
    slots = 4096 // ISA.unit
    page = ctypes.create_string_buffer(slots * layout.SLOT)
    undecoded = 0x1234
    struct.pack_into("<QIHH", page, 7 * layout.SLOT, 0x5678, 0, 0, counter)
    for number in set(range(slots)) - {7}:
        struct.pack_into("<QQ", page, number * layout.SLOT, undecoded, first << 48)
    state = SimpleNamespace(heat_first=first, heat_start=start, hot=hot)
    arena = SimpleNamespace(symbols={f"handler.{int(Handler.DECODE)}": undecoded})
    engine = cast(NativeEngine, SimpleNamespace(isa=ISA, state=state, arena=arena))
    tested = Translations(engine, cast(NativeCode, SilentSource()), waits=False)
    offset = 7 * ISA.unit
    found = tested._jumps_to(ctypes.addressof(page), {})
    assert (found[7], set(found[:7] + found[8:])) == (jumps, {-1})
    again = tested._jumps_to(ctypes.addressof(page), {offset: 2})
    assert again[7] == jumps + 2 * (1 << 16 if start == 0 else HOT << 8)
