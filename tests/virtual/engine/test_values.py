"""Intervals of values: they hold every result that the operation has."""

import itertools
import operator

import pytest

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.values import S64_LOW, U64, Value

RANGES = [(0, 0), (0, 1), (0, 5), (-3, 4), (-8, -2), (3, 3), (6, 9), (-1, -1), (0, 15)]
OPERATIONS = [
    (values.add, operator.add),
    (values.subtract, operator.sub),
    (values.multiply, operator.mul),
    (values.bitwise_and, operator.and_),
    (values.bitwise_or, operator.or_),
    (values.bitwise_or, operator.xor),
]
SHIFTS = [(values.shift_left, operator.lshift), (values.shift_right, operator.rshift)]


@pytest.mark.parametrize(("interval", "operation"), OPERATIONS)
def test_an_interval_holds_all_results(interval, operation):
    for (a, b), (c, d) in itertools.product(RANGES, RANGES):
        low, high = interval(Value("%a", a, b), Value("%b", c, d))
        results = [operation(x, y) for x in range(a, b + 1) for y in range(c, d + 1)]
        assert low <= min(results) and max(results) <= high


@pytest.mark.parametrize(("interval", "operation"), SHIFTS)
def test_an_interval_of_a_shift_holds_all_results(interval, operation):
    for (a, b), (c, d) in itertools.product(RANGES, [(0, 0), (0, 3), (2, 63)]):
        low, high = interval(Value("%a", a, b), Value("%b", c, d))
        results = [operation(x, y) for x in range(a, b + 1) for y in range(c, d + 1)]
        assert low <= min(results) and max(results) <= high


def test_what_fits_a_word_is_exact():
    assert Value("%a", 0, U64).exact and Value("%a", 0, U64).unsigned and not Value("%a", 0, U64).signed
    assert Value("%a", S64_LOW, -1).exact and not Value("%a", S64_LOW, -1).unsigned
    assert not Value("%a", -1, U64).exact
    assert not Value("%a", 0, U64 + 1).exact


def test_constants_keep_their_bits():
    assert values.constant(5).constant == 5
    assert values.constant(U64).ir == "-1" and values.constant(U64).constant == U64
    assert values.constant(1 << 70).ir == "0"
    assert Value("%a", 0, 1).constant is None


def test_a_union_holds_both():
    assert values.union([Value("%a", -2, 3), Value("%b", 1, 9)]) == (-2, 9)
