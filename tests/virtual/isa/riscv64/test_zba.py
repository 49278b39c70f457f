from ..fake import MASK, result


def test_shift_and_add():
    assert result("sh1add", 3, 100) == 106
    assert result("sh3add", MASK, 8) == 0
    assert result("sh2add_uw", 0xFFFF_FFFF_0000_0001, 1) == 5
    assert result("add_uw", MASK, 1) == 1 << 32
    assert result("slli_uw", MASK, shamt=40) == 0xFF_FFFF << 40
