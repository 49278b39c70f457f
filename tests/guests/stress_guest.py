"""Guests under stress, for as long as is asked for: `python -m tests.guests.stress_guest --cpus 4 --seconds 120`.

Each program runs in the image `tiny` on twice as many threads as the guest has CPUs, and checks itself.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from guesthouse import Machine, Reason, image
from guesthouse.guest import cpio
from guesthouse.manager.images import Image

SOURCES = Path(__file__).parent / "stress"
PROGRAMS = ("locks", "rewriting", "building")
COMPILER = shutil.which("riscv64-linux-gnu-gcc")
FLAGS = ("-O2", "-Wall", "-static", "-pthread", "-s")
PATIENCE = 200


def built(names: Iterable[str], folder: Path) -> list[cpio.Entry]:
    """The programs, compiled, as files of an archive."""
    entries = [cpio.directory("stress")]
    for name in names:
        target = folder / name
        command = [COMPILER or "", *FLAGS, "-o", str(target), str(SOURCES / f"{name}.c")]
        subprocess.run(command, check=True, capture_output=True)
        entries.append(cpio.file(f"stress/{name}", target.read_bytes(), 0o755))
    return entries


def stress(tiny: Image, names: Iterable[str], cpus: int, engine: str, seconds: float) -> list[str]:
    """Run the programs one after the other, each for so long; gives what each says. A failure is an AssertionError."""
    said = []
    with tempfile.TemporaryDirectory() as folder:
        entries = built(names, Path(folder))
    assert tiny.initrd is not None
    first = tiny.initrd.read_bytes()
    initrd = first + bytes(-len(first) % 4) + cpio.pack(entries)
    with Machine(image=tiny, initrd=initrd, cpus=cpus, engine=engine) as machine:
        machine.console.expect("# ", timeout=PATIENCE)
        for name in names:
            machine.console.write(f"/stress/{name} {2 * cpus} {seconds}; echo en''ded $?\n")
            text = machine.console.expect("ended ", timeout=PATIENCE + seconds)
            assert f"{name} passed" in text, text
            said.append(next(line for line in text.splitlines() if "passed" in line))
        assert not any(bad in machine.console.output for bad in ("Oops", "BUG:", " stall", "soft lockup"))
        machine.console.write("poweroff\n")
        stop = machine.run(timeout=PATIENCE)
        assert (stop.reason, stop.status) == (Reason.POWER_OFF, 0)
    return said


def main() -> int:
    """What the command does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpus", type=int, default=4)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("names", nargs="*", default=PROGRAMS)
    chosen = parser.parse_args()
    began = time.monotonic()
    for line in stress(image("tiny"), chosen.names, chosen.cpus, chosen.engine, chosen.seconds):
        print(f"{chosen.cpus} CPUs, {chosen.engine}: {line}", flush=True)
    print(f"{time.monotonic() - began:.1f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
