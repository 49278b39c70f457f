"""Random RISC-V programs that branch, call, trap, take interrupts, write their own code and have their pages moved.

A program is a whole state and the contents of memory. Its code is random instructions; registers of their own hold
addresses. Traps go to handlers that go on behind the trap; `ecall` from below machine mode makes the handler take the
next entry of a script of changes to page tables, with the fence that belongs to it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.isa.riscv64.status import DELEGABLE, Environment, Status
from guesthouse.virtual.spec.description import Instruction

from .assembling import assemble
from .cases import MASK
from .engines import RISCV64 as MODULE
from .engines import Rig, isa_of
from .page_tables import PAGE, A, D, PageTables, R, U, V, W, X
from .riscv_world import random_float, random_integer

ISA = isa_of(MODULE)
BASE, SIZE = 0x8000_0000, 0x4_0000
CODE, CODE_PAGES = BASE, 3
DATA, DATA_PAGES = BASE + 0x4000, 3
HANDLER = BASE + 0x8000
SCRIPT, ENTRIES = BASE + 0x9000, 31
TABLES = BASE + 0x10000
USER_CODE, WRITABLE, USER_WRITABLE = 0x4000_0000, 0x5000_0000, 0x5800_0000
DATA_AT, USER_DATA_AT = 0x1000_0000, 0x1800_0000
PLAYGROUND, PLAYGROUND_PAGES = 0x2000_0000, 6
HUGE = 0x6000_0000  # RAM once more, as one leaf of 2 MiB
DEVICE = 0x1000_0000  # physical: nothing in RAM

POINTERS, TARGETS, KEPT = (8, 9, 10, 11, 12, 13), (14, 15), frozenset(range(8, 16))
SYSTEM = ("mret", "sret", "wfi", "sfence_vma", "sinval_vma", "sfence_w_inval", "sfence_inval_ir", "ecall", "ebreak")
WEIGHTS = {"I": 26, "M": 6, "A": 5, "C": 18, "F": 4, "D": 4, "Zicsr": 3, "Zifencei": 2, "privileged": 3}
CSRS = tuple(v for n, v in CSR_NAMES.items() if not n.startswith(("pmp", "mhpm", "hpm", "satp", "mtvec", "stvec")))

HANDLERS = f"""
machine:
        csrr    x31, mcause
        blt     x31, zero, interrupt
        addi    x30, x31, -8
        beqz    x30, change
        addi    x30, x31, -9
        beqz    x30, change
        andi    x30, x31, 0x1b      # 0, 4: rare; 1 and 12 less 8: fetches
        addi    x29, zero, 12
        beq     x31, x29, away
        addi    x29, zero, 1
        beq     x31, x29, away
next:   csrr    x31, mepc
        addi    x31, x31, 4
        csrw    mepc, x31
        mret
away:   csrr    x31, mscratch
        csrw    mepc, x31
        mret
interrupt:
        csrw    mie, zero
        csrr    x31, time
        addi    x31, x31, 5
        csrw    stimecmp, x31
        mret
change: li      x30, {SCRIPT}
        ld      x31, 0(x30)
        add     x29, x30, x31
        ld      x28, 32(x29)
        ld      x27, 40(x29)
        sd      x27, 0(x28)
        ld      x27, 48(x29)
        beqz    x27, all
        sfence.vma x27, zero
        j       done
all:    sfence.vma
done:   addi    x31, x31, 32
        andi    x31, x31, 0x3ff
        sd      x31, 0(x30)
        j       next
        .balign 512
supervisor:
        csrr    x31, scause
        blt     x31, zero, tick
        addi    x30, zero, 12
        beq     x31, x30, far
        addi    x30, zero, 1
        beq     x31, x30, far
        csrr    x31, sepc
        addi    x31, x31, 4
        csrw    sepc, x31
        sret
far:    csrr    x31, sscratch
        csrw    sepc, x31
        sret
tick:   csrw    sie, zero
        csrr    x31, time
        addi    x31, x31, 4
        csrw    stimecmp, x31
        sret
"""
SUPERVISOR_HANDLER = HANDLER + 512


@dataclass(frozen=True)
class Program:
    """What a run begins with."""

    image: bytes
    memory: dict[int, bytes]  # by address
    slice: int


class Generator:
    """Makes programs; `rig` lends its state to fill in."""

    def __init__(self, rng: random.Random, rig: Rig, shape: Callable[[Generator, int], bytes] | None = None) -> None:
        self.rng = rng
        self.rig = rig
        self.stray = 25  # one address in so many comes from any register; 0: none
        self.shape = shape  # how the code of a program is made, where it is not a mere sequence
        self.handlers = assemble(HANDLERS, HANDLER)
        groups: dict[str, list[Instruction]] = {}
        for instruction in ISA.instructions:
            groups.setdefault(instruction.extension, []).append(instruction)
        self.groups = groups
        self.names = list(groups)
        self.weights = [WEIGHTS.get(name, 1) for name in self.names]

    # --- instructions -------------------------------------------------------------------------------------------------

    def instruction(self) -> tuple[int, int]:
        """A word and its length."""
        rng = self.rng
        if rng.randrange(150) == 0:  # hardly ever an instruction
            return rng.getrandbits(32), rng.choice((2, 4))
        chosen = rng.choice(self.groups[rng.choices(self.names, self.weights)[0]])
        if chosen.name in ("mret", "sret", "wfi") and rng.randrange(4):
            chosen = ISA.by_name["ecall"]
        pattern = chosen.pattern
        for _ in range(20):
            try:
                values = {operand.name: self._operand(chosen, operand.name) for operand in pattern.operands}
                return pattern.encode(values), pattern.length
            except ValueError:
                continue
        return pattern.match | rng.getrandbits(8 * pattern.length) & ~pattern.mask, pattern.length

    def _operand(self, instruction: Instruction, name: str) -> int:
        rng, operand = self.rng, instruction.pattern.operand(name)
        jump = instruction.mnemonic.startswith(("j", "b", "c.j", "c.b")) and "offset" in instruction.parameters
        memory = "(rs1)" in instruction.syntax
        choices: tuple[int, ...] = ()
        if name == "rs1" and memory:
            choices = POINTERS
        elif name == "rs1" and instruction.name in ("jalr", "c_jr", "c_jalr"):
            choices = TARGETS
        elif name == "rs1" and instruction.name in ("sfence_vma", "sinval_vma"):
            choices = (0, *POINTERS, *TARGETS)
        elif name == "csr":
            choices = CSRS
        if choices and (not self.stray or rng.randrange(self.stray)):
            return rng.choice(choices)
        if name == "offset" and jump:
            return rng.randrange(-40, 60) & -2
        if name == "offset" and memory and rng.randrange(4):
            return rng.randrange(-64, 64) & -operand.step
        value = rng.randrange(operand.low, operand.high + 1) // operand.step * operand.step
        if name == "rd" and value in KEPT and rng.randrange(12):
            return rng.choice((1, 2, 5, 6, 7, 16, 17, 20)) if operand.bits == 5 else value
        return value

    def code(self, size: int) -> bytes:
        """Instructions one behind the other."""
        made = bytearray()
        while len(made) < size:
            word, length = self.instruction()
            made += (word & ((1 << 8 * length) - 1)).to_bytes(length, "little")
        return bytes(made[:size])

    # --- memory -------------------------------------------------------------------------------------------------------

    def _tables(self, store: Callable[[int, int], None]) -> PageTables:
        tables = PageTables(store, TABLES)
        marks = A | D if self.rng.randrange(3) else 0
        for n in range(CODE_PAGES):
            at, page = n * PAGE, CODE + n * PAGE
            tables.map(CODE + at, page, V | R | X | A)
            tables.map(USER_CODE + at, page, V | R | X | U | A)
            tables.map(WRITABLE + at, page, V | R | W | X | marks)
            tables.map(USER_WRITABLE + at, page, V | R | W | U | marks)
        for n in range(DATA_PAGES):
            at, page = n * PAGE, DATA + n * PAGE
            tables.map(DATA_AT + at, page, V | R | W | marks)
            tables.map(USER_DATA_AT + at, page, V | R | W | U | marks)
        tables.map(HANDLER, HANDLER, V | R | X | A)
        tables.map(HUGE, BASE, V | R | W | X | A | D, level=1)
        for n in range(PLAYGROUND_PAGES):
            tables.map(PLAYGROUND + n * PAGE, *self._leaf())
        return tables

    def _leaf(self) -> tuple[int, int]:
        """A page of code or data, with flags that let code run there more often than not."""
        rng = self.rng
        physical = rng.choice((CODE, DATA)) + rng.randrange(CODE_PAGES) * PAGE
        flags = rng.choice((V | R | W | X | A | D, V | R | X | A | U, V | R | X | A, V | R | W | U | X, V | X | A, 0))
        return physical, flags

    def _script(self, tables: PageTables) -> bytes:
        rng = self.rng
        rows = [bytes(32)]
        for _ in range(ENTRIES):
            address = PLAYGROUND + rng.randrange(PLAYGROUND_PAGES) * PAGE
            physical, flags = self._leaf()
            fenced = rng.choice((0, address))
            rows.append(struct.pack("<4Q", tables.place(address), physical >> 12 << 10 | flags, fenced, 0))
        rows.append(rows[1])
        return b"".join(rows)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        """The next program."""
        rng, s = self.rng, self.rig.state
        words: dict[int, int] = {}
        tables = self._tables(words.__setitem__)
        low = min(words)
        area = bytearray(max(words) + 8 - low)
        for address, word in words.items():
            struct.pack_into("<Q", area, address - low, word)
        memory = {
            CODE: (self.shape or Generator.code)(self, CODE_PAGES * PAGE),
            # Data that is code too: pages of the playground may show it.
            DATA: self.code(DATA_PAGES * PAGE),
            HANDLER: self.handlers,
            SCRIPT: self._script(tables),
            low: bytes(area),
        }
        self.rig.load(bytes(len(self.rig.bytes)))
        mode = rng.choice((0, 1, 1, 3))
        width = rng.choice((0, 39, 39, 48, 57))
        self._control(mode, tables.satp(width) if width else 0)
        self._registers(mode, width != 0 and mode != 3)
        if self.shape:
            s.pc &= ~0xFFF
        return Program(self.rig.image(), memory, rng.choice((16, 512, 1 << 14)))

    def _control(self, mode: int, satp: int) -> None:
        rng, s = self.rng, self.rig.state
        s.mode, s.satp = mode, satp
        s.mstatus = (
            rng.getrandbits(64) & Status.WRITABLE & ~(Status.MPRV | Status.TVM | Status.TSR | Status.TW) | Status.FS
        )
        s.menvcfg = rng.getrandbits(64) & (Environment.ADUE | Environment.STCE) | Environment.CBIE | Environment.STCE
        s.senvcfg = Environment.CBIE | Environment.CBZE
        s.medeleg = rng.getrandbits(20) & DELEGABLE & ~0x300
        s.mideleg = rng.getrandbits(12) & 0x222
        s.mie = rng.getrandbits(12) & 0xAAA
        s.mip = rng.getrandbits(12) & 0x222 if rng.randrange(3) == 0 else 0
        s.mtvec, s.stvec = HANDLER, SUPERVISOR_HANDLER
        s.mscratch = s.sscratch = s.mepc = s.sepc = CODE + rng.randrange(0, PAGE, 2)
        s.mcounteren = s.scounteren = (1 << 32) - 1
        s.pmpaddr[0], s.pmpcfg[0] = (1 << 54) - 1, 0x1F
        s.instructions = rng.randrange(1, 4000)
        s.mtimecmp, s.stimecmp = rng.choice((MASK, rng.randrange(60))), rng.choice((MASK, rng.randrange(60)))
        s.reservation_address = MASK

    def _registers(self, mode: int, paged: bool) -> None:
        rng, s = self.rng, self.rig.state
        for number in range(1, 32):
            s.x[number] = random_integer(rng)
            s.f[number] = random_float(rng)
        data, code = [DATA], [CODE]
        written = [DATA, DATA, CODE]
        if paged:
            data = [USER_DATA_AT, PLAYGROUND] if mode == 0 else [DATA_AT, DATA_AT, HUGE + DATA - BASE, PLAYGROUND]
            code = [USER_CODE, PLAYGROUND] if mode == 0 else [CODE, WRITABLE, PLAYGROUND, HUGE]
            written = [*data, USER_WRITABLE if mode == 0 else WRITABLE]
        for number in POINTERS:
            offset = rng.choice((0, 0x800, 0xFF8, 0xFFC, 0x1000, rng.randrange(2 * PAGE), rng.randrange(2 * PAGE) & ~7))
            s.x[number] = rng.choice(written) + offset
        s.x[2] = rng.choice(data) + 0x700
        if rng.randrange(6) == 0:
            s.x[rng.choice(POINTERS)] = DEVICE
        for number in TARGETS:
            s.x[number] = rng.choice(code) + rng.randrange(0, 2 * PAGE, 2)
        s.pc = code[0] + rng.randrange(0, PAGE, 2)
