import pytest

from ..fake import EDGES, MASK, result


def bits(value, width=64):
    return format(value & ((1 << width) - 1), f"0{width}b")


def signed(value, width):
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


DEFINITIONS = {
    "clz": lambda a: (bits(a) + "1").index("1"),
    "ctz": lambda a: (bits(a)[::-1] + "1").index("1"),
    "cpop": lambda a: bits(a).count("1"),
    "clzw": lambda a: (bits(a, 32) + "1").index("1"),
    "ctzw": lambda a: (bits(a, 32)[::-1] + "1").index("1"),
    "cpopw": lambda a: bits(a, 32).count("1"),
    "sext_b": lambda a: signed(a, 8) & MASK,
    "sext_h": lambda a: signed(a, 16) & MASK,
    "zext_h": lambda a: a & 0xFFFF,
    "rev8": lambda a: int.from_bytes(a.to_bytes(8, "big"), "little"),
    "orc_b": lambda a: int.from_bytes(bytes(0xFF if b else 0 for b in a.to_bytes(8, "big")), "big"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_one_operand_by_another_definition(name):
    for a in EDGES:
        assert result(name, a) == DEFINITIONS[name](a), hex(a)


@pytest.mark.parametrize("amount", [0, 1, 31, 32, 63, 64, 65])
def test_rotations_by_another_definition(amount):
    for a in EDGES:
        n = amount % 64
        assert bits(result("rol", a, amount)) == bits(a)[n:] + bits(a)[:n]
        assert bits(result("ror", a, amount)) == bits(a)[64 - n :] + bits(a)[: 64 - n]
        assert result("rori", a, shamt=n) == result("ror", a, n)
        n = amount % 32
        low = bits(a, 32)
        assert result("rolw", a, amount) == signed(int(low[n:] + low[:n], 2), 32) & MASK
        assert result("rorw", a, amount) == signed(int(low[32 - n :] + low[: 32 - n], 2), 32) & MASK
        assert result("roriw", a, shamt=n) == result("rorw", a, n)


def test_minimum_and_maximum_know_their_signs():
    assert (result("min_", MASK, 1), result("max_", MASK, 1)) == (MASK, 1)
    assert (result("minu", MASK, 1), result("maxu", MASK, 1)) == (1, MASK)


def test_logic_with_negate():
    assert result("andn", 0b1100, 0b1010) == 0b0100
    assert result("orn", 0, 1) == MASK - 1
    assert result("xnor", 0b1100, 0b1010) == MASK - 0b0110
