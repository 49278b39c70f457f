"""What is run inside Linux: the programs, and the kinds of work for the kernel, each with its native twin."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import programs
from benchmarks.programs import LINUX, NATIVE, BuildError

# Kinds of work for the kernel, and how often each is done: about a second of QEMU's time.
SYSTEM = {
    "syscalls": 800_000,
    "pipes": 6_000,
    "switches": 20_000,
    "spawns": 150,
    "faults": 30_000,
    "mappings": 60_000,
    "signals": 5_000,
}
GROUPS = (*programs.GROUPS, "system")

# A native run is repeated within itself this often, since a clock tick is a tenth of its time.
NATIVE_TIMES = 5


@dataclass(frozen=True)
class Work:
    """Something to run at a shell, between marks with its name.

    linux, native: the program for the guest and for this machine. operations: how many are done (0: no rate is told).
    native_times: how many times as much the native program does with its arguments.
    """

    name: str
    group: str
    linux: Path
    native: Path
    arguments: tuple[str, ...] = ()
    native_arguments: tuple[str, ...] = ()
    operations: int = 0
    native_times: int = NATIVE_TIMES

    @property
    def file(self) -> str:
        """The name of its program in the guest's /bench."""
        return self.linux.name.partition("-")[0]

    @property
    def command(self) -> str:
        """What to type at the guest's shell."""
        return " ".join((f"/bench/{self.file}", *self.arguments))


def names_of(groups: Iterable[str]) -> list[str]:
    """The names of all work in `groups`, in the order of the table."""
    by_group = {**programs.GROUPS, "system": tuple(SYSTEM)}
    return [name for group in GROUPS if group in groups for name in by_group[group]]


def group_of(name: str) -> str:
    """The group that work `name` belongs to."""
    return "system" if name in SYSTEM else programs.group_of(name)


def prepare(name: str, folder: Path, scale: float) -> Work:
    """Compile work `name` for both sides into `folder`. Raises BuildError."""
    if name in SYSTEM:
        count = max(2, round(SYSTEM[name] * scale / 2) * 2)
        linux, native = (programs.build_tool("system", folder, target) for target in (LINUX, NATIVE))
        often = (name, str(count * NATIVE_TIMES))
        return Work(name, "system", linux, native, (name, str(count)), often, count)
    linux, native = programs.build_linux(name, folder, scale), programs.build_native(name, folder, scale)
    rounds = max(1, round(programs.rounds_of(name) * scale))
    return Work(name, group_of(name), linux, native, (), (str(rounds * NATIVE_TIMES),))


def prepare_all(names: Iterable[str], folder: Path, scale: float) -> tuple[list[Work], dict[str, str]]:
    """Compile every work that can be compiled; for the others, say why not."""
    works, failures = [], {}
    for name in names:
        try:
            works.append(prepare(name, folder, scale))
        except BuildError as error:
            failures[name] = str(error)
    return works, failures
