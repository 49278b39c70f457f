"""Operations on cache blocks: who may use them, and that they fail as stores, with the address that was given."""

from __future__ import annotations

import pytest

from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.exits import Exit

from .engines import ENGINES, RISCV64, Rig, isa_of
from .page_tables import PAGE, A, D, PageTables, R, U, V, W, X

BASE, SIZE = 0x8000_0000, 0x4_0000
HANDLER, DATA, TABLES = BASE + PAGE, BASE + 2 * PAGE, BASE + 0x2_0000
USERS, ODD = 0x40_0000, 0x47  # a page of programs, and a place in it that is no block's
MANAGING = ("cbo.clean (t0)", "cbo.flush (t0)", "cbo.inval (t0)")
ILLEGAL_INSTRUCTION, STORE_ACCESS_FAULT, STORE_PAGE_FAULT = 2, 7, 15


@pytest.fixture(params=ENGINES)
def rig(request):
    made = Rig(request.param, RISCV64, BASE, SIZE)
    made.state.mtvec = HANDLER
    place(made, "wfi", HANDLER)
    yield made
    made.close()


def place(rig: Rig, text: str, address: int) -> None:
    rig.memory.write(address, Assembler(isa_of(RISCV64), RISCV64_SYNTAX).assemble(text, address))


def run(rig: Rig, text: str, address: int) -> tuple[int, int]:
    """Cause and value of the trap that an operation ends in; (0, 0) where it does not."""
    s = rig.state
    place(rig, f"{text}\n wfi", BASE)
    s.x[5], s.pc, s.mcause, s.mtval = address, BASE, 0, 0
    s.mstatus = 1 << 17 if s.satp else 0  # MPRV and the mode of programs, which a trap takes back
    assert rig.run(100) == (Exit.WAIT,)
    return s.mcause, s.mtval


def mapped(rig: Rig, flags: int) -> None:
    """Loads and stores are those of programs from now on, for whom one page of data is mapped so."""
    tables = PageTables(lambda at, word: rig.memory.store(at, 8, word), TABLES)
    tables.map(USERS, DATA, flags)
    s = rig.state
    s.satp = tables.satp(39)
    s.pmpaddr[0], s.pmpcfg[0] = (1 << 54) - 1, 0x1F
    rig.engine.forget()


@pytest.mark.parametrize(
    ("flags", "managed", "zeroed"),
    (
        *((V | R | W | U | A | D, 1, 1), (V | R | U | A, 1, 0)),
        *((V | X | U | A, 0, 0), (V | R | U, 0, 0), (V | R | W | A | D, 0, 0)),
    ),
)
def test_whom_page_tables_let(rig, flags, managed, zeroed):
    denied = (STORE_PAGE_FAULT, USERS + ODD)
    mapped(rig, flags)
    for _ in range(2):  # of what is known the first time nothing wrong is remembered
        for text in MANAGING:
            assert run(rig, text, USERS + ODD) == ((0, 0) if managed else denied)
        assert run(rig, "cbo.zero (t0)", USERS + ODD) == ((0, 0) if zeroed else denied)
        assert run(rig, "lb a0, 0(t0)", USERS + ODD)[0] == (0 if managed else 13)
        assert run(rig, "sb a0, 0(t0)", USERS + ODD)[0] == (0 if zeroed else STORE_PAGE_FAULT)


@pytest.mark.parametrize(("config", "managed", "zeroed"), ((0x1B, 1, 1), (0x19, 1, 0), (0x1C, 0, 0), (0x18, 0, 0)))
def test_whom_protection_lets(rig, config, managed, zeroed):
    mapped(rig, V | R | W | U | A | D)
    s = rig.state
    s.pmpaddr[1], s.pmpcfg[1] = (1 << 54) - 1, 0x1F
    s.pmpaddr[0], s.pmpcfg[0] = DATA >> 2 | 0b1111, config  # two blocks of the page
    denied = (STORE_ACCESS_FAULT, USERS + ODD)
    for _ in range(2):
        for text in MANAGING:
            assert run(rig, text, USERS + ODD) == ((0, 0) if managed else denied)
            assert run(rig, text, USERS + ODD + 128) == (0, 0)
        assert run(rig, "cbo.zero (t0)", USERS + ODD) == ((0, 0) if zeroed else denied)


@pytest.mark.parametrize("text", (*MANAGING, "cbo.zero (t0)"))
def test_what_is_no_memory_is_neither_managed_nor_cleared(rig, text):
    assert run(rig, text, DATA + ODD) == (0, 0)
    assert run(rig, text, 0x1000_0000 + ODD) == (STORE_ACCESS_FAULT, 0x1000_0000 + ODD)


def test_a_block_is_cleared_and_no_other(rig):
    rig.memory.write(DATA, b"\x55" * 192)
    assert run(rig, "cbo.zero (t0)", DATA + ODD) == (0, 0)
    assert rig.memory.read(DATA, 192) == b"\x55" * 64 + bytes(64) + b"\x55" * 64


def test_managing_is_no_access_that_a_watch_sees(rig):
    rig.engine.set_watches([(DATA, DATA + PAGE, 3)])
    rig.memory.watch([(DATA, DATA + PAGE)])
    rig.engine.forget_translations()
    assert run(rig, "cbo.flush (t0)", DATA + ODD) == (0, 0)
    rig.state.x[5], rig.state.pc = DATA + ODD, BASE
    place(rig, "cbo.zero (t0)", BASE)
    assert rig.run(100) == (Exit.WATCH,)
    assert rig.state.pc == BASE


def test_a_loop_that_clears_its_own_code_meets_what_it_wrote(rig):
    """Two blocks of one loop: the first clears data on every round, and the second block on the last one."""
    body, rounds = BASE + 64, 50
    text = f"""
    again:  cbo.zero (t0)
            j body
            .balign 64
    body:   addi a1, a1, 1
            bne a1, a2, more
            li t0, {body}
    more:   j again
    """
    place(rig, text, BASE)
    s = rig.state
    s.x[5], s.x[11], s.x[12], s.pc = DATA, 0, rounds, BASE
    assert rig.run(10_000) == (Exit.WAIT,)
    assert (s.mcause, s.mepc, s.x[11]) == (ILLEGAL_INSTRUCTION, body, rounds)
