"""The two sides of the comparison: the command lines of Guesthouse and of QEMU, and what Guesthouse tells of itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

QEMU = "qemu-system-riscv64"
MEMORY_MIB = 512

# The figures of `--stats-json` that the table uses.
TRANSLATION_COST = "translation_us_per_instruction"
TRANSLATION_SECONDS = "translation_seconds"


@dataclass(frozen=True)
class Guest:
    """What to boot: a bare-metal program, or a Linux kernel with its initrd and command line."""

    firmware: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    cpus: int = 1


def qemu_command(guest: Guest) -> list[str]:
    """The command that runs `guest` on QEMU's virt board, console on standard input and output."""
    command = [QEMU, "-M", "virt", "-cpu", "rv64", "-nographic", "-monitor", "none", "-serial", "stdio"]
    command += ["-m", f"{MEMORY_MIB}M"]
    if guest.cpus > 1:
        command += ["-smp", str(guest.cpus)]
    if guest.firmware:
        return [*command, "-bios", "none", "-kernel", str(guest.firmware)]
    command += ["-no-reboot", "-kernel", str(guest.kernel), "-append", guest.append]
    return [*command, "-initrd", str(guest.initrd)] if guest.initrd else command


class Ours:
    """Guesthouse as the benchmark runs it: the installed program, with a cache folder of its own.

    program: the command. folder: a scratch folder for caches. Nothing of the user's own cache is read or written.
    """

    def __init__(self, program: list[str], folder: Path):
        self._program = program
        self._pristine = folder / "cache-pristine"
        self.cache = folder / "cache"
        self.stats_file = folder / "stats.json"
        self._runtime = folder / "runtime"
        for made in (self._pristine, self._runtime):
            made.mkdir(mode=0o700, parents=True)

    def build_native_parts(self) -> None:
        """Build the native parts once, into the cache that every cold run starts from."""
        command = [*self._program, "build"]
        done = subprocess.run(
            command, env=self._environment(self._pristine), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"`guesthouse build` failed: {(done.stderr or done.stdout).strip()}")

    def start_service(self) -> None:
        """Have the user's compile service running, as it does after any first run; its CPU time counts in each run."""
        self.empty_cache()
        subprocess.run(self.hello(), env=dict(self.environment()), capture_output=True, check=False)

    def empty_cache(self) -> None:
        """Forget every translation of guest code; keep the native parts."""
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.copytree(self._pristine, self.cache)

    def environment(self) -> Mapping[str, str]:
        """The environment of a run."""
        return self._environment(self.cache)

    def _environment(self, cache: Path) -> dict[str, str]:
        own = {"XDG_CACHE_HOME": str(cache), "XDG_RUNTIME_DIR": str(self._runtime)}
        return {**os.environ, **own, "GUESTHOUSE_COMPILE_IDLE": "3600"}  # it ends with its socket's folder

    def command(self, guest: Guest, engine: str) -> list[str]:
        """The command that runs `guest` on Guesthouse with `engine`, and leaves its statistics in `stats_file`."""
        self.stats_file.unlink(missing_ok=True)
        command = [*self._program, "run", "--engine", engine, "--stats-json", str(self.stats_file)]
        command += ["--memory", f"{MEMORY_MIB}M"]
        if guest.cpus > 1:
            command += ["--cpus", str(guest.cpus)]
        if guest.firmware:
            return [*command, "--firmware", str(guest.firmware)]
        command += ["--no-reboot", "--kernel", str(guest.kernel), "--append", guest.append]
        return [*command, "--initrd", str(guest.initrd)] if guest.initrd else command

    def hello(self) -> list[str]:
        """The command that runs the built-in guest."""
        return [*self._program, "run", "hello"]

    def version(self) -> list[str]:
        """The shortest command there is: what Python and our imports cost."""
        return [*self._program, "--version"]

    def stats(self) -> dict[str, float]:
        """The numbers of the last run's statistics; empty where it left none."""
        try:
            told = json.loads(self.stats_file.read_text())
        except (OSError, ValueError):
            return {}
        return dict(_numbers(told))


def _numbers(told: object, prefix: str = "") -> list[tuple[str, float]]:
    """Every number in nested objects, named by its path in lower case with underscores."""
    if isinstance(told, dict):
        named = [(re.sub(r"\W+", "_", f"{prefix}{key}".lower()), value) for key, value in told.items()]
        return [number for key, value in named for number in _numbers(value, key + "_" if _deep(value) else key)]
    if isinstance(told, int | float):
        return [(prefix, float(told))]
    return []


def _deep(value: object) -> bool:
    return isinstance(value, dict)


class StandIn(Ours):
    """QEMU in our place: to test the benchmark itself."""

    def build_native_parts(self) -> None:
        """QEMU has none."""

    def start_service(self) -> None:
        """QEMU has none."""

    def command(self, guest: Guest, engine: str) -> list[str]:
        """QEMU's command, whatever the engine."""
        return qemu_command(guest)

    def hello(self) -> list[str]:
        """QEMU tells its version instead."""
        return [QEMU, "--version"]

    def version(self) -> list[str]:
        """The same."""
        return [QEMU, "--version"]


def our_program() -> list[str]:
    """The installed `guesthouse` beside this Python, else the module."""
    beside = Path(sys.executable).with_name("guesthouse")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "guesthouse"]
