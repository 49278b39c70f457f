import pytest

from guesthouse.errors import UserError
from guesthouse.guest.elf import parse_elf, section_bytes, symbols
from tests.guest.packages import elf


def test_segments_sections_and_symbols() -> None:
    data = elf([(0x1000, 0x2000, b"abcd", 8)], 0x1000, {"start": 0x1000, "end": 0x1008}, {".note": b"hello"})
    file = parse_elf(data)
    (program,) = file.programs
    assert (program.virtual, program.physical, program.file_size, program.memory_size) == (0x1000, 0x2000, 4, 8)
    assert section_bytes(data, file, ".note") == b"hello"
    assert section_bytes(data, file, ".missing") == b""
    assert symbols(data, file) == {"start": 0x1000, "end": 0x1008}


def test_another_class_is_refused() -> None:
    data = bytearray(elf())
    data[4] = 1
    with pytest.raises(UserError, match="64-bit"):
        parse_elf(bytes(data))


def test_a_table_outside_of_the_file_is_refused() -> None:
    data = elf([(0, 0, b"abcd", 4)])
    with pytest.raises(UserError, match="table"):
        parse_elf(data[:100])


def test_overlapping_names_do_not_multiply() -> None:
    """Many symbols that share one long name must not take more memory than the file."""
    data = elf([], 0, {"x" * 1000: 1}, {})
    file = parse_elf(data)
    table = next(section for section in file.sections if section.type == 2)
    entry = data[table.offset + 24 : table.offset + 48]
    many = elf(
        [], 0, None, {".symtab": entry * 500, ".strtab": b"\0" + b"".join(b"x" * 1000 + b"\0" for _ in range(2))}
    )
    found = symbols(many, parse_elf(many))
    assert sum(len(name) for name in found) <= len(many)
