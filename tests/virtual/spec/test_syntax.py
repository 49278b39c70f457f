import pytest

from guesthouse.virtual.spec.encoding import Operand, Piece
from guesthouse.virtual.spec.syntax import Letters, Named, Template, Term, shifted, unshifted, written_parts


def test_templates_are_read_and_written():
    template = Template.read("lui rd, imm>>12, 4(sp), (rs1)")
    assert template.terms() == [Term("rd"), Term("imm", 12), Term("4"), Term("sp"), Term("rs1")]
    assert template.write({"rd": "a0", "imm": "0x5", "rs1": "t0"}) == "lui a0,0x5,4(sp),(t0)"
    assert template.without_last().write({}, "li") == "li rd,imm,4(sp)"
    assert Template.read("nop").write({}) == "nop"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("4(sp)", ("4", "sp")),
        ("(sp)", ("", "sp")),
        ("%lo(x)(a0)", ("%lo(x)", "a0")),
        ("(1+2)", ("(1+2)", None)),
        ("x", ("x", None)),
    ],
)
def test_written_operands_have_parts(text, parts):
    assert written_parts(text) == parts


def test_shifted_values_are_parts_of_32_bits():
    operand = Operand("imm", (Piece(12, 20, 12),), 32, signed=True)
    assert shifted(0xFFFFF, 12, operand) == -4096
    assert shifted(5, 12, operand) == 5 << 12
    assert (unshifted(-4096, 12), unshifted(5 << 12, 12)) == ("0xfffff", "0x5")


def test_letters_are_flags():
    letters = Letters("iorw", empty="none")
    assert [letters.write(v) for v in (0, 1, 15, 10)] == ["none", "w", "iorw", "ir"]
    assert [letters.read(t, None) for t in ("none", "w", "wr", "iorw")] == [0, 1, 3, 15]


def test_names_stand_for_values():
    named = Named({"zero": 0, "one": 1})
    assert [named.write(1), named.write(0x20)] == ["one", "0x20"]
    assert named.read("ONE", None) == 1
