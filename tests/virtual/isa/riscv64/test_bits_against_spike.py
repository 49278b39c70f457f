"""The bit-manipulation and conditional instructions, and M once more, against Spike in one program each."""

import random

import pytest

from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler

from ..fake import EDGES, execute, hart
from . import spike

EXTENSIONS = ("M", "Zba", "Zbb", "Zbs", "Zbc", "Zicond")
CASES = 60
PROGRAM = """
        la      s0, table
loop:   ld      a1, 0(s0)
        ld      a2, 8(s0)
        {text}
        addi    s0, s0, 16
        j       loop
        .balign 8
table:  .dword  {table}
"""


def text_of(instruction, values):
    return instruction.syntax.replace("rd", "a0").replace("rs1", "a1").replace("rs2", "a2").replace(
        "shamt", str(values.get("shamt"))
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
        image = assembler.assemble(PROGRAM.format(text=text_of(instruction, values), table=table), spike.BASE)
        commits = spike.run(image, 2 + 5 * CASES, tmp_path, "rv64gc_zba_zbb_zbs_zbc_zicond")
        found = [c.written[1] for c in commits if c.written and c.written[0] == 10][:CASES]
        ours = [execute(hart({11: a, 12: b}), instruction, **values).x[10] for a, b in cases]
        assert ours == found, instruction.name
