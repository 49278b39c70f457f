"""Expressions of assembly language: numbers, symbols, operators of C, and `%operator(...)` of the instruction set."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+(?![fb\w]))"
    r"|(?P<reference>\d+[fb])(?!\w)"
    r"|'(?P<character>\\.|[^\\'])'"
    r"|(?P<symbol>[A-Za-z_.$][\w.$]*)"
    r"|(?P<operator>%[A-Za-z_]\w*(?=\())"
    r"|(?P<sign><<|>>|[-+*/%&|^~()]))"
)
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "b": 8, "f": 12}
_PRECEDENCE = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}


class Scope(Protocol):
    """Where an expression is evaluated."""

    def symbol(self, name: str) -> int:
        """The value of a symbol, of `.`, or of a numbered label such as `1f`."""

    def apply(self, operator: str, value: int) -> int:
        """The value of `%operator(value)`; raises ValueError where there is no such operator."""


def evaluate(text: str, scope: Scope) -> int:
    """The value of an expression, exact; raises ValueError with the reason where it has none."""
    tokens = _tokens(text)
    value = _binary(tokens, scope, 0)
    if tokens:
        raise ValueError(f"cannot read '{tokens[-1][1]}' in expression '{text.strip()}'")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    """The tokens last first, so that the next one is popped."""
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(f"cannot read '{text[at:].strip()}' in an expression")
        at = found.end()
        kind = str(found.lastgroup)
        tokens.append((kind, found[kind]))
    if not tokens:
        raise ValueError("an expression is missing")
    return tokens[::-1]


def _binary(tokens: list[tuple[str, str]], scope: Scope, lowest: int) -> int:
    value = _unary(tokens, scope)
    while tokens and _PRECEDENCE.get(tokens[-1][1], 0) > lowest:
        operator = tokens.pop()[1]
        value = _OPERATIONS[operator](value, _binary(tokens, scope, _PRECEDENCE[operator]))
    return value


def _unary(tokens: list[tuple[str, str]], scope: Scope) -> int:
    if not tokens:
        raise ValueError("an expression ends too early")
    kind, text = tokens.pop()
    match kind, text:
        case "number", _:
            return int(text, 0) if text[1:2] in ("x", "X", "b", "B") else int(text, 8 if text[0] == "0" else 10)
        case "character", _:
            return _ESCAPES.get(text[1], ord(text[1])) if text[0] == "\\" else ord(text)
        case (("symbol" | "reference"), _):
            return scope.symbol(text)
        case "operator", _:
            return scope.apply(text[1:], _unary(tokens, scope))
        case "sign", "(":
            value = _binary(tokens, scope, 0)
            if not tokens or tokens.pop()[1] != ")":
                raise ValueError("a ')' is missing in an expression")
            return value
        case "sign", "-":
            return -_unary(tokens, scope)
        case "sign", "+":
            return _unary(tokens, scope)
        case "sign", "~":
            return ~_unary(tokens, scope)
    raise ValueError(f"'{text}' cannot stand there in an expression")


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise ValueError("an expression divides by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _shift(a: int, b: int) -> int:
    if not 0 <= b <= 64:
        raise ValueError(f"an expression shifts by {b}, which is not between 0 and 64")
    return a << b


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "%": lambda a, b: a - b * _quotient(a, b),
    "<<": _shift,
    ">>": lambda a, b: a >> _shift(1, b).bit_length() - 1,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
