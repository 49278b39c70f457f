"""The part with several guest CPUs: the same work shared by as many threads, in wall time (`--smp 2,4,8`)."""

import statistics
from dataclasses import dataclass, field, replace

from benchmarks import linux_guest, programs
from benchmarks.measure import MeasureError, Measurement, Run, between_marks
from benchmarks.programs import LINUX, NATIVE, BuildError
from benchmarks.report import HEADINGS
from benchmarks.session import BUILD, Session, say
from benchmarks.sides import Guest

ROUNDS = 20_000
NATIVE_TIMES = 2


@dataclass
class Scaling:
    """Wall seconds for the same work, by column and number of CPUs, and what went wrong."""

    wall: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def note(self, column: str, cpus: int, got: Measurement) -> None:
        """Add one run."""
        self.wall.setdefault(column, {}).setdefault(cpus, []).append(got.wall)
        say(f"{'threads':14} {column:12} {cpus} CPUs {got.wall:7.2f} s wall")

    def scaling(self, column: str, cpus: int) -> float | None:
        """How many times faster than one CPU."""
        by_cpus = self.wall.get(column, {})
        if not by_cpus.get(1) or not by_cpus.get(cpus):
            return None
        return statistics.median(by_cpus[1]) / statistics.median(by_cpus[cpus])


def smp(session: Session, guest: Guest) -> Scaling:
    """Run the threads on 1 CPU and on each number that was asked for, natively, on QEMU and on ours."""
    result = Scaling()
    try:
        linux, native = (programs.build_tool("threads", BUILD, target) for target in (LINUX, NATIVE))
    except BuildError as error:
        result.errors.append(str(error))
        return result
    rounds = max(1, round(ROUNDS * session.chosen.scale))
    loaded = linux_guest.add_programs(guest, {"threads": linux}, session.folder)
    failed: set[tuple[str, int]] = set()
    for _ in range(session.chosen.runs):
        for cpus in (1, *session.chosen.smp):
            for column in ("native", "qemu", "warm"):
                if column not in session.chosen.columns or (column, cpus) in failed:
                    continue
                try:
                    if column == "native":
                        with Run([str(native), str(cpus), str(rounds * NATIVE_TIMES)]) as run:
                            got = between_marks(run, "threads")
                    else:
                        got = _in_guest(session, column, replace(loaded, cpus=cpus), f"/bench/threads {cpus} {rounds}")
                    result.note(column, cpus, got)
                except MeasureError as error:
                    failed.add((column, cpus))
                    result.errors.append(f"threads, {HEADINGS[column]}, {cpus} CPUs: {error}")
    return result


def _in_guest(session: Session, column: str, guest: Guest, command: str) -> Measurement:
    if column == "warm":
        session.warm_up(guest)
    with session.start(column, guest) as run:
        linux_guest.boot(run)
        got = linux_guest.run_programs(run, {"threads": command}, session.chosen.timeout)["threads"]
    if isinstance(got, MeasureError):
        raise got
    return got


def smp_table(result: Scaling) -> str:
    """Times faster than one CPU, a line a number of CPUs."""
    columns = list(result.wall)
    counts = sorted({cpus for by_cpus in result.wall.values() for cpus in by_cpus if cpus > 1})
    lines = ["| CPUs | " + " | ".join(f"{HEADINGS[column]}, times one CPU's speed" for column in columns) + " |"]
    lines.append("| --: |" + " --: |" * len(columns))
    for cpus in counts:
        told = [result.scaling(column, cpus) for column in columns]
        lines.append(f"| {cpus} | " + " | ".join("" if one is None else f"{one:.2f}" for one in told) + " |")
    return "\n".join(lines)
