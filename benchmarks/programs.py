"""The benchmark programs and how they are compiled: bare metal, and as static Linux programs."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "programs"
COMPILER = "riscv64-linux-gnu-gcc"

# -ffp-contract=off: the checksums were computed on another kind of processor, which fuses nothing by itself.
COMMON_FLAGS = (
    *("-O2", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-std=gnu11", "-Wall", "-Wextra", "-static"),
    *("-ffp-contract=off", "-fno-math-errno", f"-I{SOURCES}"),
)
BARE_METAL_FLAGS = (
    *("-ffreestanding", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-fno-pic", "-no-pie"),
    *("-Wl,--build-id=none", "-T", str(HERE / "baremetal/link.ld")),
)
BARE_METAL_SOURCES = (HERE / "baremetal/crt0.S", HERE / "baremetal/platform.c")
LINUX_SOURCES = (HERE / "linux/platform.c",)

# In the order of the table: integers, memory and control flow, floating point.
PROGRAMS = (
    *("coremark", "dhrystone", "sieve", "matrix_int", "crc", "hashing", "sort", "string"),
    *("recursive", "chase", "interpreter", "indirect"),
    *("matrix_double", "nbody", "mandelbrot"),
)


class BuildError(Exception):
    """A benchmark program can't be built: one sentence that says why and what to do."""


def rounds_of(name: str) -> int:
    """The number of rounds that program `name` does unless told otherwise."""
    found = re.search(r"^#define ROUNDS (\d+)", (SOURCES / f"{name}.c").read_text(), re.MULTILINE)
    if not found:
        raise BuildError(f"{name}.c defines no ROUNDS.")
    return int(found.group(1))


def build_bare_metal(name: str, folder: Path, scale: float = 1.0) -> Path:
    """Compile `name` for the bare virt board into `folder`, with `scale` times its usual rounds; return the ELF."""
    return _build(name, folder, "elf", (*COMMON_FLAGS, *BARE_METAL_FLAGS), BARE_METAL_SOURCES, scale)


def build_linux(name: str, folder: Path, scale: float = 1.0) -> Path:
    """Compile `name` as a static riscv64 Linux program into `folder`; return the program."""
    return _build(name, folder, "linux", COMMON_FLAGS, LINUX_SOURCES, scale, libraries=("-lm",))


def _build(
    name: str,
    folder: Path,
    kind: str,
    flags: tuple[str, ...],
    platform: tuple[Path, ...],
    scale: float,
    libraries: tuple[str, ...] = (),
) -> Path:
    if shutil.which(COMPILER) is None:
        raise BuildError(f"There is no {COMPILER}. Install it: apt-get install gcc-riscv64-linux-gnu")
    rounds = max(1, round(rounds_of(name) * scale))
    sources = (*platform, SOURCES / "bench.c", SOURCES / f"{name}.c")
    command = [COMPILER, *flags, f"-DROUNDS={rounds}", *map(str, sources), *libraries]
    inputs = (*sources, SOURCES / "bench.h", HERE / "baremetal/link.ld")
    key = hashlib.sha256(b"".join(path.read_bytes() for path in inputs) + repr(command).encode()).hexdigest()[:12]
    program = folder / f"{name}-{key}.{kind}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(".partial")
        done = subprocess.run([*command, "-o", str(partial)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"{name}.c doesn't compile: {done.stderr.strip()}")
        partial.rename(program)
    return program
