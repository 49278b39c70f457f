"""From a relocatable RISC-V object and an entry to a static executable for Linux.

Source: System V ABI, ELF-64; the RISC-V ELF psABI, chapter 8 (relocations). The executable has two segments: code with
constants, and what may be written. Not done: relaxation, dynamic linking, thread-local storage.
"""

from __future__ import annotations

import struct

import msgspec

from guesthouse.errors import UserError

SHF_WRITE, SHF_ALLOC, SHT_RELA, SHT_NOBITS, SHT_SYMTAB = 1, 2, 4, 8, 2
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
BASE, PAGE = 0x10000, 4096
EXECUTABLE, RISCV, LOAD, STACK = 2, 243, 1, 0x6474_E551
READ, WRITE, EXECUTE = 4, 2, 1
MASK = (1 << 64) - 1

R_64, R_BRANCH, R_JAL, R_CALL, R_CALL_PLT = 2, 16, 17, 18, 19
R_PCREL_HI20, R_PCREL_LO12_I, R_PCREL_LO12_S = 23, 24, 25
R_RVC_BRANCH, R_RVC_JUMP, R_RELAX = 44, 45, 51


class LinkError(UserError):
    """An object has what this linker does not know."""


class Symbol(msgspec.Struct, frozen=True):
    """A name with its section (0: not defined here) and offset in it."""

    name: str
    section: int
    value: int


class Routines(msgspec.Struct, frozen=True):
    """Assembled code: its bytes, where its names lie, and where it calls (auipc, jalr) what the object defines."""

    code: bytes
    symbols: dict[str, int]
    calls: dict[int, str]


def link(data: bytes, routines: Routines, entry: str) -> bytes:
    """The executable of one object and assembled routines; starts at `entry`.

    Raises LinkError where the object is none for RISC-V or wants a relocation or symbol that is not known.
    """
    return _Linker(data, routines).executable(entry)


class _Linker:
    def __init__(self, data: bytes, routines: Routines) -> None:
        if data[:5] != b"\x7fELF\x02" or HEADER.unpack_from(data)[2] != RISCV:
            raise LinkError("The compiled program is no RISC-V object.")
        header = HEADER.unpack_from(data)
        self._data = data
        self._flags = header[7]
        self._sections = [SECTION.unpack_from(data, header[6] + i * header[11]) for i in range(header[12])]
        self._symbols = self._read_symbols()
        head = HEADER.size + 3 * SEGMENT.size
        self._text = bytearray(head) + routines.code
        self._text += bytes(-len(self._text) % 16)
        self._addresses: dict[int, int] = {}
        self._routines = {name: BASE + head + offset for name, offset in routines.symbols.items()}
        self._lay_out_code()
        self._writable, self._zeroed = bytearray(), 0
        self._data_base = BASE + len(self._text) + PAGE  # the same offset in its page as in the file
        self._lay_out_data()
        self._relocate()
        for offset, name in routines.calls.items():
            self._patch(BASE + head + offset, R_CALL, self._named(name) - BASE - head - offset)

    def _read_symbols(self) -> list[Symbol]:
        table = next(section for section in self._sections if section[1] == SHT_SYMTAB)
        strings = self._sections[table[6]]
        names = self._data[strings[4] : strings[4] + strings[5]]
        entries = [SYMBOL.unpack_from(self._data, table[4] + i * SYMBOL.size) for i in range(table[5] // SYMBOL.size)]
        return [Symbol(names[e[0] : names.index(b"\0", e[0])].decode(), e[3], e[4]) for e in entries]

    def _lay_out_code(self) -> None:
        for index, (_, _, flags, _, offset, size, _, _, align, _) in enumerate(self._sections):
            if flags & SHF_ALLOC and not flags & SHF_WRITE:
                self._text += bytes(-len(self._text) % max(align, 1))
                self._addresses[index] = BASE + len(self._text)
                self._text += self._data[offset : offset + size]
        self._text += bytes(-len(self._text) % 16)

    def _lay_out_data(self) -> None:
        """What has content first, then what begins as zeros and takes no room in the file."""
        for zeroed in (False, True):
            for index, (_, kind, flags, _, offset, size, _, _, align, _) in enumerate(self._sections):
                if flags & SHF_ALLOC and flags & SHF_WRITE and (kind == SHT_NOBITS) == zeroed:
                    length = len(self._writable) + self._zeroed
                    padding = -(self._data_base + length) % max(align, 1)
                    self._addresses[index] = self._data_base + length + padding
                    if zeroed:
                        self._zeroed += padding + size
                    else:
                        self._writable += bytes(padding) + self._data[offset : offset + size]

    def _target(self, symbol: Symbol) -> int:
        if symbol.section in self._addresses:
            return self._addresses[symbol.section] + symbol.value
        if symbol.name in self._routines:
            return self._routines[symbol.name]
        raise LinkError(f"The compiled program needs '{symbol.name}', which is not in it.")

    def _named(self, name: str) -> int:
        if name in self._routines:
            return self._routines[name]
        for symbol in self._symbols:
            if symbol.name == name and symbol.section in self._addresses:
                return self._target(symbol)
        raise LinkError(f"The compiled program has no '{name}'.")

    def _relocate(self) -> None:
        for section in self._sections:
            if section[1] != SHT_RELA or section[7] not in self._addresses:
                continue
            base = self._addresses[section[7]]
            entries = [
                RELOCATION.unpack_from(self._data, section[4] + i) for i in range(0, section[5], RELOCATION.size)
            ]
            # The low half of a pc-relative pair names the place of its high half.
            high = {
                base + offset: self._target(self._symbols[info >> 32]) + addend - base - offset
                for offset, info, addend in entries
                if info & 0xFFFFFFFF == R_PCREL_HI20
            }
            for offset, info, addend in entries:
                place, kind, symbol = base + offset, info & 0xFFFFFFFF, self._symbols[info >> 32]
                if kind in (R_PCREL_LO12_I, R_PCREL_LO12_S):
                    self._patch(place, kind, high[self._target(symbol)])
                elif kind == R_64:
                    self._word(place, 8, self._target(symbol) + addend)
                elif kind != R_RELAX:
                    self._patch(place, kind, self._target(symbol) + addend - place)

    def _word(self, place: int, size: int, value: int | None = None) -> int:
        """The word at an address of the program, written first where there is a value."""
        image, offset = (self._text, place - BASE)
        if place >= self._data_base:
            image, offset = self._writable, place - self._data_base
        if value is not None:
            image[offset : offset + size] = (value & MASK).to_bytes(8, "little")[:size]
        return int.from_bytes(image[offset : offset + size], "little")

    def _patch(self, place: int, kind: int, distance: int) -> None:
        """Put a distance from here into the instruction's fields, as the unprivileged manual draws them."""
        if kind in (R_CALL, R_CALL_PLT):
            self._patch(place, R_PCREL_HI20, distance)
            self._patch(place + 4, R_PCREL_LO12_I, distance)
            return
        reach = {R_BRANCH: 12, R_JAL: 20, R_RVC_BRANCH: 8, R_RVC_JUMP: 11}.get(kind, 31)
        if not -(1 << reach) <= distance < 1 << reach:
            raise LinkError("The compiled program is too large for its jumps.")
        size = 2 if kind in (R_RVC_BRANCH, R_RVC_JUMP) else 4
        mask, bits = _fields(kind, distance)
        self._word(place, size, self._word(place, size) & ~mask | bits)

    def executable(self, entry: str) -> bytes:
        """The file's bytes."""
        size = len(self._writable) + self._zeroed
        address = self._named(entry)
        identity = b"\x7fELF\x02\x01\x01" + bytes(9)
        sizes = (HEADER.size, SEGMENT.size, 3, 0, 0, 0)
        head = HEADER.pack(identity, EXECUTABLE, RISCV, 1, address, HEADER.size, 0, self._flags, *sizes)
        text, start = len(self._text), self._data_base
        head += SEGMENT.pack(LOAD, READ | EXECUTE, 0, BASE, BASE, text, text, PAGE)
        head += SEGMENT.pack(LOAD, READ | WRITE, text, start, start, len(self._writable), size, PAGE)
        head += SEGMENT.pack(STACK, READ | WRITE, 0, 0, 0, 0, 0, 16)
        self._text[: len(head)] = head
        return bytes(self._text + self._writable)


def _moved(value: int, *pieces: tuple[int, int, int]) -> int:
    """Bits of a value at their places in an instruction; a piece is: highest bit, lowest, place of the lowest."""
    return sum((value >> low & (1 << high - low + 1) - 1) << place for high, low, place in pieces)


def _fields(kind: int, distance: int) -> tuple[int, int]:
    """The mask of an instruction's fields and what belongs there."""
    pieces = {
        R_BRANCH: ((12, 12, 31), (10, 5, 25), (4, 1, 8), (11, 11, 7)),
        R_JAL: ((20, 20, 31), (10, 1, 21), (11, 11, 20), (19, 12, 12)),
        R_PCREL_LO12_I: ((11, 0, 20),),
        R_PCREL_LO12_S: ((11, 5, 25), (4, 0, 7)),
        R_PCREL_HI20: ((31, 12, 12),),
        R_RVC_BRANCH: ((8, 8, 12), (4, 3, 10), (7, 6, 5), (2, 1, 3), (5, 5, 2)),
        R_RVC_JUMP: (
            *((11, 11, 12), (4, 4, 11), (9, 8, 9), (10, 10, 8)),
            *((6, 6, 7), (7, 7, 6), (3, 1, 3), (5, 5, 2)),
        ),
    }.get(kind)
    if pieces is None:
        raise LinkError(f"The compiled program wants relocation {kind}, which this linker does not know.")
    rounded = distance + 0x800 if kind == R_PCREL_HI20 else distance
    return _moved(-1, *pieces), _moved(rounded, *pieces)
