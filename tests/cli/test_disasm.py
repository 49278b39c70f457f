import struct
from pathlib import Path

from click.testing import CliRunner, Result

from guesthouse.cli.disasm import command
from guesthouse.errors import UserError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def elf(code: bytes, address: int, machine: int = 243) -> bytes:
    """A minimal object: section .text with `code`, and a symbol `entry` at its beginning."""
    names, strings = b"\0.text\0.shstrtab\0.symtab\0", b"\0entry\0$x\0"
    symbols = bytes(24) + struct.pack("<IBBHQQIBBHQQ", *(1, 0x12, 0, 1, address, 4), *(7, 0, 0, 1, address, 0))
    parts, at = [], 64
    for part in (code, names, symbols, strings):
        parts.append((at, len(part)))
        at += len(part)
    header = struct.pack("<IIQQQQIIQQ", *([0] * 10))
    header += struct.pack("<IIQQQQIIQQ", 1, 1, 6, address, *parts[0], 0, 0, 4, 0)
    header += struct.pack("<IIQQQQIIQQ", 7, 3, 0, 0, *parts[1], 0, 0, 1, 0)
    header += struct.pack("<IIQQQQIIQQ", 17, 2, 0, 0, *parts[2], 4, 1, 8, 24)
    header += struct.pack("<IIQQQQIIQQ", 7, 3, 0, 0, *parts[3], 0, 0, 1, 0)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    first = struct.pack("<16sHHIQQQIHHHHHH", ident, 1, machine, 1, 0, 0, at, 0, 64, 0, 0, 64, 5, 2)
    return first + code + names + symbols + strings + header


def test_words_as_they_are_written() -> None:
    result = run("00a28293", "8082", "0x00b50533")
    assert result.exit_code == 0, result.output
    assert [line.split(None, 2)[2] for line in result.output.splitlines()] == [
        "add     t0,t0,10",
        "ret",
        "add     a0,a0,a1",
    ]


def test_base_is_the_address_of_the_first() -> None:
    result = run("0040006f", "--base", "0x80000000")
    assert result.output == "    80000000:  0040006f  j       0x80000004\n"


def test_real_instructions_on_request() -> None:
    assert run("00028513").output.split()[-2:] == ["mv", "a0,t0"]
    assert run("00028513", "--no-aliases").output.split()[-2:] == ["addi", "a0,t0,0"]


def test_undefined_bits_are_shown_as_data() -> None:
    assert ".4byte" in run("ffffffff").output or ".insn" in run("ffffffff").output


def test_a_file_of_bare_bytes(tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.write_bytes(bytes.fromhex("13000000 8280".replace(" ", "")))
    lines = run(str(path), "--base", "4096").output.splitlines()
    assert lines == ["        1000:  00000013  nop", "        1004:  8082      ret"]


def test_an_elf_file_at_its_own_address_with_its_names(tmp_path: Path) -> None:
    path = tmp_path / "object.o"
    path.write_bytes(elf(bytes.fromhex("13000000"), 0x8000_0000))
    result = run(str(path))
    assert result.output == "0000000080000000 <entry>:\n    80000000:  00000013  nop\n"


def test_an_elf_file_for_another_processor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "object.o"
    path.write_bytes(elf(b"\x90", 0, machine=62))
    result = run(str(path))
    assert isinstance(result.exception, UserError) and "machine 62" in str(result.exception)


def test_what_is_neither_file_nor_number_is_refused_in_a_sentence() -> None:
    for given in ("nothing.bin", "123", "00a2829300a28293"):
        result = run(given)
        assert isinstance(result.exception, UserError) and "neither a file nor an instruction" in str(result.exception)
