"""The benchmark programs and how they are compiled: for the bare board, for Linux, and for this machine."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "programs"

# In the order of the table. Integers: loops and bytes, memory, control flow, structures, the C library.
INTEGER = (
    *("coremark", "dhrystone", "sieve", "matrix_int", "crc", "hashing", "hashes", "sha256", "aes", "bits", "divide"),
    *("bignum", "string", "encoding", "lz", "huffman", "image", "cosine", "life", "dynamic", "sort", "sort_stable"),
    *("chase", "resident", "scattered", "strides"),
    *("recursive", "sudoku", "reversi", "interpreter", "cpu8", "handlers", "indirect", "automaton", "calculator"),
    *("json", "lisp", "graph", "trees", "hash_table"),
    *("allocation", "libc_bytes", "libc_text"),
)
FLOAT = (
    *("matrix_double", "nbody", "mandelbrot", "fft", "stencil", "gauss", "monte_carlo", "spectral", "orbit"),
    *("matrix_single", "k_means", "filter", "ray_march"),
    *("libm_double", "libm_single"),
)
PROGRAMS = INTEGER + FLOAT
GROUPS = {"integer": INTEGER, "float": FLOAT}

# These need a C library, so they aren't built for the bare board.
LINUX_ONLY = frozenset({"allocation", "libc_bytes", "libc_text", "libm_double", "libm_single"})

# -ffp-contract=off: the checksums were computed on another kind of processor, which fuses nothing by itself.
COMMON_FLAGS = (
    *("-O2", "-std=gnu11", "-Wall", "-Wextra", "-static"),
    *("-ffp-contract=off", "-fno-math-errno", f"-I{SOURCES}"),
)
RISCV_FLAGS = ("-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany")
BARE_METAL_FLAGS = (
    *("-ffreestanding", "-fno-tree-loop-distribute-patterns", "-nostdlib", "-fno-pic", "-no-pie"),
    *("-Wl,--build-id=none", "-T", str(HERE / "baremetal/link.ld")),
)
LIBRARIES = ("-lm", "-lpthread")


@dataclass(frozen=True)
class Target:
    """What a program is compiled for: the compiler and its package, flags, what lies below main(), libraries."""

    suffix: str
    compiler: str
    package: str
    flags: tuple[str, ...]
    platform: tuple[Path, ...]
    libraries: tuple[str, ...] = ()


_CROSS = ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu")
BARE_METAL = Target(
    "elf",
    *_CROSS,
    (*RISCV_FLAGS, *BARE_METAL_FLAGS),
    (HERE / "baremetal/crt0.S", HERE / "baremetal/platform.c"),
)
LINUX = Target("linux", *_CROSS, (*RISCV_FLAGS, "-s"), (HERE / "linux/platform.c",), LIBRARIES)
NATIVE = Target("native", "gcc", "gcc", (), (HERE / "linux/platform.c",), LIBRARIES)
COMPILER = LINUX.compiler


class BuildError(Exception):
    """A benchmark program can't be built: one sentence that says why and what to do."""


def group_of(name: str) -> str:
    """The group that program `name` belongs to."""
    return next(group for group, names in GROUPS.items() if name in names)


def rounds_of(name: str) -> int:
    """The number of rounds that program `name` does unless told otherwise."""
    found = re.search(r"^#define ROUNDS (\d+)", (SOURCES / f"{name}.c").read_text(), re.MULTILINE)
    if not found:
        raise BuildError(f"{name}.c defines no ROUNDS.")
    return int(found.group(1))


def build_bare_metal(name: str, folder: Path, scale: float = 1.0) -> Path:
    """Compile `name` for the bare virt board into `folder`, with `scale` times its usual rounds; return the ELF."""
    return _build(SOURCES / f"{name}.c", folder, BARE_METAL, (_rounds(name, scale),))


def build_linux(name: str, folder: Path, scale: float = 1.0) -> Path:
    """Compile `name` as a static riscv64 Linux program into `folder`; return the program."""
    return _build(SOURCES / f"{name}.c", folder, LINUX, (_rounds(name, scale),))


def build_native(name: str, folder: Path, scale: float = 1.0) -> Path:
    """Compile `name` as a static Linux program for this machine into `folder`; return the program."""
    return _build(SOURCES / f"{name}.c", folder, NATIVE, (_rounds(name, scale),))


def build_tool(name: str, folder: Path, target: Target) -> Path:
    """Compile `linux/NAME.c`, which takes its work as arguments, into `folder`; return the program."""
    return _build(HERE / f"linux/{name}.c", folder, target)


def _rounds(name: str, scale: float) -> str:
    return f"-DROUNDS={max(1, round(rounds_of(name) * scale))}"


def _build(source: Path, folder: Path, target: Target, defines: tuple[str, ...] = ()) -> Path:
    if shutil.which(target.compiler) is None:
        raise BuildError(f"There is no {target.compiler}. Install it: apt-get install {target.package}")
    sources = (*target.platform, SOURCES / "bench.c", source)
    command = [target.compiler, *COMMON_FLAGS, *target.flags, *defines, *map(str, sources), *target.libraries]
    inputs = (*sources, SOURCES / "bench.h", HERE / "baremetal/link.ld")
    key = hashlib.sha256(b"".join(path.read_bytes() for path in inputs) + repr(command).encode()).hexdigest()[:12]
    program = folder / f"{source.stem}-{key}.{target.suffix}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(".partial")
        done = subprocess.run([*command, "-o", str(partial)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"{source.name} doesn't compile: {done.stderr.strip()}")
        partial.rename(program)
    return program
