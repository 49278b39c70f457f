import pytest

from ..fake import MASK, MEMORY, PC, execute, hart, result, trap

MINIMUM = 1 << 63


def test_writing_x0_does_nothing():
    assert execute(hart({11: 7}), "addi", rd=0, rs1=11, imm=1).x[0] == 0


@pytest.mark.parametrize(
    ("name", "rs1", "rs2", "expected"),
    [
        ("add", MASK, 1, 0),
        ("sub", 0, 1, MASK),
        ("sll", 1, 64 + 63, MINIMUM),
        ("srl", MINIMUM, 63, 1),
        ("sra", MINIMUM, 63, MASK),
        ("slt", MASK, 0, 1),
        ("sltu", MASK, 0, 0),
        ("addw", 0x7FFF_FFFF, 1, 0xFFFF_FFFF_8000_0000),
        ("subw", 1 << 32, 1, MASK),
        ("sllw", 1, 31, 0xFFFF_FFFF_8000_0000),
        ("sllw", 1, 32, 1),
        ("srlw", 0x1_8000_0000, 31, 1),
        ("sraw", 0x8000_0000, 31, MASK),
    ],
)
def test_register_operations_at_their_edges(name, rs1, rs2, expected):
    assert result(name, rs1, rs2) == expected


@pytest.mark.parametrize(
    ("name", "rs1", "operands", "expected"),
    [
        ("addi", 0, {"imm": -1}, MASK),
        ("sltiu", 5, {"imm": -1}, 1),
        ("slti", 5, {"imm": -1}, 0),
        ("andi", MASK, {"imm": -2048}, MASK - 2047),
        ("slli", 3, {"shamt": 63}, MINIMUM),
        ("srai", MINIMUM, {"shamt": 1}, 0xC000_0000_0000_0000),
        ("addiw", 0x8000_0000, {"imm": -1}, 0x7FFF_FFFF),
        ("sraiw", 0x8000_0000, {"shamt": 4}, 0xFFFF_FFFF_F800_0000),
    ],
)
def test_immediate_operations_at_their_edges(name, rs1, operands, expected):
    assert result(name, rs1, **operands) == expected


def test_upper_immediates_are_signed():
    assert result("lui", imm=-(1 << 31)) == 0xFFFF_FFFF_8000_0000
    assert result("auipc", imm=0x1000) == PC + 0x1000
    assert result("auipc", imm=-(1 << 31)) == PC - (1 << 31) & MASK


def test_jalr_reads_its_base_before_it_links_and_clears_bit_0():
    s = execute(hart({1: 0x1003}), "jalr", rd=1, rs1=1, offset=-2)
    assert (s.pc, s.x[1]) == (0x1000, PC + 4)


@pytest.mark.parametrize(("name", "taken"), [("blt", True), ("bltu", False), ("bge", False), ("bgeu", True)])
def test_branches_know_their_signs(name, taken):
    s = execute(hart({11: MASK, 12: 1}), name, rs1=11, rs2=12, offset=-8)
    assert s.pc == (PC - 8 if taken else PC + 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("lb", MASK - 0x7F), ("lbu", 0x80), ("lh", MASK - 0x7E7F), ("lhu", 0x8180)),
        *(("lw", 0xFFFF_FFFF_8382_8180), ("lwu", 0x8382_8180), ("ld", 0x8786_8584_8382_8180)),
    ],
)
def test_loads_extend(name, expected):
    s = hart({11: MEMORY + 8}, bytes(range(0x80, 0x90)))
    assert execute(s, name, rd=10, rs1=11, offset=-8).x[10] == expected


def test_an_offset_wraps_around_the_address_space():
    s = hart({11: 0})
    s.environment.place = lambda address, size: address & 7
    s.environment.bytes[:8] = bytes(range(8))
    assert execute(s, "lbu", rd=10, rs1=11, offset=-1).x[10] == 7


def test_stores_keep_their_neighbours():
    s = hart({11: MEMORY + 3, 12: 0x1122_3344_5566_7788}, b"\xff" * 16)
    execute(s, "sh", rs1=11, rs2=12, offset=1)
    assert s.environment.bytes[:8] == b"\xff\xff\xff\xff\x88\x77\xff\xff"


def test_fences_order_memory():
    s = hart()
    execute(s, "fence_", pred=0b1111, succ=0b1111)
    execute(s, "fence_", pred=0b0010, succ=0b0011)
    execute(s, "fence_tso")
    assert s.environment.fences == 3
    execute(s, "pause")
    assert s.environment.relaxed == 1
    assert s.environment.synchronized == 0
    execute(s, "fence_i")
    assert s.environment.synchronized == 1


def test_jumps_to_odd_halfwords_do_not_trap():
    assert trap(hart(), "jal", rd=1, offset=2) is None
