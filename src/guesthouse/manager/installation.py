"""A machine of our own that installs a system onto an image's disk, watched through its console."""

import os
from pathlib import Path

from guesthouse.errors import UserError
from guesthouse.guest.debian_scripts import DONE, SAY
from guesthouse.guest.guest_file import Disk
from guesthouse.host.line_pipe import line_pipe
from guesthouse.manager.progress import Progress
from guesthouse.manager.protocol import Plan
from guesthouse.manager.run import Streams, run_guest

MEMORY = 1 << 30
LABELS = {
    "format": "Making the file system",
    "extract": "Unpacking dpkg",
    "essential": "Installing",
    "complete": "Finishing",
}


class Console:
    """Understands the installer's console: how far it is, and how it ended."""

    def __init__(self, packages: int, progress: Progress) -> None:
        self._packages = packages
        self._progress = progress
        self._unpacked: set[str] = set()
        self._configured: set[str] = set()
        self.done = False
        self.failure = ""

    def take(self, line: str) -> None:
        """One line of the console."""
        word, _, rest = line.partition(" ")
        if line == DONE:
            self.done = True
        elif word == SAY:
            self._hear(*rest.partition(" ")[::2])
        elif word in ("Unpacking", "Setting"):
            name = rest.removeprefix("up ").partition(" ")[0].partition(":")[0]
            self._count(self._unpacked if word == "Unpacking" else self._configured, name)

    def _hear(self, word: str, rest: str) -> None:
        if word == "phase" and rest in LABELS:
            total = 2 * self._packages if rest == "essential" else None
            self._progress.begin(LABELS[rest], total, "steps")
        elif word.startswith("failed"):
            self.failure = self.failure or rest

    def _count(self, seen: set[str], name: str) -> None:
        if name not in seen and len(seen) < self._packages:
            seen.add(name)
            self._progress.advance(1)


def install(kernel: Path, initrd: Path, disks: tuple[Disk, ...], packages: int, log: Path, progress: Progress) -> None:
    """Run the installer until it is done; raises UserError, which names the log, where it fails."""
    plan = Plan(kernel=str(kernel), initrd=str(initrd), disks=disks, memory=MEMORY, reboot=False, append="quiet")
    console = Console(packages, progress)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with line_pipe(log, console.take) as output:
            outcome = run_guest(plan, Streams(input=nothing, output=output, errors=output))
    finally:
        os.close(nothing)
    if not console.done:
        reason = console.failure or outcome.text or "it ended before it was done"
        raise UserError(f"The installation inside the machine failed ({reason}); its log is {log}.")
