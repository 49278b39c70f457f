"""What this host is and has: facts for `doctor`, each found without changing anything."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

PROCESSOR_KEYS = ("model name", "Model", "Hardware", "uarch")


def python_version() -> str:
    """The Python that runs this."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def package_version(name: str) -> str:
    """The version of an installed package, without importing it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The host's processor and how many of it this process may use."""
    return f"{_processor_name()}, {platform.machine()}, {len(os.sched_getaffinity(0))} usable"


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "unknown"
    table = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return next((table[key] for key in PROCESSOR_KEYS if key in table), "unknown")


def kernel() -> str:
    """The host's kernel."""
    return f"{platform.system()} {platform.release()}"


def memory() -> str:
    """The host's memory: available and all of it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        table = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return f"{table['MemAvailable'] >> 10} MiB available of {table['MemTotal'] >> 10} MiB"
    except (OSError, ValueError, IndexError, KeyError):
        return "unknown"


def kvm() -> str:
    """Whether the host's hardware-assisted virtualization could be used (Guesthouse does not need it)."""
    if not os.path.exists("/dev/kvm"):
        return "none"
    return "usable" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "there, but this user may not open it"


def folder(path: Path) -> str:
    """Whether a folder can be written, and how much disk is free there."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return f"{path}: {error.strerror}"
    state = "" if os.access(there, os.W_OK | os.X_OK) else ", not writable"
    return f"{path} ({free >> 20} MiB free{state}{'' if path.exists() else ', not made yet'})"
