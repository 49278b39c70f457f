"""What we want to reach, in times QEMU's speed, and how far we are."""

from collections.abc import Iterator, Sequence

from benchmarks.report import HEADINGS, Row, geometric_mean, groups_of, least

# Of each group the geometric mean; no program of it may be slower than QEMU.
MEANS = {"integer": 2.0, "float": 4.0}
INTERPRETER_MEAN = 0.33
EACH = 1.0
# QEMU 7.2 flushes its TLB on each change of SUM, which later versions don't.
EACH_OF_SYSTEM = {"pipes": 6.0}
# From a cold cache as fast as QEMU; from a warm one in 0.4 of its time.
BOOT = {"cold": 1.0, "warm": 2.5}


def verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each goal that these rows tell of."""
    for group, members in groups_of(rows).items():
        for column in ("cold", "warm"):
            if group in MEANS:
                yield from _verdict(f"{group}, geometric mean", column, _mean(members, column), MEANS[group])
            if group in (*MEANS, "system"):
                yield from _each(group, members, column)
            if group == "boot":
                yield from _verdict("boot", column, least(row.speed(column) for row in members), BOOT[column])
    compute = [row for row in rows if row.group in MEANS]
    yield from _verdict("all programs, geometric mean", "interpreter", _mean(compute, "interpreter"), INTERPRETER_MEAN)


def _mean(rows: Sequence[Row], column: str) -> float | None:
    return geometric_mean(row.speed(column) for row in rows)


def _each(group: str, rows: Sequence[Row], column: str) -> Iterator[str]:
    measured = [(speed, row.name) for row in rows if (speed := row.speed(column)) is not None]
    below = [(speed, name) for speed, name in sorted(measured) if speed < EACH_OF_SYSTEM.get(name, EACH)]
    if measured:
        names = ", ".join(f"{name} {speed:.2f}" for speed, name in below) or "none"
        yield f"{group}, {HEADINGS[column]}: {len(below)} of {len(measured)} below what each must reach: {names}"


def _verdict(what: str, column: str, got: float | None, goal: float) -> Iterator[str]:
    if got is not None:
        word = "reached" if got >= goal else "not reached"
        yield f"{what}, {HEADINGS[column]}: {got:.2f} times QEMU's speed; goal {goal:.2f}, {word}"
