"""What the command line of the benchmark asks for."""

import argparse
from pathlib import Path

from benchmarks.report import COLUMNS
from benchmarks.work import GROUPS, names_of

HERE = Path(__file__).resolve().parent
PARTS = ("linux", "programs", "boot", "idle", "hello")
USUAL_PARTS = "linux,boot,idle,hello"
# Some of every kind, for a look that takes less than three minutes.
QUICK = (
    "coremark,crc,sha256,strides,interpreter,handlers,json,trees,allocation,fft,ray_march,libm_double,"
    "syscalls,pipes,faults"
)
QUICK_COLUMNS = "native,qemu,cold,warm"


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse and check. Lists come back as lists; programs in the order of the table, of the groups asked for."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.runs = 1
        chosen.programs = chosen.programs or QUICK
        chosen.columns = chosen.columns or QUICK_COLUMNS
        chosen.parts = chosen.parts or "linux,boot,hello"
    chosen.parts = _listed(parser, "parts", chosen.parts or USUAL_PARTS, PARTS)
    chosen.columns = _listed(parser, "columns", chosen.columns, COLUMNS)
    if "warm" in chosen.columns and "cold" not in chosen.columns:  # there is no second time without a first
        chosen.columns.insert(chosen.columns.index("warm"), "cold")
    chosen.groups = _listed(parser, "groups", chosen.groups, GROUPS)
    asked = _listed(parser, "programs", chosen.programs, names_of(GROUPS))
    chosen.programs = [name for name in names_of(chosen.groups) if name in asked]
    try:
        chosen.smp = [int(word) for word in chosen.smp.split(",") if word]
    except ValueError:
        parser.error(f"--smp: {chosen.smp} is no list of numbers; give for instance 2,4,8")
    if chosen.runs < 1 or chosen.scale <= 0 or chosen.timeout <= 0:
        parser.error("--runs, --scale and --timeout must be more than 0")
    return chosen


def _parser() -> argparse.ArgumentParser:
    about = "Measures Guesthouse against qemu-system-riscv64: the same work, in turn, in CPU time."
    parser = argparse.ArgumentParser(prog="bench", description=about)
    parser.add_argument("--parts", default="", help=f"what to measure, of {','.join(PARTS)}; usually {USUAL_PARTS}")
    parser.add_argument("--groups", default="", help=f"only the programs of these groups, of {','.join(GROUPS)}")
    parser.add_argument("--programs", default="", help="only these programs, separated by commas")
    parser.add_argument("--columns", default="", help=f"only these columns, of {','.join(COLUMNS)}")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="one run of some programs: not to be quoted")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual rounds of each program")
    parser.add_argument("--engine", default="auto", help="our engine in the columns cold and warm")
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a program is given up")
    parser.add_argument("--smp", default="", help="also threads on so many CPUs (needs `--cpus`), for instance 2,4,8")
    parser.add_argument("--kernel", type=Path, help="the kernel to boot instead of image tiny's")
    parser.add_argument("--initrd", type=Path, help="the initrd to boot instead of image tiny's")
    parser.add_argument("--output", type=Path, default=HERE / "results/latest", help="results, without .json and .svg")
    parser.add_argument("--stand-in", action="store_true", help="QEMU in our place: tests the benchmark itself")
    return parser


def _listed(parser: argparse.ArgumentParser, name: str, text: str, known: tuple[str, ...] | list[str]) -> list[str]:
    asked = [word for word in text.split(",") if word] or list(known)
    if unknown := set(asked) - set(known):
        parser.error(f"--{name}: there is no {', '.join(sorted(unknown))}; choose of {', '.join(known)}")
    return [word for word in known if word in asked]
