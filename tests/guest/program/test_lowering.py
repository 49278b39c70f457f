from collections.abc import Callable

import pytest

from guesthouse.guest.program.lowering import Program
from guesthouse.guest.program.refusal import Refused
from guesthouse.guest.program.words import Buffer, System

TEXT = "no bytes"


def a_string(m: System) -> None:
    m.call(1, m.at(TEXT))  # type: ignore[arg-type]


def a_list(m: System) -> None:
    numbers = [1, 2]  # noqa: F841


def a_try(m: System) -> None:
    try:
        m.call(1)
    finally:
        m.call(2)


def unknown(m: System) -> int:
    return missing  # type: ignore[name-defined]  # noqa: F821


def a_word(m: System) -> None:
    m.load128(0)  # type: ignore[attr-defined]


def true_division(m: System, a: int) -> float:
    return a / 2


def named(m: System) -> None:
    m.call(number=1)


def unreached(m: System) -> int:
    return 1
    m.call(2)


def too_few(m: System) -> int:
    return helper(m)  # type: ignore[call-arg]


def helper(m: System, a: int) -> int:
    return a


def a_global(m: System) -> None:
    m.call(len(TEXT))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (a_string, "only buffers and constant bytes"),
        (a_list, "no integer|not known"),
        (a_try, "'Try' statements"),
        (unknown, "'missing' is not known"),
        (a_word, "no word 'load128'"),
        (true_division, "operator is not in the language"),
        (named, "arguments have no names"),
        (unreached, "never reached"),
        (too_few, "takes 1 arguments"),
        (a_global, "not known|first argument is the system"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_in_the_language_is_refused_with_its_place(function: Callable[..., object], reason: str) -> None:
    with pytest.raises(Refused, match=rf"test_lowering\.py:\d+: {function.__name__}: .*({reason})"):
        Program(function)


def test_only_what_is_called_is_in_the_program() -> None:
    text = Program(too_good).text
    assert "@test_lowering.helper(" in text and "a_word" not in text
    assert text.count("zeroinitializer") == 1


USED, UNUSED = Buffer(8), Buffer(8)


def too_good(m: System) -> int:
    """Everything here is known."""
    return helper(m, m.at(USED))
