import pytest

from ..fake import MASK, result

MINIMUM = 1 << 63
MINIMUM32 = 0xFFFF_FFFF_8000_0000


@pytest.mark.parametrize(
    ("name", "rs1", "rs2", "expected"),
    [
        # Table of section 13.2: division by zero, then overflow.
        ("div", 7, 0, MASK),
        ("divu", 7, 0, MASK),
        ("rem", MASK - 6, 0, MASK - 6),
        ("remu", 7, 0, 7),
        ("div", MINIMUM, MASK, MINIMUM),
        ("rem", MINIMUM, MASK, 0),
        ("divw", 7, 1 << 32, MASK),
        ("divuw", 7, 0, MASK),
        ("remw", 0x8000_0001, 0, 0xFFFF_FFFF_8000_0001),
        ("remuw", 0x8000_0001, 0, 0xFFFF_FFFF_8000_0001),
        ("divw", MINIMUM32, MASK, MINIMUM32),
        ("remw", MINIMUM32, MASK, 0),
        # Rounding is towards zero, the remainder has the dividend's sign.
        ("div", MASK - 6, 2, MASK - 2),
        ("rem", MASK - 6, 2, MASK),
        ("rem", 7, MASK - 1, 1),
        ("mulh", MINIMUM, MINIMUM, 1 << 62),
        ("mulhu", MASK, MASK, MASK - 1),
        ("mulhsu", MASK, MASK, MASK),
        ("mul", MASK, MASK, 1),
        ("mulw", 0x1_0000_0003, 0x8000_0000, MINIMUM32),
    ],
)
def test_edges(name, rs1, rs2, expected):
    assert result(name, rs1, rs2) == expected
