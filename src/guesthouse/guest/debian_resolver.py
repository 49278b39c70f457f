"""Chooses the packages that together make a system, and the order in which they are installed.

The rules are Debian Policy's chapter 7. Like apt, of alternatives the first that can be installed is taken, unless
another is chosen already; unlike apt, a choice that leads to a conflict is taken back. Recommends are not followed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.debian_packages import Candidate, PackageList
from guesthouse.guest.debian_relations import Clause, Relation

STEPS = 100_000
"""Clauses that are looked at before a package list counts as unsolvable: choices multiply."""


class _Choice(msgspec.Struct):
    """A point to come back to: what was chosen and open before it, and the other ways from there."""

    chosen: int
    pending: list[tuple[str, Clause]]
    ways: list[Candidate]


def resolve(packages: PackageList, wanted: Sequence[str], without: Iterable[str] = ()) -> list[Candidate]:
    """The wanted packages (by name or as "name (>= 1)") and all that they need, in the order they were chosen.

    `without` names packages that are not to be chosen for an alternative. Raises UserError where there is no solution.
    """
    return _Resolution(packages, frozenset(without)).solve(wanted)


class _Resolution:
    """A search, depth first, that remembers the points where there were several ways."""

    def __init__(self, packages: PackageList, without: frozenset[str]) -> None:
        self._packages = packages
        self._without = without
        self._chosen: dict[str, Candidate] = {}
        self._pending: list[tuple[str, Clause]] = []
        self._choices: list[_Choice] = []
        self._failure = ""

    def solve(self, wanted: Sequence[str]) -> list[Candidate]:
        """See `resolve`."""
        clauses = [(Relation(name),) for name in wanted]
        self._pending = [("the system", clause) for clause in reversed(clauses)]
        for _ in range(STEPS):
            if not self._pending:
                return list(self._chosen.values())
            by, clause = self._pending.pop()
            if any(self._has(relation) for relation in clause):
                continue
            ways = self._ways(clause)
            if ways:
                self._take(ways)
            else:
                self._failure = self._failure or f"{by} needs {' | '.join(map(str, clause))}"
                self._step_back()
        raise UserError(f"The mirror's packages don't fit together ({self._failure}); use another mirror.")

    def _has(self, relation: Relation) -> bool:
        named = self._chosen.get(relation.name)
        if named and named.satisfies(relation):
            return True
        return any(
            candidate.name in self._chosen and self._chosen[candidate.name] == candidate
            for candidate in self._packages.satisfying(relation)
        )

    def _ways(self, clause: Clause) -> list[Candidate]:
        """The packages that would satisfy it beside those that are chosen, the best first."""
        found: dict[str, Candidate] = {}
        for relation in clause:
            for candidate in self._packages.satisfying(relation):
                if candidate.name not in self._without and self._fits(candidate):
                    found.setdefault(candidate.name, candidate)
        return list(found.values())

    def _fits(self, candidate: Candidate) -> bool:
        if candidate.name in self._chosen:
            return False
        others = self._chosen.values()
        if candidate.against and any(candidate.excludes(other) for other in others):
            return False
        return not any(other.against and other.excludes(candidate) for other in others)

    def _take(self, ways: list[Candidate]) -> None:
        best, *others = ways
        if others:
            self._choices.append(_Choice(len(self._chosen), list(self._pending), others))
        self._add(best)

    def _add(self, candidate: Candidate) -> None:
        self._chosen[candidate.name] = candidate
        self._pending += [(candidate.name, clause) for clause in reversed(candidate.needs)]

    def _step_back(self) -> None:
        """Take the last choice back and go another way; raises UserError where there is none left."""
        if not self._choices:
            raise UserError(f"The mirror's packages don't fit together ({self._failure}); use another mirror.")
        choice = self._choices[-1]
        self._chosen = dict(list(self._chosen.items())[: choice.chosen])
        self._pending = list(choice.pending)
        self._add(choice.ways.pop(0))
        if not choice.ways:
            self._choices.pop()


def install_order(chosen: Sequence[Candidate]) -> list[Candidate]:
    """The same packages, each behind those that it needs; where they need each other, Pre-Depends count for more.

    A cycle is cut at the need that closes it, as dpkg does; without cycles the order is exact.
    """
    known: dict[str, list[Candidate]] = {}
    for candidate in chosen:
        for name in {candidate.name, *(given.name for given in candidate.provides)}:
            known.setdefault(name, []).append(candidate)
    placed: dict[str, Candidate] = {}
    for root in chosen:
        _place(root, known, placed)
    return list(placed.values())


def _place(root: Candidate, known: Mapping[str, list[Candidate]], placed: dict[str, Candidate]) -> None:
    """Put a package behind what it needs, depth first without recursion: chains may be long."""
    if root.name in placed:
        return
    begun = {root.name}
    stack = [(root, _needed(root, known))]
    while stack:
        candidate, needed = stack[-1]
        following = next((other for other in needed if other.name not in placed and other.name not in begun), None)
        if following:
            begun.add(following.name)
            stack.append((following, _needed(following, known)))
        else:
            placed[candidate.name] = candidate
            stack.pop()


def _needed(candidate: Candidate, known: Mapping[str, list[Candidate]]) -> Iterator[Candidate]:
    """The chosen packages that satisfy its clauses, Pre-Depends first; `known` has them by what they are called."""
    for clause in candidate.needs:
        for relation in clause:
            found = next((other for other in known.get(relation.name, ()) if other.satisfies(relation)), None)
            if found:
                yield found
                break
