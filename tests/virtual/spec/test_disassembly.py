import pytest

from guesthouse.virtual.isa.riscv64 import compressed, integer  # noqa: F401  (records the instructions)
from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.disassembly import Disassembler

DISASSEMBLER = Disassembler(RISCV64, RISCV64_SYNTAX)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x00008067, "ret"),
        (0x00100513, "li\ta0,1"),
        (0x0007B503, "ld\ta0,0(a5)"),
        (0xFFFFF537, "lui\ta0,0xfffff"),
        (0x00209463, "bne\tra,sp,0x1008"),
        (0x8082, "ret"),
        (0x0001, "nop"),
        (0x0000, "unimp"),
        (0xFFFFFFFF, ".4byte\t0xffffffff"),
        (0x6001, ".2byte\t0x6001"),
        (0x0FF0080F, ".4byte\t0xff0080f"),  # a fence with bits that its syntax does not show
    ],
)
def test_one_instruction(word, text):
    assert DISASSEMBLER.text_of(word, 0x1000) == text


def test_bytes_are_taken_apart():
    data = bytes.fromhex("13050500 8280 eff0dfff ff".replace(" ", ""))
    assert list(DISASSEMBLER.disassemble(data, 0x8000_0000)) == [
        (0x8000_0000, data[:4], "mv\ta0,a0"),
        (0x8000_0004, data[4:6], "ret"),
        (0x8000_0006, data[6:10], "jal\t0x80000002"),
        (0x8000_000A, data[10:], ".byte\t0xff"),
    ]


def test_a_cut_instruction_is_data():
    assert [text for _, _, text in DISASSEMBLER.disassemble(b"\x13\x05\x05")] == [".2byte\t0x513", ".byte\t0x5"]


def test_targets_have_symbols():
    symbols = {0x1000: "start", 0x1006: "end"}
    texts = [text for _, _, text in DISASSEMBLER.disassemble(bytes.fromhex("6f004000 6f000000"), 0x1000, symbols)]
    assert texts == ["j\t1004 <start+0x4>", "j\t1004 <start+0x4>"]
    assert DISASSEMBLER.text_of(0x0000006F, 0x1006, symbols) == "j\t1006 <end>"
    assert DISASSEMBLER.text_of(0x0000006F, 0xFF0, symbols) == "j\t0xff0"


def test_aliases_may_be_off():
    assert Disassembler(RISCV64, RISCV64_SYNTAX, aliases=False).text_of(0x8082) == "c.jr\tra"


def test_registers_have_no_other_names_without_a_syntax():
    assert Disassembler(RISCV64).text_of(0x00008067) == "jalr\tzero,0(ra)"
