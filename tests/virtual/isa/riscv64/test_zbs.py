from ..fake import MASK, result


def test_the_index_is_the_low_six_bits():
    assert result("bset", 0, 64 + 63) == 1 << 63
    assert result("bclr", MASK, 63) == MASK >> 1
    assert result("binv", 1 << 63, 63) == 0
    assert result("bext", 1 << 63, 127) == 1


def test_immediate_forms_are_the_same():
    for shamt in (0, 31, 32, 63):
        for name in ("bset", "bclr", "binv", "bext"):
            assert result(f"{name}i", 0x8000_0001_8000_0001, shamt=shamt) == result(name, 0x8000_0001_8000_0001, shamt)
