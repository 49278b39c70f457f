"""The bit-manipulation and conditional instructions, and M once more, against Spike in one program each."""

import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler

from ..fake import EDGES, execute, hart

EXTENSIONS = ("M", "Zba", "Zbb", "Zbs", "Zbc", "Zicond")
CASES = 60
PROGRAM = """
        la      s0, table
loop:   ld      a1, 0(s0)
        ld      a2, 8(s0)
        {text}
        addi    s0, s0, 16
        j       loop
        .balign 8, 0
table:  .dword  {table}
"""


BASE = 0x8000_0000
SPIKE = Path(sys.executable).with_name("spike")
WRITTEN = re.compile(r"core +0: \d 0x0*8[0-9a-f]{7} .* x10 +(0x[0-9a-f]+)$")


def elf(image):
    """The smallest executable Spike takes: one segment, entered at its start, and one empty section."""
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, BASE, 64, 128, 0, 64, 56, 1, 64, 1, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, 0x1000, BASE, BASE, len(image), len(image), 0x1000)
    head = head.ljust(128, b"\0") + struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 120, 1, 0, 0, 1, 0)
    return head.ljust(0x1000, b"\0") + image


def written_by_spike(image, steps, folder):
    """The values that the program's first `steps` instructions write to a0."""
    program, log = folder / "program.elf", folder / "commits.log"
    program.write_bytes(elf(image))
    options = ["--isa=rv64gc_zba_zbb_zbs_zbc_zicond", "-m16", "-l", "--log-commits", f"--log={log}"]
    command = [SPIKE, *options, f"--instructions={steps + 5}", program]  # five are the boot code's
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    return [int(found[1], 16) for line in log.read_text().splitlines() if (found := WRITTEN.match(line))]


def text_of(instruction, values):
    return (
        instruction.syntax.replace("rd", "a0")
        .replace("rs1", "a1")
        .replace("rs2", "a2")
        .replace("shamt", str(values.get("shamt")))
    )


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_results_are_spikes(extension, tmp_path):
    rng = random.Random(extension)
    assembler = Assembler(RISCV64, RISCV64_SYNTAX)
    for instruction in (i for i in RISCV64.instructions if i.extension == extension):
        cases = [(rng.choice(EDGES), rng.choice(EDGES)) for _ in range(CASES // 2)]
        cases += [(rng.getrandbits(64), rng.getrandbits(64)) for _ in range(CASES // 2)]
        shamt = rng.randrange(32)
        values = {"rd": 10, "rs1": 11, "rs2": 12, "shamt": shamt}
        table = ", ".join(str(value) for case in cases for value in case)
        image = assembler.assemble(PROGRAM.format(text=text_of(instruction, values), table=table), BASE)
        ours = [execute(hart({11: a, 12: b}), instruction, **values).x[10] for a, b in cases]
        assert ours == written_by_spike(image, 2 + 6 * CASES, tmp_path)[:CASES], instruction.name
