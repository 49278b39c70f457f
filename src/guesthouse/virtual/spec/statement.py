"""Assembly text taken apart: labels, mnemonics or directives, and their operands."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_COMMENT = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])')|(/\*.*?\*/)|(?:#|//)[^\n]*""", re.DOTALL)
_LABEL = re.compile(r"\s*([A-Za-z_.$][\w.$]*|\d+)\s*:")
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_.$][\w.$]*)\s*=(?!=)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Statement(msgspec.Struct, frozen=True):
    """One statement: the labels before it, its first word in lower case ('' for none) and its operands as text."""

    line: int
    labels: tuple[str, ...]
    word: str
    operands: tuple[str, ...]


def statements(text: str) -> Iterator[Statement]:
    """Take assembly text apart; `;` separates statements on a line, and `a = b` reads as `.set a, b`."""
    for number, line in enumerate(_COMMENT.sub(_without_comment, text).split("\n"), 1):
        for part in _split(line, ";"):
            labels = []
            while found := _LABEL.match(part):
                labels.append(found[1])
                part = part[found.end() :]
            if found := _ASSIGNMENT.match(part):
                yield Statement(number, tuple(labels), ".set", (found[1], found[2].strip()))
                continue
            word, _, rest = part.strip().replace("\t", " ").partition(" ")
            operands = tuple(operand.strip() for operand in _split(rest, ",")) if rest.strip() else ()
            if word or labels:
                yield Statement(number, tuple(labels), word.lower(), operands)


def string(text: str) -> bytes:
    """The bytes of a quoted string with C's escapes; raises ValueError where it is not one."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError(f"{text or 'nothing'} is not a string in double quotes")
    return _ESCAPE.sub(_unescaped, text[1:-1].encode("utf-8").decode("latin-1")).encode("latin-1")


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _ESCAPES.get(code, code)


def _without_comment(found: re.Match[str]) -> str:
    """Quoted text as it is, a comment as the line breaks in it."""
    return found[1] or " " + "\n" * found[0].count("\n")


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators that are in no parentheses and no quotes."""
    parts, depth, quote, start, at = [], 0, "", 0, 0
    while at < len(text):
        c = text[at]
        if quote:
            at += c == "\\"
            quote = "" if c == quote else quote
        elif c == '"' or (c == "'" and re.match(r"'(?:\\.|[^\\'])'", text[at:])):
            quote = c
        elif c in "()":
            depth += 1 if c == "(" else -1
        elif c == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]
