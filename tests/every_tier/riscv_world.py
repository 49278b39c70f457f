"""States of a RISC-V hart in which an instruction can meet anything: modes, page tables, protection, registers."""

from __future__ import annotations

import random
import struct

from guesthouse.virtual.isa.riscv64.status import DELEGABLE, Environment, Status
from guesthouse.virtual.spec.description import Instruction

from .cases import EDGES, MASK
from .engines import Rig
from .page_tables import PAGE, A, D, G, PageTables, R, U, V, W, X

BASE, SIZE = 0x8000_0000, 0x2_0000
CODE = BASE  # two pages
WINDOW, DATA_PAGES = BASE + 0x4000, 4  # data, then the leaf tables
TABLES = WINDOW + DATA_PAGES * PAGE
WINDOW_END = TABLES + 2 * PAGE
OTHER_TABLES = BASE + 0x10000
USER_CODE = 0x4000_0000
LOW, HIGH = 0x1000_0000, (1 << 64) - 0x1000_0000  # virtual pages of data, with every kind of flags
VIRTUAL_PAGES = 24

FLOATS = (
    *(0, 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x3FF0_0000_0000_0000, 0x3FF0_0000_0000_0001),
    *(0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0001, 0x7FF8_0000_0000_0000),
    *(0x4330_0000_0000_0000, 0x43E0_0000_0000_0000, 0x43DF_FFFF_FFFF_FFFF, 0x41DF_FFFF_FFC0_0000),
    *(0x3810_0000_0000_0000, 0x36A0_0000_0000_0000, 0x47EF_FFFF_F000_0000, 0x3FE0_0000_0000_0000),
    *(0x4008_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF),
)
SINGLES = (
    *(0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000),
    *(0x4B000000, 0x4F000000, 0x4EFFFFFF, 0x5F000000, 0x5EFFFFFF, 0x3F000000, 0x40400000, 0x7FFFFFFF),
)


def random_float(rng: random.Random) -> int:
    """A register's 64 bits: doubles and boxed singles, mostly at an edge or of a middling exponent."""
    sign = rng.getrandbits(1)
    match rng.randrange(8):
        case 0 | 1:
            return rng.choice(FLOATS) | sign << 63
        case 2 | 3:
            return 0xFFFF_FFFF << 32 | rng.choice(SINGLES) | sign << 31
        case 4:
            return sign << 63 | rng.randrange(1003, 1043) << 52 | rng.getrandbits(52)
        case 5:
            return 0xFFFF_FFFF << 32 | sign << 31 | rng.randrange(107, 147) << 23 | rng.getrandbits(23)
        case 6:
            return 0xFFFF_FFFF << 32 | rng.getrandbits(32)
        case _:
            return rng.getrandbits(64)


def random_integer(rng: random.Random) -> int:
    """A register's 64 bits, edges more often than not."""
    kind = rng.randrange(4)
    if kind < 2:
        return rng.choice(EDGES)
    return rng.getrandbits(64) if kind == 2 else rng.getrandbits(64) >> rng.randrange(64)


class Worlds:
    """Makes states; one `new` world at a time, then many register values in it."""

    def __init__(self, rng: random.Random, rig: Rig) -> None:
        self.rng = rng
        self.rig = rig
        self.content = bytearray(rng.randbytes(WINDOW_END - WINDOW))
        self.outside: dict[int, int] = {}
        self._map()
        layout = rig.isa.layout
        self._x, self._f = layout.offset("x"), layout.offset("f")
        self._reserved = layout.offset("reservation_address")
        self._integers = [struct.pack("<32Q", 0, *(random_integer(rng) for _ in range(31))) for _ in range(400)]
        self._floats = [struct.pack("<32Q", *(random_float(rng) for _ in range(32))) for _ in range(400)]
        self.world = b""
        self.paged = False

    def _store(self, address: int, word: int) -> None:
        if WINDOW <= address < WINDOW_END:
            struct.pack_into("<Q", self.content, address - WINDOW, word)
        else:
            self.outside[address] = word

    def _map(self) -> None:
        rng = self.rng
        self.tables = PageTables(self._store, OTHER_TABLES)
        for address in (CODE, USER_CODE):
            self.tables.place(address)
        for address in (LOW, HIGH):
            self.tables.place(address, 1)
        self.tables.next_page = TABLES  # the leaf tables of data lie in the window
        for address in (LOW, HIGH):
            self.tables.place(address)
        assert self.tables.next_page == WINDOW_END
        for n in range(2):
            self.tables.map(CODE + n * PAGE, CODE + n * PAGE, V | R | X | A)
            self.tables.map(USER_CODE + n * PAGE, CODE + n * PAGE, V | R | X | U | A)
        for start in (LOW, HIGH):
            for n in range(VIRTUAL_PAGES):
                flags = rng.choice((V | R | W | A | D, V | R | W | U | A | D, rng.getrandbits(8) | V, V | R | A))
                physical = WINDOW + rng.randrange(DATA_PAGES) * PAGE
                if rng.randrange(12) == 0:
                    physical = rng.choice((0x1000_0000, BASE + SIZE, 1 << 55))
                self.tables.map(start + n * PAGE, physical, flags & ~G)

    def new(self, halt: int | None = None) -> None:
        """Another mode, other control registers, other protection; traps go to `halt`, where given, and never recur."""
        rng, rig = self.rng, self.rig
        s = rig.state
        rig.load(bytes(len(rig.bytes)))
        mode = rng.choice((0, 1, 3))
        width = rng.choice((0, 39, 48, 57))
        s.mode = mode
        s.satp = self.tables.satp(width) if width else 0
        status = rng.getrandbits(64) & Status.WRITABLE | rng.choice((0, 1, 3)) << 11
        s.mstatus = status if rng.randrange(4) else status | Status.FS
        s.frm = rng.choice((0, 1, 2, 3, 4, rng.randrange(8)))
        s.float_flags = rng.getrandbits(5)
        s.monitor = rng.randrange(4) == 0 and mode != 3
        s.external = rng.getrandbits(12) & 0xA00 if rng.randrange(3) == 0 else 0
        s.menvcfg = rng.getrandbits(64) & Environment.ALL & ~Environment.CBIE | rng.choice((0, 1, 3)) << 4
        s.senvcfg = rng.getrandbits(64) & Environment.USER & ~Environment.CBIE | rng.choice((0, 1, 3)) << 4
        s.medeleg, s.mideleg = rng.getrandbits(20) & DELEGABLE, rng.getrandbits(12) & 0x222
        s.mie, s.mip = rng.getrandbits(12) & 0xAAA, rng.getrandbits(12) & 0x222
        for name in ("mtvec", "stvec", "mepc", "sepc"):
            setattr(s, name, rng.getrandbits(64) & ~2 if name[1:] == "tvec" else rng.getrandbits(64) & ~1)
        for name in ("mscratch", "sscratch", "mcause", "scause", "mtval", "stval", "mcycle", "minstret"):
            setattr(s, name, random_integer(rng))
        for name in ("mcounteren", "scounteren"):
            setattr(s, name, rng.choice((0, (1 << 32) - 1, rng.getrandbits(32))))
        s.mcountinhibit = rng.choice((0, 0, 1, 4, 5))
        s.time_offset = rng.choice((0, random_integer(rng)))
        for name in ("mtimecmp", "stimecmp"):
            setattr(s, name, rng.choice((0, MASK, s.time_offset, s.time_offset + 100 & MASK)))
        self._protect(s)
        s.instructions = rng.randrange(1, 1 << 14) + (rng.getrandbits(20) << 14)
        s.trapped = rng.randrange(4)
        # Where loads and stores of this world are translated.
        lent = s.mstatus >> 11 & 3 if s.mstatus & Status.MPRV else mode
        self.paged = bool(width) and lent != 3
        code = CODE if mode == 3 or not width else USER_CODE if mode == 0 else CODE
        self.pc = code + rng.choice((0x800, 0x802, 0xFFE, 0xFFC))
        s.pc = self.pc
        if halt is not None:
            s.mtvec = s.stvec = halt
            s.mie, s.mstatus = 0, s.mstatus & ~Status.TW
            s.pc = self.pc = code + (halt & 0xFFF) + 16
        self.world = rig.image()

    def _protect(self, s: object) -> None:
        """PMP: everything is allowed by the last entry; now and then others before it cut the window up."""
        rng, rig = self.rng, self.rig
        file = rig.state
        last = rng.choice((0, 0, 3, 15))
        for entry in range(last):
            kind = rng.choice((0, 1, 2, 3))
            start = (WINDOW + rng.randrange(0, DATA_PAGES * PAGE, 4)) >> 2
            ones = rng.choice((1, 3, 7, 0x1FF, 0x3FF))
            file.pmpaddr[entry] = start & ~ones | ones >> 1 if kind == 3 else start
            if kind == 1 and entry and not file.pmpcfg[entry - 1]:
                file.pmpaddr[entry - 1] = max(WINDOW >> 2, start - rng.randrange(64))
            if kind == 1 and not entry:
                kind = 2  # its lower end would be zero, and it would cover the code
            file.pmpcfg[entry] = rng.choice((0, 1, 3, 4, 5, 7)) | kind << 3 | (rng.randrange(4) == 0) << 7
        file.pmpaddr[last], file.pmpcfg[last] = (1 << 54) - 1, 0x1F

    def pointer(self) -> int:
        """An address of data, near the ends of pages more often than not, seldom of nothing."""
        rng = self.rng
        offset = rng.choice((0, 8, 0x7F8, 0xFF0, 0xFF8, 0x1000, rng.randrange(PAGE), rng.randrange(PAGE) & ~7))
        if rng.randrange(4) == 0:
            offset += rng.randrange(-8, 8)
        if rng.randrange(40) == 0:
            return rng.choice((0, 1, 3, 7, MASK, MASK - 2, 1 << 38, 1 << 56, BASE + SIZE - 4, BASE - 4, 0x1000_0000))
        if self.paged:
            return rng.choice((LOW, HIGH)) + rng.randrange(VIRTUAL_PAGES - 1) * PAGE + offset & MASK
        return WINDOW + rng.randrange(DATA_PAGES - 1) * PAGE + max(offset, 0)

    def state(self, base: int | None, displacement: int) -> bytes:
        """A state of this world; register `base` points to data less `displacement`."""
        rng = self.rng
        image = bytearray(self.world)
        image[self._x : self._x + 256] = rng.choice(self._integers)
        image[self._f : self._f + 256] = rng.choice(self._floats)
        if base:
            address = self.pointer()
            struct.pack_into("<Q", image, self._x + 8 * base, address - displacement & MASK)
            if rng.getrandbits(1):
                struct.pack_into("<QQ", image, self._reserved, address, self.word_at(address))
        return bytes(image)

    def word_at(self, address: int) -> int:
        """The word there if memory were not translated, for reservations that hold."""
        at = address - WINDOW
        if 0 <= at <= len(self.content) - 8:
            return int.from_bytes(self.content[at : at + 8], "little")
        return self.rng.getrandbits(64)


def base_of(instruction: Instruction, values: dict[str, int]) -> tuple[int | None, int]:
    """The register that holds an address, and what is added to it."""
    syntax = instruction.syntax
    if "(sp)" in syntax:
        return 2, values.get("uimm", values.get("offset", 0))
    if "(rs1)" in syntax and "rs1" in values:
        return values["rs1"], values.get("offset", values.get("uimm", 0))
    return None, 0
