import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.description import RISCV64

from ..fake import MEMORY, execute, hart, trap

AMOS = [i.name for i in RISCV64.instructions if i.name.startswith("amo")]
R = {"rd": 10, "rs1": 11, "rs2": 12}


@pytest.mark.parametrize("name", [*AMOS, "sc_w", "sc_d", "lr_w", "lr_d"])
def test_misaligned_addresses_trap_and_change_nothing(name):
    s = hart({10: 5, 11: MEMORY + 4 if name.endswith("d") else MEMORY + 2, 12: 1}, b"\x11" * 16)
    cause = Cause.LOAD_ADDRESS_MISALIGNED if name.startswith("lr") else Cause.STORE_ADDRESS_MISALIGNED
    assert trap(s, name, **R) == (cause, s.x[11])
    assert s.x[10] == 5
    assert s.environment.bytes[:16] == b"\x11" * 16


@pytest.mark.parametrize(
    ("name", "old", "operand", "expected"),
    [
        ("amoswap_d", 1, 2, 2),
        ("amoadd_d", (1 << 64) - 1, 2, 1),
        ("amomin_d", 1 << 63, 1, 1 << 63),
        ("amominu_d", 1 << 63, 1, 1),
        ("amomax_d", 1 << 63, 1, 1),
        ("amomaxu_d", 1 << 63, 1, 1 << 63),
        ("amoxor_d", 0xFF, 0x0F, 0xF0),
    ],
)
def test_doubleword_operations(name, old, operand, expected):
    s = execute(hart({11: MEMORY, 12: operand}, old.to_bytes(8, "little")), name, **R)
    assert s.x[10] == old
    assert int.from_bytes(s.environment.bytes[:8], "little") == expected


@pytest.mark.parametrize(
    ("name", "old", "operand", "expected"),
    [
        ("amoadd_w", 0xFFFF_FFFF, 0x1_0000_0001, 0),
        ("amomin_w", 0x8000_0000, 1, 0x8000_0000),
        ("amomaxu_w", 0x8000_0000, 0xFFFF_FFFF_0000_0001, 0x8000_0000),
        ("amominu_w", 0x8000_0000, 0xFFFF_FFFF_0000_0001, 1),
    ],
)
def test_word_operations_see_32_bits_and_extend_the_sign(name, old, operand, expected):
    memory = old.to_bytes(4, "little") + b"\xee" * 4
    s = execute(hart({11: MEMORY, 12: operand}, memory), name, **R)
    assert s.x[10] == old | 0xFFFF_FFFF_0000_0000
    assert bytes(s.environment.bytes[:8]) == expected.to_bytes(4, "little") + b"\xee" * 4


def test_a_reservation_lets_one_store_through():
    s = hart({11: MEMORY + 8, 12: 9}, bytes(8) + (0x8000_0000).to_bytes(4, "little"))
    assert execute(s, "lr_w", **R).x[10] == 0xFFFF_FFFF_8000_0000
    assert execute(s, "sc_w", **R).x[10] == 0
    assert s.environment.bytes[8] == 9
    assert execute(s, "sc_w", **R).x[10] == 1
