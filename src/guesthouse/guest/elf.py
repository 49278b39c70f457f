"""Reads 64-bit little-endian ELF files that may be damaged or hostile.

Written here rather than taken from a library because every field of a guest's file is untrusted: each access is bounds
checked, work is bounded by the file's size, and the only failure is a UserError. Source: System V ABI, "Object Files".
"""

import struct
from collections.abc import Iterator

import msgspec

from guesthouse.errors import UserError

MAGIC = b"\x7fELF"
MACHINE_RISCV = 243
PT_LOAD = 1
SHT_SYMTAB, SHT_NOBITS = 2, 8
STT_SECTION, STT_FILE = 3, 4

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")


class ProgramHeader(msgspec.Struct, frozen=True):
    """One program header: offsets and sizes in bytes of the file, addresses as linked."""

    type: int
    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int


class Section(msgspec.Struct, frozen=True):
    """One section header."""

    name: int
    type: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


class Elf(msgspec.Struct, frozen=True):
    """The tables of an ELF file."""

    machine: int
    entry: int
    programs: tuple[ProgramHeader, ...]
    sections: tuple[Section, ...]
    section_names: int


def parse_elf(data: bytes) -> Elf:
    """The header and both tables. Raises UserError where it is no 64-bit little-endian ELF file or is truncated."""
    if not data.startswith(MAGIC) or len(data) < _HEADER.size:
        raise UserError("The ELF file is truncated or none; get it again.")
    if data[4] != 2 or data[5] != 1:
        raise UserError("The ELF file is not 64-bit little-endian; build it for riscv64.")
    header = _HEADER.unpack_from(data)
    _, _, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = header
    programs = tuple(
        ProgramHeader(kind, offset, virtual, physical, file_size, memory_size)
        for kind, _, offset, virtual, physical, file_size, memory_size, _ in _table(
            data, phoff, phentsize, phnum, _PROGRAM
        )
    )
    sections = tuple(
        Section(name, kind, address, offset, size, link, entsize)
        for name, kind, _, address, offset, size, link, _, _, entsize in _table(data, shoff, shentsize, shnum, _SECTION)
    )
    return Elf(machine, entry, programs, sections, shstrndx)


def _table(data: bytes, offset: int, stride: int, count: int, layout: struct.Struct) -> Iterator[tuple[int, ...]]:
    if count and (stride < layout.size or offset + stride * (count - 1) + layout.size > len(data)):
        raise UserError("The ELF file is truncated or damaged (a table lies outside of it); get it again.")
    for index in range(count):
        yield layout.unpack_from(data, offset + stride * index)


def file_bytes(data: bytes, offset: int, size: int) -> bytes:
    """`size` bytes of the file at `offset`. Raises UserError where they lie outside of it."""
    if offset + size > len(data):
        raise UserError("The ELF file is truncated or damaged (a part lies outside of it); get it again.")
    return data[offset : offset + size]


def section_bytes(data: bytes, elf: Elf, name: str) -> bytes:
    """The contents of the first section of that name, empty where there is none."""
    if elf.section_names >= len(elf.sections):
        return b""
    names = elf.sections[elf.section_names]
    for section in elf.sections:
        if _text(data, names, section.name) == name and section.type != SHT_NOBITS:
            return file_bytes(data, section.offset, section.size)
    return b""


def symbols(data: bytes, elf: Elf) -> dict[str, int]:
    """Addresses as linked of the named symbols that are defined, without sections and file names.

    A local symbol never hides a global one. Damaged symbol tables are left out: a program runs without them.
    """
    result: dict[str, int] = {}
    globals_seen: set[str] = set()
    budget = len(data)
    for section in elf.sections:
        if section.type != SHT_SYMTAB or section.link >= len(elf.sections):
            continue
        end = min(section.offset + section.size, len(data))
        for offset in range(section.offset, end - _SYMBOL.size + 1, _SYMBOL.size):
            name_offset, info, _, index, value, _ = _SYMBOL.unpack_from(data, offset)
            if not name_offset or not index or info & 15 in (STT_SECTION, STT_FILE):
                continue
            name = _text(data, elf.sections[section.link], name_offset)
            budget -= len(name)
            if budget < 0:
                return result
            if name and (name not in globals_seen or info >> 4):
                result[name] = value
                if info >> 4:
                    globals_seen.add(name)
    return result


def _text(data: bytes, table: Section, offset: int, longest: int = 1024) -> str:
    """The NUL-terminated text of a string table, cut at `longest` bytes; empty where it lies outside of the file."""
    start = table.offset + offset
    limit = min(table.offset + table.size, len(data), start + longest)
    if start >= limit:
        return ""
    end = data.find(b"\0", start, limit)
    return data[start : end if end >= 0 else limit].decode("utf-8", "replace")
