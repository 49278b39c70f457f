"""GNU binutils for RISC-V as oracle of encodings and spelling, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PREFIX = "riscv64-linux-gnu-"
MARCH = "rv64gc_zba_zbb_zbs_zbc_zicbom_zicbop_zicboz_svinval_zihintpause"
BASE = 0x8000_0000

needs_binutils = pytest.mark.skipif(
    any(shutil.which(PREFIX + tool) is None for tool in ("as", "ld", "objcopy", "objdump")),
    reason="binutils-riscv64-linux-gnu is not installed",
)


def _run(tool: str, *arguments: str | Path) -> str:
    done = subprocess.run([PREFIX + tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def version() -> tuple[int, ...]:
    """Of objdump."""
    found = re.search(r"(\d+)\.(\d+)", _run("objdump", "--version").split("\n")[0])
    assert found
    return int(found[1]), int(found[2])


def image(text: str, folder: Path) -> bytes:
    """What GNU as and ld make of a text at BASE, without compression and relaxation."""
    source, linked, output = folder / "a.s", folder / "a.elf", folder / "a.bin"
    source.write_text(".option norvc\n.option norelax\n.globl _start\n_start:\n" + text)
    _run("as", f"-march={MARCH}", "-mno-relax", "-o", folder / "a.o", source)
    _run("ld", "--no-relax", "-N", f"-Ttext={BASE:#x}", "-o", linked, folder / "a.o")
    _run("objcopy", "-O", "binary", linked, output)
    return output.read_bytes()


def disassembly(words: list[tuple[int, int]], folder: Path, *options: str) -> list[str]:
    """Each instruction (length in bytes, bits) as objdump prints it, at consecutive addresses from 0."""
    source = folder / "d.s"
    source.write_text("".join(f".insn {length}, {word:#x}\n" for length, word in words))
    _run("as", f"-march={MARCH}", "-o", folder / "d.o", source)
    listing = _run("objdump", "-d", *options, folder / "d.o")
    lines = [line.split("\t")[2:] for line in listing.splitlines() if re.match(r"\s*[0-9a-f]+:\t", line)]
    assert len(lines) == len(words)
    return [plain(" ".join(line)) for line in lines]


def plain(text: str) -> str:
    """Without objdump's comments and the symbols that it guesses from addresses; one space at most."""
    text = re.sub(r"\s+#.*", "", text)
    return " ".join(re.sub(r"\b([0-9a-f]+) <[^>]*>", r"0x\1", text).split())
