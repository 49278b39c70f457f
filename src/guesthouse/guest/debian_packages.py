"""A package list as something to look packages up in: by name, and by what they provide.

Only the packages that are asked for are parsed: a list has some seventy thousand of them.
"""

import re
from bisect import bisect_right
from functools import cmp_to_key

import msgspec

from guesthouse.guest.debian_relations import Clause, Relation, parse_clauses, parse_relations
from guesthouse.guest.debian_release import Package, compare_versions, parse_package, parse_stanza

_NAME = re.compile(rb"^Package: (\S+)$", re.MULTILINE)
_PROVIDES = re.compile(rb"^Provides: (.+)$", re.MULTILINE)
_ESSENTIAL = re.compile(rb"^Essential: yes$", re.MULTILINE)
_PRIORITIES = ("required", "important", "standard", "optional", "extra")


class Candidate(msgspec.Struct, frozen=True):
    """A package that might be installed, with its relations; `rank` counts its priority, 0 for "required"."""

    package: Package
    essential: bool
    rank: int
    pre_depends: tuple[Clause, ...]
    depends: tuple[Clause, ...]
    provides: tuple[Relation, ...]
    against: tuple[Relation, ...]
    """Conflicts and Breaks together: what can't be installed beside it."""

    @property
    def name(self) -> str:
        """The package's name."""
        return self.package.name

    @property
    def version(self) -> str:
        """The package's version."""
        return self.package.version

    @property
    def needs(self) -> tuple[Clause, ...]:
        """All that must be installed with it."""
        return self.pre_depends + self.depends

    def satisfies(self, relation: Relation) -> bool:
        """Whether a relation means this package, by its name or by what it provides."""
        if self.name == relation.name:
            return relation.allows(self.version)
        return any(given.name == relation.name and relation.allows_provided(given) for given in self.provides)

    def excludes(self, other: "Candidate") -> bool:
        """Whether it declares that the other one can't be there; nothing conflicts with itself."""
        return self.name != other.name and any(other.satisfies(relation) for relation in self.against)


@cmp_to_key
def _age(one: Candidate, other: Candidate) -> int:
    """Orders the newest first."""
    return compare_versions(other.version, one.version)


class PackageList:
    """The packages of an index (bytes, as `debian_release.unpack_index` gives them)."""

    def __init__(self, index: bytes) -> None:
        self._index = index
        self._starts: list[int] = []
        self._places: dict[str, list[int]] = {}
        self._parsed: dict[str, tuple[Candidate, ...]] = {}
        self._providers: dict[str, set[str]] = {}
        for match in _NAME.finditer(index):
            self._starts.append(match.start())
            self._places.setdefault(match[1].decode("utf-8", "replace"), []).append(match.start())
        for match in _PROVIDES.finditer(index):
            owner = self._owner(match.start())
            for given in parse_relations(match[1].decode("utf-8", "replace")):
                self._providers.setdefault(given.name, set()).add(owner)

    def _owner(self, position: int) -> str:
        """The package whose entry holds this byte: `Package` is the first field of an entry."""
        number = bisect_right(self._starts, position) - 1
        return parse_stanza(self._entry(self._starts[number]).partition("\n")[0])["Package"] if number >= 0 else ""

    def _entry(self, start: int) -> str:
        """The text of the entry that begins there."""
        end = self._index.find(b"\n\n", start)
        return self._index[start : end if end >= 0 else len(self._index)].decode("utf-8", "replace")

    def versions(self, name: str) -> tuple[Candidate, ...]:
        """All packages of that name, newest first; none where the list has none."""
        if name not in self._parsed:
            found = [_candidate(parse_stanza(self._entry(start))) for start in self._places.get(name, ())]
            self._parsed[name] = tuple(sorted(found, key=_age))
        return self._parsed[name]

    def essentials(self) -> list[Candidate]:
        """The newest of each package that no system can do without (Policy 3.8), by name."""
        names = sorted({self._owner(match.start()) for match in _ESSENTIAL.finditer(self._index)})
        return [self.versions(name)[0] for name in names if self.versions(name)[0].essential]

    def of_priority(self, priority: str) -> list[Candidate]:
        """The newest of each package of that priority, by name."""
        found = re.finditer(rb"^Priority: %s$" % priority.encode(), self._index, re.MULTILINE)
        return [self.versions(name)[0] for name in sorted({self._owner(match.start()) for match in found})]

    def satisfying(self, relation: Relation) -> list[Candidate]:
        """What a relation may mean, the best first: packages of its name, newest first, then providers by priority."""
        named = [candidate for candidate in self.versions(relation.name) if candidate.satisfies(relation)]
        providers = sorted(self._providers.get(relation.name, set()) - {relation.name})
        others = [candidate for name in providers for candidate in self.versions(name) if candidate.satisfies(relation)]
        return named + sorted(others, key=lambda candidate: candidate.rank)


def _candidate(fields: dict[str, str]) -> Candidate:
    package = parse_package(fields)
    rank = _PRIORITIES.index(fields["Priority"]) if fields.get("Priority") in _PRIORITIES else len(_PRIORITIES)
    return Candidate(
        package=package,
        essential=fields.get("Essential") == "yes",
        rank=rank,
        pre_depends=parse_clauses(fields.get("Pre-Depends", "")),
        depends=parse_clauses(package.depends),
        provides=parse_relations(fields.get("Provides", "")),
        against=parse_relations(",".join(filter(None, (fields.get("Conflicts"), fields.get("Breaks"))))),
    )
