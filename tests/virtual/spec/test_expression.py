import pytest

from guesthouse.virtual.spec.expression import evaluate


class Scope:
    def symbol(self, name):
        if name not in ("here", ".", "1f", "a.b$c"):
            raise ValueError(f"'{name}' is not defined")
        return 100

    def apply(self, operator, value):
        return value & 0xFFF if operator == "lo" else 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("1 << 4 | 1", 17),
        ("6 & 3 ^ 1", 3),
        ("~0", -1),
        ("- - 5", 5),
        ("0x1F + 0b101 + 010 + 'A' + '\\n'", 31 + 5 + 8 + 65 + 10),
        ("here - . + 1f + a.b$c", 200),
        ("%lo(here * 100) + 1", (10000 & 0xFFF) + 1),
        ("7 % (3)", 1),
        ("256>>4>>1", 8),
    ],
)
def test_values(text, value):
    assert evaluate(text, Scope()) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing"),
        ("1 +", "ends too early"),
        ("1 2", "cannot read '2'"),
        ("(1", r"'\)' is missing"),
        ("1 / (2 - 2)", "divides by zero"),
        ("1 << 65", "shifts by 65"),
        ("1 >> -1", "shifts by -1"),
        ("* 3", "cannot stand there"),
        ("@", "cannot read '@'"),
        ("nowhere", "not defined"),
        ("09", "invalid"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ValueError, match=message):
        evaluate(text, Scope())
