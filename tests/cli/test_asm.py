from pathlib import Path

from click.testing import CliRunner, Result

from guesthouse.cli.asm import command
from guesthouse.errors import UserError

PROGRAM = """
start:  li a0, 5
        add a1, a0, a0      # ten
        j start
.data
text:   .asciz "hi"
"""


def run(*arguments: str, text: str | bytes = PROGRAM) -> Result:
    return CliRunner().invoke(command, [*arguments], input=text)


def test_the_listing_shows_code_labels_and_data() -> None:
    result = run("-", "--base", "0x80000000")
    assert result.exit_code == 0, result.output
    assert "0000000080000000 <start>:" in result.output
    assert "80000000:  00500513  li      a0,5" in result.output
    assert "80000004:  00a505b3  add     a1,a0,a0" in result.output
    assert "80000008:  ff9ff06f  j       80000000 <start>" in result.output
    assert "8000000c:  68 69 00" in result.output and "hi." in result.output


def test_the_bytes_go_to_the_file(tmp_path: Path) -> None:
    out = tmp_path / "program.bin"
    result = run("-", "-o", str(out))
    assert result.exit_code == 0 and result.output == ""
    assert out.read_bytes() == bytes.fromhex("13055000 b305a500 6ff09fff 686900".replace(" ", ""))


def test_both_are_given_on_request(tmp_path: Path) -> None:
    source, out = tmp_path / "program.s", tmp_path / "program.bin"
    source.write_text("nop\n")
    result = run(str(source), "-o", str(out), "--listing")
    assert "00000013  nop" in result.output and out.read_bytes() == b"\x13\0\0\0"


def test_bytes_on_standard_output_stay_alone() -> None:
    result = run("-", "-o", "-", "--listing", text="nop\n")
    assert result.stdout_bytes == b"\x13\0\0\0"
    assert "nop" in result.stderr


def test_a_mistake_is_told_with_its_line() -> None:
    result = run("-", text="nop\nbad a0\n")
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith("Line 2: there is no instruction 'bad'")


def test_what_is_no_text_is_refused_in_a_sentence() -> None:
    result = run("-", text=b"\x7fELF\xff\xfe")
    assert isinstance(result.exception, UserError) and "is no text" in str(result.exception)


def test_a_bad_base_is_a_usage_error() -> None:
    result = run("-", "--base", "here")
    assert result.exit_code == 2 and "'here' is no address" in result.output
