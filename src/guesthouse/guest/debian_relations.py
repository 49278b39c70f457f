"""Relations between Debian packages: `libc6 (>= 2.38), mawk | awk` as data, and whether a package satisfies one.

Source: Debian Policy chapter 7 (declaring relationships), deb-control(5).
"""

import re

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.debian_release import compare_versions

_RELATION = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9.+-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.+~:-]*)\s*\))?"
    r"(?:\s*\[[^\]]*\])?(?:\s*<[^>]*>)*"
)
_OBSOLETE = {"<": "<=", ">": ">="}
"""What Policy 7.1 says that the old one-character operators mean."""


class Relation(msgspec.Struct, frozen=True):
    """A package that is meant: by name, and by version where `operator` ("<<", "<=", "=", ">=", ">>") is not ""."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name

    def allows(self, version: str) -> bool:
        """Whether a package of this name in this version is meant."""
        if not self.operator:
            return True
        order = compare_versions(version, self.version)
        return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[self.operator]

    def allows_provided(self, provided: "Relation") -> bool:
        """Whether what another package provides under this name is meant; without a version it is no version at all."""
        return not self.operator or (provided.operator == "=" and self.allows(provided.version))


Clause = tuple[Relation, ...]
"""Alternatives, the best first; one of them must be there."""


def parse_clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a field such as Depends, all of which must hold. Raises UserError for what is no relation."""
    return tuple(
        tuple(_relation(part) for part in clause.split("|"))
        for clause in text.split(",")
        if clause and not clause.isspace()
    )


def parse_relations(text: str) -> tuple[Relation, ...]:
    """The relations of a field without alternatives, such as Provides or Conflicts."""
    return tuple(relation for clause in parse_clauses(text) for relation in clause)


def _relation(text: str) -> Relation:
    match = _RELATION.fullmatch(text.strip())
    if not match:
        raise UserError(f"The package list holds a relation that is none ({text.strip()[:80]!r}); use another mirror.")
    operator = match["operator"] or ""
    return Relation(match["name"], _OBSOLETE.get(operator, operator), match["version"] or "")
