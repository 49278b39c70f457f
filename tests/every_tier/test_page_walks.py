"""Page walks with every combination of flags, at every level and width: loads, stores, atomics and fetches.

Each table is used several times from different modes without a fence between, so that what an engine remembers of an
entry for one access must hold for the next.
"""

from __future__ import annotations

import random
import struct

import pytest

from guesthouse.virtual.isa.riscv64.status import DELEGABLE, Environment, Status

from .cases import CASES, MASK, SEED
from .engines import ENGINES, RISCV64, Rig, difference, isa_of, memory_difference
from .page_tables import MODES, PAGE, A, R, U, V, X, leaf, pointer

ISA = isa_of(RISCV64)
BASE, SIZE = 0x8000_0000, 0x40_0000
CODE, WINDOW = BASE, BASE + 0x20_0000
DATA = WINDOW + PAGE
TABLES = WINDOW + 2 * PAGE  # one a level; then those of the code
CODE_TABLES = TABLES + 5 * PAGE
WINDOW_END = CODE_TABLES + 4 * PAGE
PROBE = sum(1 << 12 + 9 * level for level in range(5))  # index 1 in every table
USER_CODE, SUPERVISOR_CODE = 0, PAGE
ENTRIES = 1000 if not CASES else max(1000, CASES // 1000)  # random entries; beside them all flags at all levels
USES = 6

ACCESSES = [
    ISA.by_name[name].pattern.encode({"rd": 10, "rs1": 11, "rs2": 12, "offset": 0, "aq": 0, "rl": 0})
    for name in ("ld", "sd", "lw", "sb", "amoadd_d", "lr_d", "sc_d", "cbo_zero", "cbo_clean")
]
JUMP = ISA.by_name["jalr"].pattern.encode({"rd": 0, "rs1": 11, "offset": 0})


def index(address: int, level: int) -> int:
    return address >> 12 + 9 * level & 511


def tables(width: int, level: int, entry: int, next_entry: int) -> dict[int, int]:
    """Words of tables in which `entry` translates PROBE at a level, and `next_entry` the page behind it."""
    top = (width - 12) // 9 - 1
    words: dict[int, int] = {}
    for step in range(top, level, -1):
        words[TABLES + step * PAGE + 8 * index(PROBE, step)] = pointer(TABLES + (step - 1) * PAGE)
    words[TABLES + level * PAGE + 8 * index(PROBE, level)] = entry
    words.setdefault(TABLES + level * PAGE + 8 * (index(PROBE, level) + 1), next_entry)
    place = TABLES + top * PAGE
    for step in range(top - 1, -1, -1):
        words[place] = pointer(CODE_TABLES + step * PAGE)
        place = CODE_TABLES + step * PAGE
    words[CODE_TABLES] = leaf(CODE, V | R | X | U | A)
    words[CODE_TABLES + 8] = leaf(CODE, V | R | X | A)
    return words


def random_entry(rng: random.Random, level: int, flags: int) -> int:
    """An entry with these low eight bits; now and then misaligned, reserved, of a type or contiguous."""
    physical = DATA if level == 0 else (DATA >> 12 + 9 * level) << 12 + 9 * level
    word = leaf(physical, flags)
    kind = rng.randrange(12)
    if kind == 0:
        word ^= 1 << rng.randrange(10, 64)
    elif kind == 1:
        word |= rng.randrange(4) << 61
    elif kind == 2:
        word |= 1 << 63
        if rng.getrandbits(1):
            word = word & ~(15 << 10) | 8 << 10
    return word


class Walks:
    """The engines, and one table after another."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rigs = [Rig(name, RISCV64, BASE, SIZE) for name in ENGINES if name != "auto"]
        self.data = rng.randbytes(2 * PAGE)
        code = struct.pack(f"<{len(ACCESSES) + 1}I", *ACCESSES, JUMP)
        for rig in self.rigs:
            rig.ram[: len(code)] = code
        self.count = 0
        self.faults = 0

    def try_entry(self, level: int, flags: int) -> None:
        """Use one table from several modes in several ways."""
        rng = self.rng
        width = rng.choice([w for w in MODES if (w - 12) // 9 > level])
        words = tables(width, level, random_entry(rng, level, flags), random_entry(rng, level, rng.getrandbits(8)))
        image = bytearray(WINDOW_END - WINDOW)
        image[: len(self.data)] = self.data
        for address, word in words.items():
            struct.pack_into("<Q", image, address - WINDOW, word)
        top = (width - 12) // 9 - 1
        common = self._common(MODES[width] << 60 | TABLES + top * PAGE >> 12)
        for rig in self.rigs:
            rig.ram[WINDOW - BASE : WINDOW_END - BASE] = image
            rig.engine.forget()
        entry = words[TABLES + level * PAGE + 8 * index(PROBE, level)]
        for _ in range(USES):
            self._use(common, f"width {width}, level {level}, entry {entry:#x}")
        first = self.rigs[0].ram[WINDOW - BASE : WINDOW_END - BASE]
        for rig in self.rigs[1:]:
            found = rig.ram[WINDOW - BASE : WINDOW_END - BASE]
            assert first.tobytes() == found.tobytes(), memory_difference(first, found, WINDOW)

    def _common(self, satp: int) -> bytes:
        rng, rig = self.rng, self.rigs[0]
        s = rig.state
        rig.load(bytes(len(rig.bytes)))
        s.satp = satp
        s.menvcfg = rng.getrandbits(64) & (Environment.ADUE | Environment.PBMTE) | Environment.CBZE | Environment.CBCFE
        s.senvcfg = Environment.CBZE | Environment.CBCFE
        s.medeleg = rng.getrandbits(20) & DELEGABLE
        s.mtvec, s.stvec = 0x9000_0000, 0xA000_0000
        s.reservation_address = MASK
        last = 0
        if rng.randrange(4) == 0:  # protection of some bytes of the page or of its table
            for last in range(rng.randrange(1, 4)):
                around = rng.choice((DATA, DATA, TABLES)) + rng.randrange(0, PAGE, 4)
                ones = rng.choice((0, 1, 3, 0x1FF))
                s.pmpaddr[last] = around >> 2 & ~ones | ones >> 1
                s.pmpcfg[last] = rng.choice((0, 1, 3, 4, 5)) | (3 if ones else 2) << 3 | (rng.randrange(3) == 0) << 7
            last += 1
        s.pmpaddr[last], s.pmpcfg[last] = (1 << 54) - 1, 0x1F
        s.instructions = 5
        return rig.image()

    def _use(self, common: bytes, what: str) -> None:
        rng, first = self.rng, self.rigs[0]
        s = first.state
        first.load(common)
        s.mode = rng.choice((0, 1, 1, 3))
        s.mstatus = rng.getrandbits(64) & (Status.SUM | Status.MXR | Status.MPRV) | rng.choice((0, 1, 3)) << 11
        offset = rng.choice((0, 8, 0x7F8, PAGE - 8, PAGE - 4, PAGE - 2, rng.randrange(PAGE)))
        s.x[11], s.x[12] = PROBE + offset, rng.getrandbits(64)
        number = rng.randrange(len(ACCESSES) + 4)
        jumps = number >= len(ACCESSES)
        code = CODE if s.mode == 3 else USER_CODE if s.mode == 0 else SUPERVISOR_CODE
        s.pc = code + 4 * min(number, len(ACCESSES))
        if s.mode == 3 and jumps:  # machine mode is not translated
            s.x[11] = DATA + offset & ~1
        image = first.image()
        expected = first.run(2 if jumps else 1)
        self.faults += s.trapped
        for rig in self.rigs[1:]:
            rig.load(image)
            found = rig.run(2 if jumps else 1)
            text = f"use {self.count} ({number}) from mode {s.mode} of {what}: "
            assert found == expected, f"{text}{expected}, {found}"
            assert rig.saved() == first.saved(), text + difference(ISA, first.saved(), rig.saved())
        self.count += 1


@pytest.mark.parametrize("level", range(5))
def test_all_flags_at_a_level(level: int) -> None:
    walks = Walks(random.Random(level + 100 * SEED))
    for flags in range(256):
        walks.try_entry(level, flags)
    for _ in range(ENTRIES // 5):
        walks.try_entry(level, walks.rng.getrandbits(8) | V)
    assert walks.count > USES * 400 and 0 < walks.faults < walks.count
    for rig in walks.rigs:
        rig.close()
