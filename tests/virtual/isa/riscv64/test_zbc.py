import pytest

from ..fake import EDGES, MASK, result


def product(a, b):
    total = 0
    for i in range(64):
        total ^= a << i if b >> i & 1 else 0
    return total


@pytest.mark.parametrize("b", EDGES)
def test_the_three_parts_of_the_product(b):
    for a in EDGES:
        assert result("clmul", a, b) == product(a, b) & MASK
        assert result("clmulh", a, b) == product(a, b) >> 64
        assert result("clmulr", a, b) == product(a, b) >> 63 & MASK
