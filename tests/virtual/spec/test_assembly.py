"""The assembler on an instruction set of four instructions, so that nothing of RISC-V can creep in."""

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.encoding import BitFields
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout
from guesthouse.virtual.spec.syntax import AssemblySyntax, Named

TOY = Isa(
    "toy",
    StateLayout(RegisterFile("r", 4, names=("ra", "rb", "rc", "rd"))),
    BitFields({"d": 2, "a": 2, "far": 14, "mode": 2}, frozenset({"imm", "far"})),
    unit=2,
    longest=4,
    contexts=1,
)


@TOY.instruction("load d, imm", "00 d imm[11:0]")
def load(s, d, imm):
    s.r[d] = imm


@TOY.instruction("move d, imm(a), mode", "01 d a imm[7:0] mode")
def move(s, d, a, imm, mode):
    s.r[d] = s.r[a] + imm + mode


@TOY.instruction("jump far", "10 far[13:0]")
def jump(s, far):
    s.next_pc = s.pc + far


@TOY.instruction("wide imm>>16", "11000000 00000000 imm[31:16]")
def wide(s, imm):
    s.r[0] = imm


def two(operands, scope):
    return [f"load {operands[0]}, 1", f"load {operands[0]}, 2"]


SYNTAX = AssemblySyntax(
    registers={"first": ("r", 0)},
    files={"d": "r", "a": "r"},
    relative=frozenset({"far"}),
    spellings={"mode": Named({"slow": 1, "fast": 2}, default=1)},
    aliases=(("clear d", "load d, 0"), ("stay", "jump .")),
    read=(("both d, imm", "load d, imm", "jump . + 2"),),
    macros={"two": two},
    operators={"double": lambda value, address, notes: 2 * value},
    filler=(b"\x11\x11", b"\x22\x22\x22\x22"),
)
ASSEMBLER = Assembler(TOY, SYNTAX)


def words(text, base=0):
    code = ASSEMBLER.assemble(text, base)
    return [int.from_bytes(code[at : at + 2], "little") for at in range(0, len(code), 2)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("load rb, 5", 0x1005),
        ("LOAD RB, -1", 0x1FFF),
        ("load first, 2 * (3 + 4)", 0x000E),
        ("move rc, 3(rd), fast", 0x6000 | 3 << 10 | 3 << 2 | 2),
        ("move rc, (rd)", 0x6000 | 3 << 10 | 1),
        ("clear rd", 0x3000),
        ("load ra, %double(4)", 8),
    ],
)
def test_instructions(text, word):
    assert words(text) == [word]


def test_parts_of_a_wide_word():
    assert words("wide 0xffff; wide 0x8000") == [0xFFFF, 0xC000, 0x8000, 0xC000]


def test_pseudo_instructions():
    assert words("both ra, 3; two rb") == [0x0003, 0x8002, 0x1001, 0x1002]


def test_labels_forward_and_backward():
    assert words("a: jump b; b: jump a; stay", 0x100) == [0x8002, 0xBFFE, 0x8000]


def test_numbered_labels_mean_the_nearest():
    assert words("1: jump 1f; 1: jump 1b; jump 1f; 1: load ra, 0") == [0x8002, 0x8000, 0x8002, 0]


def test_expressions_see_everything_wherever_it_is():
    text = ".equ later, end - start\nload ra, later\nstart: .zero size\n.set size, 6\nend:"
    assert ASSEMBLER.assemble(text) == b"\x06\x00" + bytes(6)


def test_set_may_change_its_mind():
    assert words("x = 1; load ra, x; x = x + 1; load ra, x") == [1, 2]


def test_data_and_padding():
    text = '.byte 1, -1\n.half 0x1234\n.balign 8\n.text\n.word last\n.asciz "hi"\n.p2align 2, 9\nlast: .dword -2'
    assert ASSEMBLER.assemble(text, 0x1000) == (
        b"\x01\xff\x34\x12" + b"\x22" * 4 + b"\x10\x10\0\0" + b"hi\0\x09" + b"\xfe" + b"\xff" * 7
    )


def test_padding_begins_with_the_short_instruction():
    assert ASSEMBLER.assemble("clear ra; .balign 8") == b"\0\0" + b"\x11\x11" + b"\x22" * 4


def test_sections_follow_each_other():
    program = ASSEMBLER.program(
        ".data\nb: .byte 1\n.text\nload ra, b - a\na:\n.section .more\n.balign 8\nc: .byte 2\n.data\n.byte 3\n", 0x100
    )
    assert program.data == b"\x02\0\0\0"[:2] + b"\0\0" + b"\x01\x03\0\0" + b"\x02"
    assert program.symbols == {"a": 0x102, "b": 0x104, "c": 0x108}
    assert program.sections == {".text": (0x100, 2), ".data": (0x104, 2), ".more": (0x108, 1)}


def test_org_goes_to_an_address():
    assert ASSEMBLER.assemble(".byte 1; .org 0x104; .byte 2", 0x100) == b"\x01\0\0\0\x02"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nfoo ra", "Line 2: there is no instruction 'foo' in toy."),
        (".foo 1", "Line 1: there is no directive '.foo'."),
        ("load ra", "Line 1: 'load ra' does not read as 'load d,imm'."),
        ("load 5, ra", "does not read as"),
        ("load ra, 2048", "imm cannot be 2048: it goes from -2048 to 2047."),
        ("load ra, nowhere", "'nowhere' is not defined."),
        ("jump 3b", "there is no label 3 before '3b'."),
        ("a: a:", "label 'a' is already defined."),
        ("a: .set a, 1", "'a' is a label."),
        (".byte 256", "256 does not fit in 1 byte."),
        (".balign 3", "it is not a power of two up to 2097152."),
        (".align 99", "cannot align to 2 to the power of 99."),
        (".zero -1", "cannot put -1 bytes there."),
        (".zero 1 << 60", "bytes there."),
        ("nothing: .org 4; .org 2", ".org cannot go back from 0x4 to 0x2."),
        (".ascii 3", "3 is not a string in double quotes."),
        ("load ra, %half(3)", "there is no operator %half."),
        ("load ra, " + "(" * 5000, "too many parentheses."),
        ("a: .zero b - a; .byte 0; b:", "sizes depend on addresses in a circle."),
    ],
)
def test_mistakes_are_told_in_one_sentence(text, message):
    with pytest.raises(UserError) as caught:
        ASSEMBLER.assemble(text)
    assert str(caught.value).endswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)
