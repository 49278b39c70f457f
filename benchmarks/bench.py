"""Measures Guesthouse against qemu-system-riscv64: the same work, in turn, in CPU time. Run by `make bench`."""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import boots, compute, idle, linux_guest, plot, report, smp
from benchmarks.goals import verdicts
from benchmarks.measure import adopt_orphans
from benchmarks.options import options
from benchmarks.report import Row
from benchmarks.session import Session, say
from benchmarks.sides import QEMU, Guest
from guesthouse.version import __version__


class Results:
    """What was measured: rows by part, and what has no rows. Each part's table is printed as it ends."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Row]] = {}
        self.phases: boots.Phases = {}
        self.idle: dict[str, idle.Idle] = {}
        self.smp = smp.Scaling()
        self.hello: list[dict[str, float]] = []
        self.between: dict[str, float] = {}

    def add(self, part: str, title: str, rows: list[Row], mean: bool = True) -> None:
        """Keep and print the rows of a part."""
        if not rows:
            return
        self.parts[part] = rows
        print(report.table(title, rows, mean) + "\n", flush=True)
        for line in verdicts(rows):
            print(line, flush=True)
        print(flush=True)

    def note_between(self, part: str, session: Session) -> None:
        """Tell what our compile service did between the runs of a part: it is in no run's time."""
        self.between[part] = session.between
        print(f"{part}, between the runs, for the next time: {session.between:.2f} s of CPU time in all\n", flush=True)
        session.between = 0.0

    def failures(self) -> list[str]:
        """One sentence for each thing that couldn't be measured."""
        found = [text for rows in self.parts.values() for text in report.errors(rows)]
        found += [f"idle, {column}: {side.error}" for column, side in self.idle.items() if side.error]
        return found + self.smp.errors

    def write(self, chosen: argparse.Namespace) -> None:
        """Write `--output` as JSON, and the pictures of the programs and of the boot as SVG."""
        data = {
            "conditions": conditions(chosen),
            "summary": {name: report.summary(rows) for name, rows in self.parts.items()},
            **{name: report.as_data(rows) for name, rows in self.parts.items()},
            "phases": self.phases,
            "idle": idle.as_data(self.idle),
            "smp": asdict(self.smp),
            "hello": self.hello,
            "between_runs": self.between,
        }
        output: Path = chosen.output
        output.parent.mkdir(parents=True, exist_ok=True)
        output.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
        drawn = self.parts.get("linux") or self.parts.get("programs")
        if drawn:
            output.with_suffix(".svg").write_text(plot.bars([*drawn, *self.parts.get("system", [])]))
        if self.phases:
            output.with_name(f"{output.name}-boot.svg").write_text(plot.stacks(self.phases))


def conditions(chosen: argparse.Namespace) -> dict[str, object]:
    """What the figures depend on."""
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d"),
        "guesthouse": "QEMU in its place" if chosen.stand_in else __version__,
        "qemu": version.splitlines()[0],
        "python": platform.python_version(),
        "processor": found.group(1) if found else platform.machine(),
        "runs": chosen.runs,
        "scale": chosen.scale,
        "engine": chosen.engine,
    }


def guest_to_boot(session: Session) -> Guest | None:
    """The Linux guest, where a part needs it; None, and a word about it, where it isn't there."""
    chosen = session.chosen
    if not chosen.smp and not {"linux", "boot", "idle"} & set(chosen.parts):
        return None
    guest = linux_guest.tiny_guest(chosen.kernel, chosen.initrd, session.folder)
    if guest is None:
        say("Image tiny isn't in your store, so nothing is booted; get it with: guesthouse pull tiny")
    return guest


def run_parts(session: Session) -> Results:
    """Measure every part that was asked for."""
    results, parts = Results(), session.chosen.parts
    guest = guest_to_boot(session)
    if "programs" in parts:
        results.add("programs", "program on the bare board", compute.bare_metal(session))
    if guest and "linux" in parts:
        rows = compute.in_linux(session, guest)
        results.add("linux", "program in Linux", [row for row in rows if row.group != "system"])
        results.add("system", "work for the kernel", [row for row in rows if row.group == "system"], mean=False)
        results.note_between("linux", session)
    if guest and "boot" in parts:
        rows, results.phases = boots.boot(session, guest)
        results.add("boot", "Linux", rows, mean=False)
        print(boots.phase_lines(results.phases) + "\n", flush=True)
        results.note_between("boot", session)
    if guest and "idle" in parts:
        results.idle = idle.idle(session, guest)
        print("\n".join([idle.idle_table(results.idle), "", *idle.verdicts(results.idle)]) + "\n", flush=True)
    if guest and session.chosen.smp:
        results.smp = smp.smp(session, guest)
        print(smp.smp_table(results.smp) + "\n", flush=True)
    if "hello" in parts:
        results.hello = boots.hello(session)
        walls = sorted(each["wall"] for each in results.hello)
        if walls:
            print(f"guesthouse run hello: {walls[len(walls) // 2]:.2f} s in all (wall, median)")
    return results


def main() -> int:
    """Measure, print the tables, write the results; the status is 1 where a measurement failed."""
    chosen = options()
    if shutil.which(QEMU) is None:
        say(f"There is no {QEMU} to compare with. Install it: apt-get install qemu-system-misc")
        return 2
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="guesthouse-bench-") as scratch:
        session = Session(chosen, Path(scratch))
        session.ours.build_native_parts()
        session.ours.start_service()
        results = run_parts(session)
        session.wait_for_service()  # it writes to the scratch folder
    results.write(chosen)
    failures = results.failures()
    for text in failures:
        say(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
