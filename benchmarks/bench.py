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
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import linux_guest, plot, programs, report
from benchmarks.measure import MeasureError, Measurement, Run, adopt_orphans, between_marks, cpu_of_descendants
from benchmarks.report import COLUMNS, Row
from benchmarks.sides import (
    QEMU,
    TRANSLATION_COST,
    TRANSLATION_SECONDS,
    Guest,
    Ours,
    StandIn,
    our_program,
    qemu_command,
)
from guesthouse.version import __version__

HERE = Path(__file__).resolve().parent
PARTS = ("programs", "linux", "boot", "hello")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--parts", default="programs,boot,hello", help=f"what to measure, of {','.join(PARTS)}")
    parser.add_argument("--programs", default="", help="only these programs, separated by commas")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="only these columns, separated by commas")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each, of which the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual rounds of each program")
    parser.add_argument("--engine", default="auto", help="our engine in the columns cold and warm")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a run is given up")
    parser.add_argument("--kernel", type=Path, help="the kernel to boot instead of image tiny's")
    parser.add_argument("--initrd", type=Path, help="the initrd to boot instead of image tiny's")
    parser.add_argument("--output", type=Path, default=HERE / "results/latest", help="results, without .json and .svg")
    parser.add_argument("--stand-in", action="store_true", help="QEMU in our place: tests the benchmark itself")
    chosen = parser.parse_args(arguments)
    for name, known in (("parts", PARTS), ("columns", COLUMNS), ("programs", programs.PROGRAMS)):
        asked = [word for word in getattr(chosen, name).split(",") if word] or list(known)
        if unknown := set(asked) - set(known):
            parser.error(f"--{name}: there is no {', '.join(sorted(unknown))}; choose of {', '.join(known)}")
        setattr(chosen, name, asked)
    return chosen


class Bench:
    """One run of the benchmark: the two sides, a scratch folder, and what was asked for."""

    def __init__(self, chosen: argparse.Namespace, folder: Path):
        self.chosen = chosen
        self.folder = folder
        self.ours: Ours = StandIn([], folder) if chosen.stand_in else Ours(our_program(), folder)

    def measure(self, row: Row, column: str, guest: Guest, job: Callable[[Run], Measurement]) -> None:
        """Run `guest` once as `column` wants it, do `job` on it, and note the result in `row`."""
        cell = row.cell(column)
        if cell.error:
            return
        try:
            with self.start(column, guest) as run:
                got = job(run)
                if status := run.finish():
                    raise MeasureError(f"ended with status {status} after its work")
        except MeasureError as error:
            cell.error = str(error)
            say(f"{row.name:14} {column:12} failed: {error}")
            return
        cell.cpu.append(got.cpu)
        cell.wall.append(got.wall)
        if column == "cold":
            self.note_translation(row)
        say(f"{row.name:14} {column:12} {got.cpu:7.2f} s CPU {got.wall:7.2f} s wall")

    def start(self, column: str, guest: Guest) -> Run:
        """Start `guest`: on QEMU, or on ours with the cache emptied (cold) or as the last run left it."""
        if column == "qemu":
            return Run(qemu_command(guest), timeout=self.chosen.timeout)
        if column == "cold" or not self.ours.cache.exists():
            self.ours.empty_cache()
        engine = "interpreter" if column == "interpreter" else self.chosen.engine
        return Run(self.ours.command(guest, engine), self.ours.environment(), self.chosen.timeout)

    def note_translation(self, row: Row) -> None:
        """Note what the last run of ours says its translations cost."""
        stats = self.ours.stats()
        if TRANSLATION_COST in stats:
            row.translation_us.append(stats[TRANSLATION_COST])
        if TRANSLATION_SECONDS in stats:
            row.translation_seconds.append(stats[TRANSLATION_SECONDS])

    def bare_metal(self) -> list[Row]:
        """The compute programs on the bare board."""
        rows = []
        for name in (name for name in self.chosen.programs if name not in programs.LINUX_ONLY):
            elf = programs.build_bare_metal(name, HERE / "build", self.chosen.scale)
            row = Row(name)
            for _ in range(self.chosen.runs):
                for column in self.chosen.columns:
                    self.measure(row, column, Guest(firmware=elf), partial(between_marks, name=name))
            rows.append(row)
        return rows

    def boot(self, guest: Guest) -> list[Row]:
        """From the start of the process to the prompt of the guest's shell."""
        row = Row("boot of tiny")

        def job(run: Run) -> Measurement:
            got = linux_guest.boot(run)
            run.send(b"poweroff\n")
            return got

        for _ in range(self.chosen.runs):
            for column in self.chosen.columns:
                self.measure(row, column, guest, job)
        return [row]

    def in_linux(self, guest: Guest) -> list[Row]:
        """The same programs as Linux programs, all in one guest."""
        built = {name: programs.build_linux(name, HERE / "build", self.chosen.scale) for name in self.chosen.programs}
        guest = linux_guest.add_programs(guest, built, self.folder)
        rows = {name: Row(name) for name in built}
        for _ in range(self.chosen.runs):
            for column in self.chosen.columns:
                with self.start(column, guest) as run:
                    try:
                        linux_guest.boot(run)
                        results = linux_guest.run_programs(run, list(built))
                    except MeasureError as error:
                        results = dict.fromkeys(built, error)
                for name, row in rows.items():
                    self.note(row, column, results.get(name, MeasureError("not reached")))
        return list(rows.values())

    def note(self, row: Row, column: str, got: Measurement | MeasureError) -> None:
        """Put one result of a Linux program into its row."""
        cell = row.cell(column)
        if isinstance(got, MeasureError):
            cell.error = str(got)
            say(f"{row.name:14} {column:12} failed: {got}")
        else:
            cell.cpu.append(got.cpu)
            cell.wall.append(got.wall)
            say(f"{row.name:14} {column:12} {got.cpu:7.2f} s CPU {got.wall:7.2f} s wall")

    def hello(self) -> list[dict[str, float]]:
        """CPU and wall seconds of `guesthouse run hello`, from start to end, each time."""
        times = []
        if not self.ours.cache.exists():
            self.ours.empty_cache()
        for _ in range(self.chosen.runs):
            cpu, wall = cpu_of_descendants(), time.monotonic()
            command = self.ours.hello()
            done = subprocess.run(command, env=dict(self.ours.environment()), capture_output=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"`guesthouse run hello` ended with {done.returncode}: {done.stderr.decode()}")
            times.append({"cpu": cpu_of_descendants() - cpu, "wall": time.monotonic() - wall})
            say(f"{'hello':14} {'':12} {times[-1]['cpu']:7.2f} s CPU {times[-1]['wall']:7.2f} s wall")
        return times


def say(text: str) -> None:
    """Tell the user how far we are."""
    print(text, file=sys.stderr, flush=True)


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


def run_parts(bench: Bench) -> dict[str, list[Row]]:
    """Measure every part that was asked for (but hello); print each part's table as it ends."""
    parts: dict[str, list[Row]] = {}
    chosen = bench.chosen
    if "programs" in chosen.parts:
        parts["programs"] = bench.bare_metal()
        print(report.table("program", parts["programs"]), flush=True)
    guest = None
    if "boot" in chosen.parts or "linux" in chosen.parts:
        guest = linux_guest.tiny_guest(chosen.kernel, chosen.initrd, bench.folder)
        if guest is None:
            say("Image tiny isn't in your store, so nothing is booted; get it with: guesthouse pull tiny")
    if guest and "boot" in chosen.parts:
        parts["boot"] = bench.boot(guest)
        print(report.table("Linux", parts["boot"], mean=False), flush=True)
    if guest and "linux" in chosen.parts:
        parts["linux"] = bench.in_linux(guest)
        print(report.table("program in Linux", parts["linux"]), flush=True)
    return parts


def main() -> int:
    """Measure, print the tables, write the results; the status is 1 where a measurement failed."""
    chosen = options()
    if shutil.which(QEMU) is None:
        say(f"There is no {QEMU} to compare with. Install it: apt-get install qemu-system-misc")
        return 2
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="guesthouse-bench-") as scratch:
        bench = Bench(chosen, Path(scratch))
        try:
            bench.ours.build_native_parts()
            parts = run_parts(bench)
        except programs.BuildError as error:
            say(str(error))
            return 2
        hello = bench.hello() if "hello" in chosen.parts else []
    if hello:
        print(f"guesthouse run hello: {sorted(t['wall'] for t in hello)[len(hello) // 2]:.2f} s in all (wall, median)")
    results = {
        "conditions": conditions(chosen),
        "summary": {name: report.summary(rows) for name, rows in parts.items()},
        **{name: report.as_data(rows) for name, rows in parts.items()},
        "hello": hello,
    }
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    if "programs" in parts:
        chosen.output.with_suffix(".svg").write_text(plot.bars(parts["programs"]))
    failures = [text for rows in parts.values() for text in report.errors(rows)]
    for text in failures:
        say(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
