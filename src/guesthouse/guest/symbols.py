"""Names of places in a guest's code, from whatever has them: to be looked up by address."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Self

from guesthouse.errors import UserError
from guesthouse.guest import elf

FARTHEST = 1 << 20
"""Bytes behind the last symbol that still are its own."""

_LINE = re.compile(r"([0-9a-fA-F]{1,16}) ([a-zA-Z?]) (\S+)(?:\s.*)?\Z")
_ABSOLUTE = "aA"
# `$x` and `$d` tell disassemblers code from data; `.L` and digits are the assembler's own labels.
_LOCAL = re.compile(r"\$[xd]|\.L|\d")


class Symbols:
    """Names by address. Where several stand at one address, the first in `pairs` wins."""

    def __init__(self, pairs: Iterable[tuple[int, str]] = ()) -> None:
        named: dict[int, str] = {}
        for address, name in pairs:
            if not _LOCAL.match(name):
                named.setdefault(address, name)
        self._addresses = sorted(named)
        self._names = [named[address] for address in self._addresses]

    @classmethod
    def of(cls, addresses: Mapping[str, int]) -> Self:
        """From addresses by name."""
        return cls((address, name) for name, address in addresses.items())

    def __len__(self) -> int:
        return len(self._addresses)

    def find(self, address: int) -> tuple[str, int] | None:
        """The symbol that an address lies behind, and how many bytes; None where there is none near."""
        index = bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        offset = address - self._addresses[index]
        return (self._names[index], offset) if offset < FARTHEST else None

    def address_of(self, name: str) -> int | None:
        """Where the symbol of that name stands, None where there is none."""
        return self._addresses[self._names.index(name)] if name in self._names else None


def read_symbols(data: bytes, name: str) -> Symbols:
    """From the content of an ELF file or a System.map called `name`; raises UserError where it is neither."""
    if data.startswith(elf.MAGIC):
        found = Symbols.of(elf.symbols(data, elf.parse_elf(data)))
        if not len(found):
            raise UserError(f"The ELF file {name} has no symbols; give one that isn't stripped.")
        return found
    pairs = []
    for line in data.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            raise UserError(f"{name} is neither an ELF file nor a System.map ('address type name', one a line).")
        if match[2] not in _ABSOLUTE:
            pairs.append((int(match[1], 16), match[3]))
    if not pairs:
        raise UserError(f"{name} names no symbols; give another file.")
    return Symbols(pairs)
