"""The part that boots: CPU time to the shell's prompt, and what it was spent on."""

import statistics
import subprocess
import time
from collections.abc import Mapping

from benchmarks import linux_guest
from benchmarks.measure import Measurement, Run, cpu_of_descendants
from benchmarks.report import HEADINGS, Row
from benchmarks.session import Session, say
from benchmarks.sides import TRANSLATION_SECONDS, Guest

PHASE_PREFIX = "phase_seconds_"
GUEST_THREAD = "cpu_seconds"
Phases = dict[str, dict[str, float]]


def boot(session: Session, guest: Guest) -> tuple[list[Row], Phases]:
    """From the start of the process to the prompt of the guest's shell; and CPU seconds by phase, by column."""
    row = Row("boot of tiny", group="boot")
    phases: dict[str, list[dict[str, float]]] = {}

    def job(run: Run) -> Measurement:
        got = linux_guest.boot(run)
        run.send(b"poweroff\n")
        return got

    start = python_start(session) if not session.chosen.stand_in else 0.0
    for _ in range(session.chosen.runs):
        for column in session.monitors():
            total = session.measure(row, column, guest, job)
            if total is not None:
                stats = {} if column == "qemu" else session.ours.stats()
                phases.setdefault(column, []).append(phases_of(stats, total, start))
    return [row], {column: median_of(several) for column, several in phases.items()}


def python_start(session: Session) -> float:
    """CPU seconds of our shortest command: Python, and what it imports; the median of several."""
    times = []
    for _ in range(max(3, session.chosen.runs)):
        before = cpu_of_descendants()
        subprocess.run(session.ours.version(), env=dict(session.ours.environment()), capture_output=True, check=True)
        times.append(cpu_of_descendants() - before)
    return statistics.median(times)


def phases_of(stats: Mapping[str, float], total: float, start: float) -> dict[str, float]:
    """The CPU seconds of a run by phase, of which `total` is the sum and `start` what starting Python takes.

    Where the statistics have `phase_seconds`, these; else what they tell: the guest's thread, and translating.
    """
    told = {name.removeprefix(PHASE_PREFIX): value for name, value in stats.items() if name.startswith(PHASE_PREFIX)}
    if not stats:
        return {"all": total}
    if not told:
        told = {
            "guest's thread": stats.get(GUEST_THREAD, 0.0),
            "translating": stats.get(TRANSLATION_SECONDS, 0.0),
        }
    phases = {"Python start": start, **{name.replace("_", " "): value for name, value in told.items()}}
    return {**phases, "the rest": max(0.0, total - sum(phases.values()))}


def median_of(several: list[dict[str, float]]) -> dict[str, float]:
    """The median of each phase."""
    names = dict.fromkeys(name for phases in several for name in phases)
    return {name: statistics.median(phases.get(name, 0.0) for phases in several) for name in names}


def phase_lines(phases: Phases) -> str:
    """A line a column: its phases in CPU seconds."""
    return "\n".join(
        f"boot and power off, {HEADINGS[column]}: "
        + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
        for column, parts in phases.items()
    )


def hello(session: Session) -> list[dict[str, float]]:
    """CPU and wall seconds of `guesthouse run hello`, from start to end, each time."""
    times: list[dict[str, float]] = []
    if not session.ours.cache.exists():
        session.ours.empty_cache()
    for _ in range(session.chosen.runs):
        cpu, wall = cpu_of_descendants(), time.monotonic()
        command = session.ours.hello()
        done = subprocess.run(command, env=dict(session.ours.environment()), capture_output=True, check=False)
        if done.returncode != 0:
            say(f"`guesthouse run hello` ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
            return times
        times.append({"cpu": cpu_of_descendants() - cpu, "wall": time.monotonic() - wall})
        say(f"{'hello':14} {'':12} {times[-1]['cpu']:7.2f} s CPU {times[-1]['wall']:7.2f} s wall")
    return times
