import pytest

from guesthouse.virtual.spec.statement import Statement, statements, string


def test_labels_words_and_operands():
    assert list(statements("a: b: ADD x1, 4 ( x2 ) ,y # note\n1:\n")) == [
        Statement(1, ("a", "b"), "add", ("x1", "4 ( x2 )", "y")),
        Statement(2, ("1",), "", ()),
    ]


def test_comments_of_all_kinds_keep_the_lines():
    text = "/* one\ntwo */ nop // x\nli a0, '#' ; .ascii \"# // /* ; ,\" # y\nret"
    assert [(s.line, s.word, s.operands) for s in statements(text)] == [
        (2, "nop", ()),
        (3, "li", ("a0", "'#'")),
        (3, ".ascii", ('"# // /* ; ,"',)),
        (4, "ret", ()),
    ]


def test_assignments_are_set():
    assert next(statements("x = 1 << 2, 3")) == Statement(1, (), ".set", ("x", "1 << 2, 3"))


def test_strings():
    assert string(r'"a\n\t\0\x41\101\\\"é"') == b'a\n\t\x00AA\\"' + "é".encode()


@pytest.mark.parametrize("text", ["", "abc", '"', "'a'"])
def test_what_is_no_string(text):
    with pytest.raises(ValueError, match="is not a string"):
        string(text)
