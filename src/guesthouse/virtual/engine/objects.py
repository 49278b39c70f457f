"""Relocatable objects: read what LLVM wrote, place it in the code arena, link it there.

Source: System V ABI, ELF-64 object files; its x86-64 supplement, table 4.9 (relocation types).
"""

from __future__ import annotations

import struct

import msgspec

from guesthouse.host.memory import CodeMapping

SHF_ALLOC, SHT_RELA, SHT_NOBITS, SHT_SYMTAB = 2, 4, 8, 2
R_64, R_PC32, R_PLT32, R_32, R_32S, R_8 = 1, 2, 4, 10, 11, 14
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
WORD, NEAR = struct.Struct("<Q"), struct.Struct("<i")


class ArenaFull(Exception):
    """No room for an object; what is there must be dropped first."""


class Relocation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A place to patch: `kind` at `offset` with a symbol's address plus `addend`."""

    offset: int
    kind: int
    symbol: str
    base: int  # offset in the image of a local section symbol's section, where `symbol` is empty
    addend: int


class NativeObject(msgspec.Struct, frozen=True, array_like=True):
    """An object ready to be placed: its bytes with sections laid out, symbols and relocations.

    `encoded` and `decoded` are how it is kept and sent: read once, where it is made.
    """

    image: bytes
    symbols: dict[str, int]
    sizes: dict[str, int]
    relocations: tuple[Relocation, ...]


DECODER = msgspec.msgpack.Decoder(NativeObject)


def encoded(item: NativeObject) -> bytes:
    """An object as bytes."""
    return msgspec.msgpack.encode(item)


def decoded(data: bytes) -> NativeObject:
    """What `encoded` gave; raises ValueError for anything else."""
    return DECODER.decode(data)


def read_object(data: bytes) -> NativeObject:
    """Lay out the allocated sections of an x86-64 relocatable object; raises ValueError where it is not one."""
    if data[:5] != b"\x7fELF\x02":
        raise ValueError("not an ELF-64 object")
    header = HEADER.unpack_from(data)
    sections = [SECTION.unpack_from(data, header[6] + i * header[11]) for i in range(header[12])]
    image = bytearray()
    places: dict[int, int] = {}
    for index, (_, kind, flags, _, offset, size, _, _, align, _) in enumerate(sections):
        if flags & SHF_ALLOC and size:
            image += bytes(-len(image) % max(align, 1))
            places[index] = len(image)
            image += bytes(size) if kind == SHT_NOBITS else data[offset : offset + size]
    table = next(section for section in sections if section[1] == SHT_SYMTAB)
    strings = data[sections[table[6]][4] : sections[table[6]][4] + sections[table[6]][5]]
    entries = [SYMBOL.unpack_from(data, table[4] + i * SYMBOL.size) for i in range(table[5] // SYMBOL.size)]
    names = [strings[entry[0] : strings.index(b"\0", entry[0])].decode() for entry in entries]
    symbols = {
        name: places[entry[3]] + entry[4]
        for name, entry in zip(names, entries, strict=True)
        if name and entry[3] in places
    }
    sizes = {name: entry[5] for name, entry in zip(names, entries, strict=True) if name in symbols}
    relocations = []
    for section in sections:
        if section[1] == SHT_RELA and section[7] in places:
            for i in range(section[5] // RELOCATION.size):
                offset, info, addend = RELOCATION.unpack_from(data, section[4] + i * RELOCATION.size)
                name, entry = names[info >> 32], entries[info >> 32]
                local = places.get(entry[3], 0) + entry[4] if not name or name in symbols else 0
                own = "" if not name or name in symbols else name
                place = places[section[7]] + offset
                relocations.append(Relocation(place, info & 0xFFFFFFFF, own, local, addend))
    return NativeObject(bytes(image), symbols, sizes, tuple(relocations))


class Arena:
    """Executable memory where objects are placed one behind the other, and the symbols in it."""

    def __init__(self, size: int) -> None:
        self.mapping = CodeMapping(size)
        self.symbols: dict[str, int] = {}
        self.used = 0
        self._floor = 0
        self._end = size

    def place(self, item: NativeObject) -> dict[str, int]:
        """Relocate an object into the arena; gives its symbols' addresses. Raises ArenaFull."""
        start = self._take(len(item.image))
        image = bytearray(item.image)
        base = self.mapping.address + start
        for relocation in item.relocations:
            target = self.symbols[relocation.symbol] if relocation.symbol else base + relocation.base
            target += relocation.addend
            if relocation.kind == R_64:
                WORD.pack_into(image, relocation.offset, target & ((1 << 64) - 1))
            elif relocation.kind in (R_PC32, R_PLT32):
                NEAR.pack_into(image, relocation.offset, target - base - relocation.offset)
            else:
                raise ValueError(f"relocation type {relocation.kind} is not known")
        self.mapping.view[start : start + len(image)] = image
        return {name: base + offset for name, offset in item.symbols.items()}

    def _take(self, size: int) -> int:
        start = self.used + (-self.used % 64)
        if start + size > self._end:
            raise ArenaFull
        self.used = start + size
        return start

    def put(self, data: bytes) -> int:
        """Put bytes into the arena as they are; gives their executable address. Raises ArenaFull."""
        start = self._take(len(data))
        self.mapping.view[start : start + len(data)] = data
        return self.mapping.address + start

    def reserve(self, size: int) -> int:
        """Keep so many bytes at the end for somebody else; gives their executable address. Raises ArenaFull."""
        if self._end - size < self.used:
            raise ArenaFull
        self._end -= size
        return self.mapping.address + self._end

    def keep(self) -> None:
        """What has been placed so far stays when the rest is dropped."""
        self._floor = self.used

    def drop(self) -> None:
        """Forget everything placed since `keep`; no processor may be inside it."""
        self.used = self._floor
