import pytest

from guesthouse.errors import UserError
from guesthouse.guest.symbols import FARTHEST, Symbols, read_symbols
from tests.virtual.machine.programs import assembled, elf_file

MAP = b"0000000000000000 A nothing\nffffffff80000000 T _start\nffffffff80000010 t inner\t[module]\n"


def test_an_address_belongs_to_the_symbol_before_it() -> None:
    found = Symbols([(0x20, "b"), (0x10, "a"), (0x10, "a_too"), (0x18, "$x"), (0x19, ".L5")])
    assert [found.find(address) for address in (0xF, 0x10, 0x1F, 0x20)] == [None, ("a", 0), ("a", 15), ("b", 0)]
    assert found.find(0x20 + FARTHEST) is None
    assert (len(found), found.address_of("b"), found.address_of("c")) == (2, 0x20, None)


def test_a_system_map() -> None:
    found = read_symbols(MAP, "System.map")
    assert found.find(0xFFFF_FFFF_8000_000F) == ("_start", 15)
    assert found.find(0xFFFF_FFFF_8000_0010) == ("inner", 0)
    assert len(found) == 2


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(UserError, match=r"x is neither an ELF file nor a System\.map"):
        read_symbols(b"\x00\x01binary", "x")
    with pytest.raises(UserError, match="x names no symbols"):
        read_symbols(b"", "x")


def test_an_elf_file() -> None:
    program = assembled("_start: nop\nloop: j loop\n")
    found = read_symbols(elf_file(program), "program")
    assert found.find(program.symbols["loop"] + 1) == ("loop", 1)
