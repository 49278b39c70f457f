"""The part that does nothing: a guest at its prompt, how much of a core it takes, and how much of the host's memory."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import linux_guest
from benchmarks.measure import MeasureError, cpu_of_descendants, is_service, processes_of
from benchmarks.report import HEADINGS
from benchmarks.session import Session, say
from benchmarks.sides import MEMORY_MIB, Guest

SETTLE_SECONDS, IDLE_SECONDS = 4.0, 10.0
IDLE_GOAL = 1.0
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ")


@dataclass
class Idle:
    """An idle guest on one side. core_percent: of one core. Memory in KiB, resident.

    monitor: the processes that run the guest, guest memory included. guest: what the guest has touched of its own.
    command: the process that was typed, where another runs the guest. service: the compile process, which is none of
    the guest's. error: why there are no figures.
    """

    core_percent: float = 0.0
    monitor: int = 0
    guest: int = 0
    command: int = 0
    service: int = 0
    error: str = ""

    @property
    def beyond(self) -> int:
        """KiB that the monitor needs beyond what the guest has touched."""
        return self.monitor - self.guest


def idle(session: Session, guest: Guest) -> dict[str, Idle]:
    """Boot as QEMU and as ours the second time; watch the prompt for a while."""
    found = {}
    for column in (column for column in session.monitors() if column in ("qemu", "warm")):
        try:
            found[column] = _watch(session, column, guest)
        except MeasureError as error:
            found[column] = Idle(error=str(error))
        say(f"{'idle':14} {column:12} {found[column].error or f'{found[column].core_percent:.2f} % of a core'}")
    return found


def _watch(session: Session, column: str, guest: Guest) -> Idle:
    if column == "warm":
        session.warm_up(guest)
    with session.start(column, guest) as run:
        linux_guest.boot(run)
        time.sleep(SETTLE_SECONDS)
        cpu, wall = cpu_of_descendants(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        percent = 100 * (cpu_of_descendants() - cpu) / (time.monotonic() - wall)
        result = Idle(percent)
        processes = processes_of(os.getpid())[1:]  # also what has left its parent
        others = [pid for pid in processes if not is_service(pid)]
        for pid in processes:
            resident, of_guest = resident_memory(Path(f"/proc/{pid}"))
            if pid not in others:
                result.service += resident if column != "qemu" else 0
            elif pid == run.pid and len(others) > 1:
                result.command = resident
            else:
                result.monitor += resident
                result.guest += of_guest
        linux_guest.power_off(run)
    return result


def resident_memory(process: Path) -> tuple[int, int]:
    """KiB resident of a process, and of these the guest's memory: the one mapping that is large enough to hold it.

    What such a mapping has more than the guest's memory counts as ours. Source: proc(5), smaps.
    """
    total = guest = surplus = 0
    for line in (process / "smaps").read_text().splitlines():
        if found := MAPPING.match(line):
            size = (int(found[2], 16) - int(found[1], 16)) // 1024
            surplus = size - MEMORY_MIB * 1024
        elif line.startswith("Rss:"):
            resident = int(line.split()[1])
            total += resident
            if 0 <= surplus < MEMORY_MIB * 1024:
                guest = max(guest, resident - surplus)
    return total, guest


def idle_table(found: dict[str, Idle]) -> str:
    """The figures as a Markdown table, a line a side."""
    lines = [
        "| idle at the prompt | % of a core | MiB resident | the guest's | beyond it | the command | compile service |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for column, side in found.items():
        if side.error:
            lines.append(f"| {HEADINGS[column]} | failed |  |  |  |  |  |")
            continue
        apart = (side.command, side.service)
        sizes = " | ".join(f"{size / 1024:.0f}" for size in (side.monitor, side.guest, side.beyond, *apart))
        lines.append(f"| {HEADINGS[column]} | {side.core_percent:.2f} | {sizes} |")
    return "\n".join(lines)


def verdicts(found: dict[str, Idle]) -> Iterator[str]:
    """A line for each goal that the figures tell of."""
    ours, theirs = found.get("warm"), found.get("qemu")
    if ours and not ours.error:
        word = "reached" if ours.core_percent < IDLE_GOAL else "not reached"
        yield f"idle, ours: {ours.core_percent:.2f} % of a core; goal less than {IDLE_GOAL:.0f}, {word}"
    if ours and theirs and not ours.error and not theirs.error:
        word = "reached" if ours.beyond <= theirs.beyond else "not reached"
        beyond = f"{ours.beyond / 1024:.0f} MiB beyond the guest's memory"
        yield f"idle, ours: {beyond}; goal at most QEMU's {theirs.beyond / 1024:.0f}, {word}"


def as_data(found: dict[str, Idle]) -> dict[str, dict[str, object]]:
    """The figures as plain data for JSON, by column."""
    return {column: {**asdict(side), "beyond": side.beyond} for column, side in found.items()}
