"""Stencils and the blocks stitched from them: what has one, what a block holds, room that runs out."""

from __future__ import annotations

import functools

import pytest

from guesthouse.virtual.engine import stitching
from guesthouse.virtual.engine.compiler import Compiler
from guesthouse.virtual.engine.control import LONGEST_PATH
from guesthouse.virtual.engine.stencil_builder import StencilBuilder
from guesthouse.virtual.engine.stencils import Stencil, Stencils
from guesthouse.virtual.engine.translations import ROUND
from guesthouse.virtual.memory.code_page import COUNTED
from guesthouse.virtual.spec.exits import Exit
from tests.every_tier.engines import RISCV64, TOY, Rig, isa_of

BASE = 0x8000_0000
ISA = isa_of(RISCV64)


def word(name: str, **operands: int) -> bytes:
    pattern = ISA.by_name[name].pattern
    return pattern.encode(operands).to_bytes(pattern.length, "little")


def addi(rd: int, rs1: int, imm: int) -> bytes:
    return word("addi", rd=rd, rs1=rs1, imm=imm)


def jump(offset: int) -> bytes:
    return word("jal", rd=0, offset=offset)


HALT = word("wfi")


@functools.cache
def stencils(module: str) -> Stencils:
    builder = StencilBuilder(isa_of(module))
    return builder.read(Compiler().compile(builder.text()))


def stencil(name: str) -> Stencil:
    return variants(name)[0]


def variants(name: str) -> tuple[Stencil, ...]:
    return next(group for group in stencils(RISCV64).instructions if group[0].name == f"handler.{name}")


def ran(rig: Rig, code: bytes, budget: int = 1000) -> Exit:
    """Run code at the beginning of RAM until WFI."""
    rig.engine.forget()
    rig.ram[: len(code)] = code
    rig.state.pc = BASE
    reason = rig.engine.run(budget)
    assert isinstance(reason, Exit)
    return reason


@pytest.mark.parametrize("module", (RISCV64, TOY))
def test_every_patch_lies_in_its_stencil(module: str) -> None:
    found = stencils(module)
    assert len(found.instructions) == len(isa_of(module).instructions)
    for each in (*found.parts, *(each for group in found.instructions for each in group)):
        assert each.offset + each.size <= len(found.image)
        for patch in each.patches:
            assert (patch.what & 0xFFFF) + (patch.what >> 16 & 15) <= each.size
            assert (patch.what >> 24 & 255 == stitching.CONSTANT) or not patch.symbol


def test_what_is_slow_has_no_stencil_and_what_is_common_has_one() -> None:
    assert {stencil(name).ending for name in ("ecall", "csrrw", "wfi", "mret", "fence_i")} == {stitching.NONE}
    assert {stencil(name).ending for name in ("addi", "ld", "sd", "beq", "amoadd_w", "fadd_d")} == {stitching.GOES_ON}
    assert (stencil("jal").ending, stencil("jalr").ending) == (stitching.ENDS_TAKEN, stitching.LEAVES)
    assert stencil("c_nop").size == 0


def test_an_instruction_has_a_stencil_for_each_choice_of_what_is_carried() -> None:
    assert [len(variants(name)) for name in ("lui", "addi", "add", "sd", "fmadd_d", "ecall")] == [1, 2, 4, 4, 4, 1]
    assert all(each.size < variants("add")[0].size for each in variants("add")[1:])
    assert {stencil(name).yields for name in ("addi", "ld", "fadd_d")} == {stitching.YIELDS_REGISTER}
    assert {stencil(name).yields for name in ("beq", "sd", "c_nop")} == {stitching.YIELDS_NOTHING}


def test_what_is_carried_is_the_register_written_last() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    add = word("add", rd=6, rs1=5, rs2=5)
    chain = (
        addi(5, 0, 3)
        + add
        + addi(0, 6, 9)
        + word("add", rd=7, rs1=0, rs2=6)
        + addi(6, 7, 1)
        + word("c_mv", rd=28, rs2=7)
    )
    code = jump(4) + chain + HALT
    assert ran(rig, code) == Exit.WAIT
    rig.state.pc = BASE
    rig.state.x[5] = rig.state.x[6] = rig.state.x[7] = rig.state.x[28] = 99
    assert rig.engine.run(1000) == Exit.WAIT
    assert rig.state.stitched_steps >= 6
    assert [rig.state.x[n] for n in (0, 5, 6, 7, 28)] == [0, 3, 7, 6, 6]
    rig.close()


def test_a_block_goes_on_along_a_jump_and_behind_a_branch_not_taken() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    body = addi(5, 0, 7) + word("beq", rs1=5, rs2=0, offset=64) + jump(8) + HALT + addi(6, 5, 1) + HALT
    assert ran(rig, jump(4) + body) == Exit.WAIT
    before = rig.state.stitched_instructions
    rig.state.pc = BASE
    assert rig.engine.run(1000) == Exit.WAIT  # decoded by now: stitched whole
    assert rig.state.stitched_instructions - before >= 4
    assert (rig.state.x[5], rig.state.x[6]) == (7, 8)
    rig.close()


def test_a_block_stops_exactly_where_the_budget_ends() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    loop = b"".join(addi(10, 10, 1) for _ in range(20))
    code = loop + jump(-len(loop))
    for budget in range(LONGEST_PATH + 150, LONGEST_PATH + 200):
        rig.state.x[10] = 0
        rig.state.instructions = 0
        assert ran(rig, code, budget) == Exit.BUDGET
        assert rig.state.x[10] == budget - budget // 21
    assert rig.state.stitched_steps > 0
    rig.close()


def test_a_block_ends_where_its_list_of_ways_out_is_full() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    most = max((s for group in stencils(RISCV64).instructions for s in group), key=ways_out)
    name = most.name.removeprefix("handler.").split(".")[0]
    operands = dict.fromkeys(ISA.by_name[name].parameters, 0)
    code = word(name, **operands) * stitching.LONGEST_BLOCK + HALT
    rig.state.mstatus = 3 << 13
    rig.state.f[0] = 0xFFFF_FFFF << 32
    assert ran(rig, code) == Exit.WAIT
    rig.state.pc = BASE
    assert rig.engine.run(1000) == Exit.WAIT
    assert ways_out(most) * stitching.LONGEST_BLOCK >= stitching.MOST_LEAVING, "or nothing is tested here"
    assert rig.state.stitched_blocks > 1
    assert rig.state.leaving_count <= stitching.MOST_LEAVING
    assert rig.state.stitched_steps == stitching.LONGEST_BLOCK
    rig.close()


def test_ways_to_handlers_lie_apart_from_what_runs_often() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    state = rig.state
    state.x[10] = BASE + 0x1000
    code, before = word("ld", rd=11, rs1=10, offset=0), (state.stitch_next, state.stitch_rare)
    assert ran(rig, code * 8 + HALT) == Exit.WAIT  # decodes
    state.pc = BASE
    assert rig.engine.run(1000) == Exit.WAIT
    assert state.stitched_instructions == 8
    code_size, handler = stencil("ld").size, stencils(RISCV64).parts[1].size
    assert state.stitch_next - before[0] < 8 * code_size + 200
    assert state.stitch_rare - before[1] == 8 * handler, "one each; that of the first is the one for a spent slice too"
    rig.close()


def ways_out(stencil: Stencil) -> int:
    return sum(patch.what >> 24 & 255 >= stitching.TO_TAKEN for patch in stencil.patches)


@pytest.mark.parametrize(("next_one", "end"), [("stitch_next", "stitch_end"), ("stitch_rare", "stitch_rare_end")])
def test_full_room_is_emptied_and_the_guest_runs_on(next_one: str, end: str) -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    code = addi(10, 10, 1) + word("bne", rs1=10, rs2=11, offset=-4) + HALT
    rig.state.x[11] = 1000
    setattr(rig.state, end, getattr(rig.state, next_one))
    assert ran(rig, code, 10_000) == Exit.WAIT
    assert rig.state.x[10] == 1000
    assert rig.state.stitch_full == 0
    assert rig.state.stitched_blocks > 0
    rig.close()


def test_nothing_is_stitched_while_there_are_breakpoints() -> None:
    rig = Rig("stitcher", RISCV64, BASE, 1 << 16)
    code = addi(10, 10, 1) + word("bne", rs1=10, rs2=11, offset=-4) + HALT
    rig.state.x[11] = 100
    rig.engine.set_breakpoints([BASE + 8])
    assert ran(rig, code, 10_000) == Exit.BREAKPOINT
    assert (rig.state.pc, rig.state.x[10], rig.state.stitched_blocks) == (BASE + 8, 100, 0)
    rig.close()


@pytest.mark.parametrize(("arrivals", "blocks"), [(ROUND - COUNTED - 1, 0), (ROUND - COUNTED, 1)])
def test_a_place_is_stitched_at_the_arrival_with_which_its_counter_comes_round(arrivals: int, blocks: int) -> None:
    rig = Rig("auto", RISCV64, BASE, 1 << 16)
    rig.state.x[11] = arrivals
    code = addi(10, 10, 1) + word("bne", rs1=10, rs2=11, offset=-4) + HALT
    assert ran(rig, code, 10_000) == Exit.WAIT
    assert rig.state.x[10] == arrivals
    assert rig.state.stitched_blocks == blocks
    rig.close()
