"""Statistics as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any


def lines(statistics: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`name: value`, one a line; a table's entries as `table.name: value`. Fractions have three digits."""
    for name, value in statistics.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from lines(value, f"{full}.")
        elif isinstance(value, float):
            yield f"{full}: {value:.3f}"
        else:
            yield f"{full}: {value}"
