"""The vocabulary: what it says of itself, and that its document names every word."""

import inspect
import re
from pathlib import Path

import pytest

from guesthouse.virtual.spec import floating_point, words
from guesthouse.virtual.spec.state import ProcessorState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "language.md"
HELPERS = {"F", "MASK64", "State"}  # of the module itself


def vocabulary() -> set[str]:
    """Every public word that the module defines."""
    own = {name for name, thing in vars(words).items() if getattr(thing, "__module__", "") == words.__name__}
    return {name for name in own if not name.startswith("_")} - HELPERS


def documented() -> dict[str, list[str]]:
    """The table of the vocabulary: group to words."""
    table = PAGE.read_text().partition("## The vocabulary")[2]
    rows = re.findall(r"^\| ([a-z -]+) \| `([\w ]+)`", table, re.MULTILINE)
    return {group: names.split() for group, names in rows}


def test_the_document_names_every_word_and_no_other():
    groups = documented()
    named = [name for group, names in groups.items() if group != "floating point" for name in names]
    assert sorted(named) == sorted(vocabulary())
    assert len(named) > 40


def test_floating_point_words_of_the_document_exist():
    for name in documented()["floating point"]:
        assert inspect.isfunction(getattr(floating_point, name))


def test_every_word_says_what_it_means():
    for name in vocabulary():
        assert inspect.getdoc(getattr(words, name)), name


@pytest.mark.parametrize("bits", (8, 16, 32, 64))
def test_widths_truncate(bits):
    unsigned, signed = getattr(words, f"u{bits}"), getattr(words, f"s{bits}")
    top = 1 << bits - 1
    assert [unsigned(v) for v in (-1, top, 2 * top + 3)] == [2 * top - 1, top, 3]
    assert [signed(v) for v in (-1, top, 2 * top + 3, top - 1)] == [-1, -top, 3, top - 1]


@pytest.mark.parametrize(
    ("a", "b", "quotient", "rest"),
    ((7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (-7, -2, 3, -1), (7, 0, -1, 7), (-(1 << 63), -1, 1 << 63, 0)),
)
def test_division_goes_towards_zero(a, b, quotient, rest):
    assert (words.divide(a, b), words.remainder(a, b)) == (quotient, rest)


def test_counting():
    assert [words.count_leading_zeros(v, 32) for v in (0, 1, 1 << 31)] == [32, 31, 0]
    assert [words.count_trailing_zeros(v, 64) for v in (0, 1, 1 << 63)] == [64, 0, 63]
    assert words.count_ones(0xF0F0) == 8
    assert words.byte_swap(0x0102_0304_0506_0708) == 0x0807_0605_0403_0201


def test_the_high_half_of_a_product():
    top = (1 << 64) - 1
    assert words.u64(words.multiply_high(top, top)) == top - 1
    assert words.s64(words.multiply_high(-1, 1)) == -1
    assert words.s64(words.multiply_high(-1, top)) == -1


def test_words_that_touch_the_machine_ask_its_environment():
    class Environment:
        def load(self, address, size):
            return address + size

    class State:
        environment = Environment()

    assert words.load(State(), -8, 4) == (1 << 64) - 4
    assert ProcessorState.environment is None


def test_a_trap_keeps_the_low_64_bits():
    trap = words.Trap(-1, 1 << 64 | 5)
    assert (trap.cause, trap.value) == ((1 << 64) - 1, 5)
