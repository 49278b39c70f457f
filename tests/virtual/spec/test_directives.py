import pytest

from guesthouse.virtual.spec.directives import DIRECTIVES, LARGEST, Output
from guesthouse.virtual.spec.syntax import AssemblySyntax


def output(final=True):
    return Output(0x1000, operators={}, final=final)


def put(out, word, *operands):
    DIRECTIVES[word](out, list(operands), AssemblySyntax())
    return bytes(out.section.data)


@pytest.mark.parametrize(
    ("word", "operands", "data"),
    [
        (".byte", ("1", "-128"), b"\x01\x80"),
        (".half", ("0x1234",), b"\x34\x12"),
        (".word", ("-1", ". + 1"), b"\xff\xff\xff\xff\x05\x10\0\0"),
        (".dword", ("1 << 63",), b"\0" * 7 + b"\x80"),
        (".ascii", ('"a"', '"b"'), b"ab"),
        (".string", ('"a"', '"b"'), b"a\0b\0"),
        (".skip", ("3", "7"), b"\7\7\7"),
        (".align", ("3",), b""),
    ],
)
def test_data(word, operands, data):
    assert put(output(), word, *operands) == data


def test_sizes_are_the_same_before_the_last_pass():
    for word, operands in ((".byte", ["1", "2"]), (".dword", ["1"]), (".zero", ["5"]), (".asciz", ['"abc"'])):
        early, late = output(final=False), output()
        put(early, word, *operands)
        put(late, word, *operands)
        assert early.section.size == late.section.size == len(late.section.data)


def test_sections_and_back():
    out = output()
    put(out, ".data")
    put(out, ".byte", "1")
    put(out, ".previous")
    assert (out.current, out.sections[".data"].size) == (".text", 1)
    put(out, ".section", ".mine", '"aw"')
    assert out.current == ".mine"


@pytest.mark.parametrize(
    ("word", "operands"),
    [
        (".zero", (str(LARGEST + 1),)),
        (".zero", ()),
        (".org", ("0",)),
        (".org", ("1", "2")),
        (".balign", ("0",)),
        (".balign", (str(1 << 40),)),
        (".align", ("1", "2", "3", "4")),
        (".set", ("a",)),
        (".section", ()),
        (".half", ("-32769",)),
    ],
)
def test_what_is_refused(word, operands):
    with pytest.raises(ValueError):
        put(output(), word, *operands)
