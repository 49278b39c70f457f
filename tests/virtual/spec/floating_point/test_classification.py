"""The ten classes."""

import pytest

from guesthouse.virtual.spec import floating_point

from . import oracle

DOUBLE = [
    (0xFFF0_0000_0000_0000, 0),
    (0xFFEF_FFFF_FFFF_FFFF, 1),
    (0x8010_0000_0000_0000, 1),
    (0x800F_FFFF_FFFF_FFFF, 2),
    (0x8000_0000_0000_0001, 2),
    (0x8000_0000_0000_0000, 3),
    (0x0000_0000_0000_0000, 4),
    (0x0000_0000_0000_0001, 5),
    (0x000F_FFFF_FFFF_FFFF, 5),
    (0x0010_0000_0000_0000, 6),
    (0x7FEF_FFFF_FFFF_FFFF, 6),
    (0x7FF0_0000_0000_0000, 7),
    (0x7FF0_0000_0000_0001, 8),
    (0xFFF7_FFFF_FFFF_FFFF, 8),
    (0x7FF8_0000_0000_0000, 9),
    (0xFFFF_FFFF_FFFF_FFFF, 9),
]
SINGLE = [
    (0xFF80_0000, 0),
    (0x8080_0000, 1),
    (0x807F_FFFF, 2),
    (0x8000_0000, 3),
    (0x0000_0000, 4),
    (0x007F_FFFF, 5),
    (0x0080_0000, 6),
    (0x7F80_0000, 7),
    (0x7FBF_FFFF, 8),
    (0xFFC0_0000, 9),
]


@pytest.mark.parametrize(("bits", "number"), DOUBLE)
def test_double(bits, number):
    assert oracle.run(floating_point.f64_classify, bits) == (1 << number, 0)


@pytest.mark.parametrize(("bits", "number"), SINGLE)
def test_single(bits, number):
    assert oracle.run(floating_point.f32_classify, bits) == (1 << number, 0)
