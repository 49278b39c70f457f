"""Small bare-metal programs, assembled once, and how the tests run the real program on them."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler

PUT = """
put_text:               # a0: text that ends with a zero
    li      t0, 0x10000000
1:  lbu     t1, 0(a0)
    beqz    t1, 2f
    sb      t1, 0(t0)
    addi    a0, a0, 1
    j       1b
2:  ret
finish:                 # a0: what to write to the test device
    li      t0, 0x100000
    sw      a0, 0(t0)
    j       finish
"""

SOURCES = {
    # Writes back what it reads, until `q`.
    "echo": """
    li      s0, 0x10000000
1:  lbu     t0, 5(s0)
    andi    t0, t0, 1
    beqz    t0, 1b
    lbu     t1, 0(s0)
    sb      t1, 0(s0)
    li      t2, 'q'
    bne     t1, t2, 1b
    li      a0, 0x5555
    j       finish
""",
    "spin": """
    la      a0, text
    call    put_text
1:  j       1b
text: .asciz "spinning\\n"
    .balign 4
""",
    "fail": """
    li      a0, 0x73333
    j       finish
""",
    "panic": """
    la      a0, text
    call    put_text
    li      a0, 0x7777
    j       finish
text: .asciz "[    1.000000] Kernel panic - not syncing: a test\\r\\n"
    .balign 4
""",
    "restart": """
    la      a0, text
    call    put_text
    li      a0, 0x7777
    j       finish
text: .asciz "boot\\n"
    .balign 4
""",
    "flood": """
1:  la      a0, text
    call    put_text
    j       1b
text: .asciz "flood flood flood flood flood flood flood flood flood flood\\n"
    .balign 4
""",
}

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
PROGRAM = [sys.executable, "-m", "guesthouse"]
QUICK = ["--engine", "interpreter"]


@functools.cache
def assembler() -> Assembler:
    return Assembler(ISA, RISCV64_SYNTAX)


def program(folder: Path, name: str) -> str:
    """The path of a program, written into a folder."""
    path = folder / f"{name}.bin"
    path.write_bytes(bytes(assembler().program(SOURCES[name] + PUT, 0x8000_0000).data))
    return str(path)


def call(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the real program to its end."""
    defaults = {"capture_output": True, "timeout": 40, "env": ENVIRONMENT, "stdin": subprocess.DEVNULL}
    if "input" in options:
        del defaults["stdin"]
    return subprocess.run([*PROGRAM, *arguments], **{**defaults, **options})  # type: ignore[call-overload]
