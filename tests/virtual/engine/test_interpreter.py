"""Where the fields lie that native code looks at most."""

import pytest

from guesthouse.virtual.engine.interpreter import LOOKED_AT_MOST, engine_layout
from tests.every_tier.engines import RISCV64, TOY, isa_of

COMPARED = 1 << 10  # an AMD Zen compares so many bytes' distance where it guesses which store a load is of


@pytest.mark.parametrize("module", [RISCV64, TOY])
def test_what_is_looked_at_most_lies_side_by_side(module: str) -> None:
    layout = engine_layout(isa_of(module))
    first = layout.offset(LOOKED_AT_MOST[0])
    assert [layout.offset(name) for name in LOOKED_AT_MOST] == [first + 8 * i for i in range(len(LOOKED_AT_MOST))]


def test_no_register_is_taken_for_what_is_looked_at_most() -> None:
    layout = engine_layout(isa_of(RISCV64))
    most = {layout.offset(name) % COMPARED for name in LOOKED_AT_MOST}
    files = {name: range(layout.offset(name), layout.offset(name) + 8 * 33, 8) for name in ("x", "f")}
    assert most.isdisjoint(place % COMPARED for places in files.values() for place in places)
    assert layout.offset("pc") % COMPARED not in most


def test_all_fields_are_kept() -> None:
    layout = engine_layout(isa_of(TOY))
    assert {"stitch_next", "fetch_banks", "translated_steps", "collected_count"} <= layout.fields.keys()
    assert len({layout.offset(name) for name in layout.fields}) == len(layout.fields)
