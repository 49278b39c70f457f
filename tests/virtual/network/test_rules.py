"""Egress rules and forwarded ports as people write them."""

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.network.addresses import packed
from guesthouse.virtual.network.plan import Forward, parse_forward
from guesthouse.virtual.network.rules import EgressRule, Rules, matches, parse_rule
from guesthouse.virtual.network.stack import parse_resolver


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("deny any", EgressRule("deny")),
        ("allow 10.1.2.3", EgressRule("allow", network="10.1.2.3/32")),
        ("allow 10.1.2.3/8 22", EgressRule("allow", network="10.0.0.0/8", first_port=22, last_port=22)),
        ("deny fd00::/8 1-99/udp", EgressRule("deny", "fd00::/8", "", 1, 99, "udp")),
        ("allow *.Example.org. /tcp", EgressRule("allow", "", "*.example.org", 0, 65535, "tcp")),
        ("allow any /icmp", EgressRule("allow", protocol="icmp")),
    ],
)
def test_rules_are_read(text: str, rule: EgressRule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    ["", "allow", "permit any", "allow any 1 2", "allow any x", "allow any 9-1", "allow any 70000", "allow any 1/sctp",
     "allow a..b", "allow 10.0.0.0/40", "allow 300.1.1.1", "allow b\u00fccher.example", "allow * 1", "allow any 1-"],
)  # fmt: skip
def test_what_is_no_rule_gets_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"write it like|take tcp"):
        parse_rule(text)


def test_the_first_rule_that_fits_decides() -> None:
    rules = Rules([parse_rule(text) for text in ("deny any 25", "allow 10.0.0.0/8", "deny 10.0.0.0/7 1-100/tcp")])
    assert not rules.allows("tcp", packed("10.0.0.1"), 25, [])
    assert rules.allows("tcp", packed("10.0.0.1"), 26, [])
    assert not rules.allows("tcp", packed("11.0.0.1"), 26, [])
    assert rules.allows("udp", packed("11.0.0.1"), 26, [])
    assert rules.allows("tcp", packed("11.0.0.1"), 101, [])
    assert rules.allows("icmp", packed("11.0.0.1"), 0, [])


def test_patterns() -> None:
    assert matches("*.example.org", "a.b.example.org")
    assert not matches("*.example.org", "example.org")
    assert not matches("*.example.org", "badexample.org")
    assert matches("example.org", "example.org")


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("2222:22", Forward(2222, 22)),
        ("0.0.0.0:80:8080", Forward(80, 8080, "0.0.0.0")),
        ("[::]:53:53/udp", Forward(53, 53, "::", "udp")),
        ("0:22/tcp", Forward(0, 22)),
    ],
)
def test_forwards_are_read(text: str, forward: Forward) -> None:
    assert parse_forward(text) == forward


@pytest.mark.parametrize(
    "text", ["", "22", "a:22", "1:2:3:4", "22:0", "70000:1", "1:2/sctp", "localhost:1:2", ":::", "1:-2"]
)
def test_what_is_no_forward_gets_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"write it|take tcp"):
        parse_forward(text)


def test_resolvers_are_read() -> None:
    assert parse_resolver("::1#5353") == (packed("::1"), 5353)
    assert parse_resolver("9.9.9.9") == (packed("9.9.9.9"), 53)
    with pytest.raises(UserError):
        parse_resolver("dns.example.org")
