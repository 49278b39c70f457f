import random
import shutil
import subprocess

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.debian_relations import Relation, parse_clauses, parse_relations
from guesthouse.guest.debian_release import compare_versions

OPERATORS = ("<<", "<=", "=", ">=", ">>")
LETTERS = "019a~+.zA"


def test_clauses_have_alternatives_versions_and_architectures() -> None:
    assert parse_clauses("libc6 (>= 2.38), mawk | awk:any,\n perl (<< 5) [riscv64] <!nocheck>") == (
        (Relation("libc6", ">=", "2.38"),),
        (Relation("mawk"), Relation("awk")),
        (Relation("perl", "<<", "5"),),
    )
    assert parse_clauses("") == parse_clauses(" \n ") == ()
    assert parse_relations("a (= 1:2-3~x+b1), b") == (Relation("a", "=", "1:2-3~x+b1"), Relation("b"))
    assert str(Relation("a", ">=", "1")) == "a (>= 1)"
    assert parse_relations("a (< 1), b (> 2)") == (Relation("a", "<=", "1"), Relation("b", ">=", "2"))


@pytest.mark.parametrize("text", ["a (>= )", "a (1)", "a b", "a | | b", "_", "a (>= 1", "a (!= 1)"])
def test_what_is_no_relation_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="relation that is none"):
        parse_clauses(text)


def test_a_relation_allows_versions() -> None:
    allowed = {
        operator: [version for version in ("1", "2", "3") if Relation("a", operator, "2").allows(version)]
        for operator in OPERATORS
    }
    assert allowed == {"<<": ["1"], "<=": ["1", "2"], "=": ["2"], ">=": ["2", "3"], ">>": ["3"]}
    assert Relation("a").allows("0")


def test_what_is_provided_has_a_version_only_where_it_says_so() -> None:
    assert Relation("a").allows_provided(Relation("a"))
    assert not Relation("a", ">=", "1").allows_provided(Relation("a"))
    assert Relation("a", ">=", "1").allows_provided(Relation("a", "=", "1.1"))
    assert not Relation("a", ">=", "1").allows_provided(Relation("a", "=", "0"))


@pytest.mark.skipif(not shutil.which("dpkg"), reason="the oracle is Debian's dpkg")
def test_versions_are_ordered_as_dpkg_orders_them() -> None:
    choose = random.Random(1)

    def word(most: int) -> str:
        return "".join(choose.choice(LETTERS) for _ in range(choose.randrange(most)))

    def version() -> str:
        epoch = choose.choice(["", "", "", "0:", "1:", "12:"])
        revision = choose.choice(["", f"-{word(3)}0", f"-{word(3)}-1{word(2)}"])
        return f"{epoch}{choose.choice('0123')}{word(5)}{revision}"

    pairs = [(version(), version()) for _ in range(250)]
    pairs += [(first, first + choose.choice(["~", "0", "-0", "+", "a", ".0"])) for first, _ in pairs[:100]]
    ask = "dpkg --compare-versions '{0}' {2} '{1}' && echo {2}"
    script = "\n".join(ask.format(a, b, operator) for a, b in pairs for operator in ("lt", "eq", "gt"))
    expected = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False).stdout.split()
    order = {-1: "lt", 0: "eq", 1: "gt"}
    assert [order[compare_versions(a, b)] for a, b in pairs] == expected
    assert set(expected) == {"lt", "eq", "gt"}
