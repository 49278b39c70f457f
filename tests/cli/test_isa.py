from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from guesthouse.cli.drawing import boxes, drawing
from guesthouse.cli.isa import command, instruction_named
from guesthouse.cli.isa_pages import page
from guesthouse.errors import UserError
from guesthouse.virtual.isa.riscv64 import ISA


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def test_the_table_has_every_instruction_once() -> None:
    lines = run().output.splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(rows) == sorted(ISA.by_name)
    headings = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    assert headings[:6] == list("IMAFDC") and headings[-1] == "privileged"


def test_one_instruction_from_encoding_to_semantics() -> None:
    result = run("blt", "--no-code")
    assert result.exit_code == 0
    assert "blt rs1, rs2, offset" in result.output
    assert "| offset[12|10:5] | rs2 | rs1 | 100 | offset[4:1|11] | 1100011 |" in result.output
    assert "if s64(s.x[rs1]) < s64(s.x[rs2]):" in result.output
    assert "s64: The low 64 bits, signed" in result.output
    assert "it goes from -4096 to 4094 in steps of 2" in result.output
    assert "LLVM" not in result.output


def test_what_the_interpreter_makes_of_it() -> None:
    output = run("add").output
    assert 'define dso_local preserve_nonecc void @"handler.add"' in output
    assert "musttail call preserve_nonecc" in output
    assert "handler.add:" in output.split("this host's code")[1]
    assert len(output.split("this host's code")[1].splitlines()) > 8
    assert "Translator with rd = 10, rs1 = 11, rs2 = 12, this host's code:" in output


def test_what_the_stitcher_makes_of_it() -> None:
    stencil = run("sub").output.split("Stitcher, this host's code:\n")[1].split("Translator")[0]
    for hole in ("read.rs1.x(%rdi)", "read.rs2.x(%rdi)", "write.rd.x(%rdi)", "to.next"):
        assert hole in stencil
    assert "Stitcher:\n    Leaves it to the handler above." in run("ecall").output


def test_mnemonic_and_function_name_both_find_it() -> None:
    assert instruction_named(ISA, "c.addi16sp") is instruction_named(ISA, "c_addi16sp")
    assert instruction_named(ISA, "AND").name == "and_"


def test_an_unknown_name_is_answered_with_similar_ones() -> None:
    result = run("addy")
    assert isinstance(result.exception, UserError)
    assert "There is no instruction 'addy' in riscv64; did you mean" in str(result.exception)


@pytest.mark.parametrize("name", sorted(ISA.by_name))
def test_the_boxes_of_a_drawing_cover_every_bit_once(name: str) -> None:
    pattern = ISA.by_name[name].pattern
    fields = boxes(pattern)
    bits = [bit for box in fields for bit in range(box.high, box.low - 1, -1)]
    assert bits == list(range(8 * pattern.length - 1, -1, -1))
    fixed = {b for box in fields if set(box.text) <= {"0", "1"} for b in range(box.low, box.high + 1)}
    assert fixed == {bit for bit in bits if pattern.mask >> bit & 1}
    widths = {len(line) for line in drawing(pattern).splitlines()[1:4]}
    assert len(widths) == 1


def test_a_page_an_instruction_and_an_index(tmp_path: Path) -> None:
    result = run("--markdown", str(tmp_path / "isa"))
    assert result.exit_code == 0, result.output
    files = {path.name for path in (tmp_path / "isa").iterdir()}
    assert files == {f"{name}.md" for name in ISA.by_name} | {"README.md"}
    index = (tmp_path / "isa" / "README.md").read_text()
    assert all(f"]({name}.md)" in index for name in ISA.by_name)
    assert (tmp_path / "isa" / "addi.md").read_text() == page(ISA.by_name["addi"])


def test_a_page_says_what_the_manual_says() -> None:
    text = page(ISA.by_name["amoadd_w"])
    assert text.startswith("# amoadd.w\n\nExtension A.")
    assert "- `aq`: number; it goes from 0 to 1; has no effect" in text
    assert "aligned_for_store (isa/riscv64/atomic.py:" in text


def test_a_name_and_a_folder_together_are_refused(tmp_path: Path) -> None:
    result = run("add", "--markdown", str(tmp_path))
    assert isinstance(result.exception, UserError)
