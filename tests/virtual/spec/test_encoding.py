import pytest

from guesthouse.virtual.spec.encoding import BitFields

GRAMMAR = BitFields({"rd": 5, "rs1": 5}, frozenset({"offset"}))


def test_pieces_are_put_together():
    pattern = GRAMMAR.pattern("offset[12|10:5] rs1 rs1[4:0] 000 offset[4:1|11] 1100011")
    assert (pattern.length, pattern.mask, pattern.match) == (4, 0x707F, 0x63)
    offset = pattern.operand("offset")
    assert (offset.low, offset.high, offset.step) == (-4096, 4095, 2)
    for value in (-4096, -2, 0, 2, 4094, 0x554):
        assert offset.extract(offset.insert(value)) == value


def test_short_registers_begin_at_8():
    pattern = GRAMMAR.pattern("110 000 rs1' 0000000")
    assert pattern.encode({"rs1": 15}) == 0xC000 | 7 << 7
    with pytest.raises(ValueError, match="rs1 cannot be 7: it goes from 8 to 15"):
        pattern.encode({"rs1": 7})


def test_excluded_values_do_not_match():
    pattern = GRAMMAR.pattern("011 0 rd!=0,2 00000 01")
    assert [rd for rd in range(32) if not pattern.matches(0x6001 | rd << 7)] == [0, 2]
    with pytest.raises(ValueError, match="without 0, 2"):
        pattern.encode({"rd": 2})


@pytest.mark.parametrize("value", [1, 4096, -4098])
def test_what_does_not_fit_is_refused(value):
    pattern = GRAMMAR.pattern("offset[12|10:5] rs1 rs1 000 offset[4:1|11] 1100011")
    with pytest.raises(ValueError, match="offset cannot be"):
        pattern.encode({"rs1": 0, "offset": value})


@pytest.mark.parametrize(
    ("text", "message"),
    [("rd 111", "has 8 bits"), ("rd? 111", "cannot read 'rd\\?'"), ("imm 00000000000", "'imm' has no usual width")],
)
def test_malformed_encodings_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        GRAMMAR.pattern(text)
