"""One run of the benchmark: the two sides, a scratch folder, what was asked for, and how a guest is measured."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import linux_guest
from benchmarks.measure import MeasureError, Measurement, Run, cpu_of_descendants, wait_for_orphans
from benchmarks.report import Row
from benchmarks.sides import TRANSLATION_COST, TRANSLATION_SECONDS, Guest, Ours, StandIn, our_program, qemu_command

BUILD = Path(__file__).resolve().parent / "build"
BOOT_TIMEOUT = 120.0
SECONDS_FOR_ORPHANS = 60.0  # what the compile service makes for the next run takes seconds


class Session:
    """What all parts of the benchmark share. chosen: what the command line asked for. folder: a scratch folder."""

    def __init__(self, chosen: argparse.Namespace, folder: Path):
        self.chosen = chosen
        self.folder = folder
        self.between = 0.0  # CPU seconds of the compile service between runs: what it makes for the next time
        self.ours: Ours = StandIn([], folder) if chosen.stand_in else Ours(our_program(), folder)

    def monitors(self) -> list[str]:
        """The columns in which a monitor runs: all that were asked for but the native one."""
        return [column for column in self.chosen.columns if column != "native"]

    def start(self, column: str, guest: Guest) -> Run:
        """Start `guest`: on QEMU, or on ours with the cache emptied (cold) or as the last run left it."""
        if not self.wait_for_service():
            say("A process of an earlier run lives on; its CPU time is counted too.")
        timeout = self.chosen.timeout if guest.firmware else max(BOOT_TIMEOUT, self.chosen.timeout)
        if column == "qemu":
            return Run(qemu_command(guest), timeout=timeout)
        if column == "cold" or not self.ours.cache.exists():
            self.ours.empty_cache()
        engine = "interpreter" if column == "interpreter" else self.chosen.engine
        return Run(self.ours.command(guest, engine), self.ours.environment(), timeout)

    def wait_for_service(self) -> bool:
        """Wait until what earlier runs left to be done is done; False where it goes on."""
        before = cpu_of_descendants()
        done = wait_for_orphans(SECONDS_FOR_ORPHANS)
        self.between += cpu_of_descendants() - before
        return done

    def warm_up(self, guest: Guest) -> None:
        """Boot ours once where no run has left a cache, so that what comes next is not the first time."""
        if not self.ours.cache.exists():
            with self.start("cold", guest) as run:
                linux_guest.boot(run)
                linux_guest.power_off(run)

    def measure(self, row: Row, column: str, guest: Guest, job: Callable[[Run], Measurement]) -> float | None:
        """Run `guest` once as `column` wants it, do `job` on it, and note the result in `row`.

        Returns the CPU seconds of the whole run, from the process's start to its end; None where it failed.
        """
        if row.cell(column).error:
            return None
        try:
            with self.start(column, guest) as run:
                got = job(run)
                if status := run.finish():
                    raise MeasureError(f"ended with status {status} after its work")
                total = cpu_of_descendants() - run.cpu_at_begin
        except MeasureError as error:
            self.note(row, column, error)
            return None
        self.note(row, column, got)
        if column == "cold":
            self.note_translation(row)
        return total

    def note(self, row: Row, column: str, got: Measurement | MeasureError, times: int = 1) -> None:
        """Put one result into its row; `times` is how often the work was done in it."""
        cell = row.cell(column)
        if isinstance(got, MeasureError):
            cell.error = str(got)
            say(f"{row.name:14} {column:12} failed: {got}")
        else:
            cell.cpu.append(got.cpu / times)
            cell.wall.append(got.wall / times)
            say(f"{row.name:14} {column:12} {cell.cpu[-1]:7.3f} s CPU {cell.wall[-1]:7.3f} s wall")

    def note_translation(self, row: Row) -> None:
        """Note what the last run of ours says its translations cost."""
        stats = self.ours.stats()
        if TRANSLATION_COST in stats:
            row.translation_us.append(stats[TRANSLATION_COST])
        if TRANSLATION_SECONDS in stats:
            row.translation_seconds.append(stats[TRANSLATION_SECONDS])


def say(text: str) -> None:
    """Tell the user how far we are."""
    print(text, file=sys.stderr, flush=True)
