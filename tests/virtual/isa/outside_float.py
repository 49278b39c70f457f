"""Floating-point instructions on other people's processors (Spike, unicorn), many operands a run, and on ours."""

from __future__ import annotations

import functools
import importlib.util
import random
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import unicorn

from guesthouse.virtual.isa.riscv64 import double, single  # noqa: F401  (records the instructions)
from guesthouse.virtual.isa.riscv64.description import RISCV64

CODE, TOHOST, DATA = 0x8000_0000, 0x8000_0400, 0x8000_1000
SPIKE = Path(importlib.util.find_spec("riscv").origin or "").parent / "data" / "bin" / "spike"  # type: ignore[union-attr]
MASK = (1 << 64) - 1
DYNAMIC = 7
A0, A1, A3, A4, A5, T0, T1 = 10, 11, 13, 14, 15, 5, 6
FIELDS = {"rs1": 1, "rs2": 2, "rs3": 3}  # f registers that hold the operands
CASE = 64  # bytes: three f operands, an x operand, fcsr; then f result, x result, fcsr
INTEGERS = ("w", "wu", "l", "lu")

Case = tuple[int, int, int, int, int]  # f1, f2, f3, x13, fcsr
Outcome = tuple[int, int, int]  # f10, x15, fcsr


def _i_type(opcode: int, code: int, rd: int, rs1: int, immediate: int) -> int:
    return (immediate & 0xFFF) << 20 | rs1 << 15 | code << 12 | rd << 7 | opcode


def _s_type(opcode: int, code: int, rs1: int, rs2: int, immediate: int) -> int:
    high, low = (immediate & 0xFFF) >> 5, immediate & 31
    return high << 25 | rs2 << 20 | rs1 << 15 | code << 12 | low << 7 | opcode


def _branch_back(rs1: int, rs2: int, offset: int) -> int:
    bits = offset & 0x1FFF
    high = (bits >> 12) << 6 | bits >> 5 & 63
    return high << 25 | rs2 << 20 | rs1 << 15 | 1 << 12 | (bits >> 1 & 15) << 8 | (bits >> 11 & 1) << 7 | 0x63


@functools.cache
def operands(name: str, rm: int) -> tuple[tuple[str, int], ...]:
    """Operand values: f registers 1 to 3 or x13 in, f10 or x15 out."""
    values = {}
    for operand in RISCV64.by_name[name].pattern.operands:
        match operand.name:
            case "rd":
                values["rd"] = A5 if to_integer(name) else A0
            case "rs1" if from_integer(name):
                values["rs1"] = A3
            case "rm":
                values["rm"] = rm
            case other:
                values[other] = FIELDS[other]
    return tuple(values.items())


def from_integer(name: str) -> bool:
    """Whether rs1 is an x register."""
    return name in ("fmv_w_x", "fmv_d_x") or (name.startswith("fcvt_") and name.split("_")[2] in INTEGERS)


def to_integer(name: str) -> bool:
    """Whether rd is an x register."""
    stem, kind = name.split("_")[:2]
    return stem in ("feq", "flt", "fle", "fclass") or (stem == "fmv" and kind == "x") or kind in INTEGERS


def program(name: str, rm: int) -> tuple[list[int], list[int]]:
    """Instruction words: a loop over the cases, then the end of a run as Spike understands it."""
    loop = [
        *(_i_type(0x07, 3, f, A0, 8 * (f - 1)) for f in (1, 2, 3)),
        _i_type(0x03, 3, A3, A0, 24),
        _i_type(0x03, 3, A4, A0, 32),
        _i_type(0x73, 1, 0, A4, 3),  # csrw fcsr, a4
        RISCV64.by_name[name].pattern.encode(dict(operands(name, rm))),
        _i_type(0x73, 2, T0, 0, 3),  # csrr t0, fcsr
        _s_type(0x27, 3, A0, 10, 40),
        _s_type(0x23, 3, A0, A5, 48),
        _s_type(0x23, 3, A0, T0, 56),
        _i_type(0x13, 0, A0, A0, CASE),
    ]
    start = [
        (DATA - CODE) | A0 << 7 | 0x17,  # auipc a0
        _i_type(0x03, 3, A1, A0, -8),
        6 << 12 | T0 << 7 | 0x37,  # lui t0, 6
        _i_type(0x73, 2, 0, T0, 0x300),  # csrs mstatus, t0
    ]
    words = [*start, *loop, _branch_back(A0, A1, -4 * len(loop))]
    end = [_i_type(0x13, 0, T0, 0, 1), T1 << 7 | 0x17]  # li t0, 1; auipc t1, 0
    end += [_s_type(0x23, 3, T1, T0, TOHOST - CODE - 4 * (len(words) + 1)), 0x6F]  # sd t0, tohost; j .
    return words, end


def _data(cases: list[Case]) -> bytes:
    return b"".join(struct.pack("<8Q", *(v & MASK for v in case), 0, 0, 0) for case in cases)


def _outcomes(name: str, data: bytes) -> list[Outcome]:
    rows = struct.iter_unpack("<8Q", data)
    return [(row[5] if not to_integer(name) else 0, row[6] if to_integer(name) else 0, row[7]) for row in rows]


def unicorn_outcomes(name: str, cases: list[Case], rm: int = DYNAMIC) -> list[Outcome]:
    """What unicorn makes of these operands."""
    words, _ = program(name, rm)
    data = _data(cases)
    machine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    machine.mem_map(CODE, DATA - CODE + ((len(data) + 0xFFF) & ~0xFFF))
    machine.mem_write(CODE, struct.pack(f"<{len(words)}I", *words))
    machine.mem_write(DATA - 8, struct.pack("<Q", DATA + len(data)) + data)
    machine.emu_start(CODE, CODE + 4 * len(words))
    return _outcomes(name, machine.mem_read(DATA, len(data)))


def elf(code: bytes, data: bytes) -> bytes:
    """An executable with the symbols that Spike looks for; `data` lies at DATA - 8."""
    names = b"\0tohost\0fromhost\0begin_signature\0end_signature\0.symtab\0.strtab\0.text\0"
    image = code.ljust(DATA - 8 - CODE, b"\0") + data
    symbols = [("tohost", TOHOST), ("fromhost", TOHOST + 64)]
    symbols += [("begin_signature", DATA), ("end_signature", DATA - 8 + len(data))]
    table = bytes(24)
    for name, value in symbols:
        table += struct.pack("<IBBHQQ", names.index(b"\0" + name.encode()) + 1, 0x10, 0, 3, value, 0)
    at_symbols = 0x1000 + len(image)
    at_names = at_symbols + len(table)
    at_sections = at_names + len(names)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, CODE, 64, at_sections, 0, 64, 56, 1, 64, 4, 2)
    header += struct.pack("<IIQQQQQQ", 1, 7, 0x1000, CODE, CODE, len(image), len(image), 0x1000)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", names.index(b".symtab"), 2, 0, 0, at_symbols, len(table), 2, 1, 8, 24)
    sections += struct.pack("<IIQQQQIIQQ", names.index(b".strtab"), 3, 0, 0, at_names, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", names.index(b".text"), 1, 7, CODE, 0x1000, len(image), 0, 0, 8, 0)
    return header.ljust(0x1000, b"\0") + image + table + names + sections


def spike_outcomes(name: str, cases: list[Case], folder: Path, rm: int = DYNAMIC) -> list[Outcome]:
    """What Spike, the manual's own simulator, makes of these operands."""
    words, end = program(name, rm)
    data = _data(cases)
    executable, signature = folder / f"{name}.elf", folder / f"{name}.signature"
    code = struct.pack(f"<{len(words) + len(end)}I", *words, *end)
    executable.write_bytes(elf(code, struct.pack("<Q", DATA + len(data)) + data))
    options = ["--isa=rv64gc", f"+signature={signature}", "+signature-granularity=8"]
    subprocess.run([SPIKE, *options, executable], check=True, timeout=60)
    return _outcomes(name, b"".join(int(line, 16).to_bytes(8, "little") for line in signature.read_text().split()))


class Registers(list[int]):
    """A register file that keeps 64 bits of what is written."""

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value & MASK)


def state(case: Case = (0, 0, 0, 0, 0)) -> SimpleNamespace:
    """A hart's state with the operands in their registers, FS clean, and no memory."""
    f1, f2, f3, x13, fcsr = case
    hart = SimpleNamespace(x=Registers([0] * 32), f=Registers([0] * 32), mstatus=2 << 13)
    hart.frm, hart.float_flags = fcsr >> 5, fcsr & 31
    hart.f[1], hart.f[2], hart.f[3], hart.x[13] = f1, f2, f3, x13
    hart.environment = SimpleNamespace(fetched=lambda: 0)
    return hart


def our_outcomes(name: str, cases: list[Case], rm: int = DYNAMIC) -> list[Outcome]:
    """What our description makes of these operands."""
    outcomes = []
    for case in cases:
        hart = state(case)
        RISCV64.by_name[name].semantics(hart, **dict(operands(name, rm)))
        outcomes.append((hart.f[10], hart.x[15], hart.frm << 5 | int(hart.float_flags)))
    return outcomes


def random_float(source: random.Random, width: int, near: int) -> int:
    """A pattern whose exponent field is about `near`."""
    fraction = 52 if width == 64 else 23
    exponent = min(max(near + source.randint(-2, 2), 0), (1 << width - 1 - fraction) - 1)
    return source.getrandbits(1) << width - 1 | exponent << fraction | source.getrandbits(fraction)


def float_cases(width: int, count: int, arity: int) -> list[Case]:
    """Operands for all five rounding modes: pairs of edges, then random ones of like exponents."""
    source = random.Random(width + arity)
    fraction, box = (52, 0) if width == 64 else (23, 0xFFFF_FFFF << 32)
    limit, sign, quiet = (1 << width - 1 - fraction) - 1, 1 << width - 1, 1 << fraction - 1
    top, one = limit << fraction, (limit >> 1) << fraction
    sizes = [0, 1, (1 << fraction) - 1, 1 << fraction, one - 1, one, one + 1, one + quiet, top - 1, top]
    edges = [size | s for size in [*sizes, top | quiet, top | 1] for s in (0, sign)]
    rows = [[a, b, source.choice(edges)] for a in edges for b in (edges if arity > 1 else [0])]
    for _ in range(count):
        near = source.randrange(limit)
        rows.append([random_float(source, width, n) for n in (near if arity < 3 else limit // 2, near, near)])
        rows.append([source.choice(edges), *(source.getrandbits(width) for _ in range(2))])
        rows.append([*(source.getrandbits(width) for _ in range(2)), source.choice(edges)])
    return [(box | a, box | b, box | c, 0, number % 5 << 5) for number, (a, b, c) in enumerate(rows)]


def integer_cases(count: int) -> list[Case]:
    """Integers of every size, for all five rounding modes."""
    source = random.Random(count)
    ends = [0, 1, -1, 1 << 31, -(1 << 31), (1 << 31) - 1, (1 << 32) - 1, 1 << 63, (1 << 63) - 1, MASK]
    values = [end + d for end in ends for d in (-1, 0, 1)]
    values += [source.getrandbits(64) >> source.randrange(64) for _ in range(count)]
    values += [-v for v in values] + [v << 10 | 512 for v in values]
    return [(0, 0, 0, v & MASK, mode << 5) for v in values for mode in range(5)]


def cases_for(name: str, width: int, count: int) -> list[Case]:
    """Operands for an instruction, random ones in proportion to `count`."""
    if from_integer(name):
        return integer_cases(count)
    names = [operand.name for operand in RISCV64.by_name[name].pattern.operands]
    return float_cases(width, count, sum(name.startswith("rs") for name in names))
