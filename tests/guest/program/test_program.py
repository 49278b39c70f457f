"""The compiled program does what CPython does."""

import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from guesthouse.guest.program.linking import Routines, link
from guesthouse.guest.program.lowering import SYSTEM_CALL, Program
from guesthouse.manager.agent_program import ROUTINES, compiled_program
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from tests.guest.program import functions

EMULATOR = shutil.which("qemu-riscv64") or shutil.which("qemu-riscv64-static")
ROOT = Path(__file__).resolve().parents[3]
CORNERS = [0, 1, -1, 2, 7, 100, -100, 255, 256, -(1 << 63), (1 << 63) - 1, 1 << 31, -(1 << 31)]


def inputs() -> bytes:
    chance = random.Random(1)
    numbers = [(a, b) for a in CORNERS for b in CORNERS]
    numbers += [(chance.getrandbits(64) - (1 << 63), chance.getrandbits(64) - (1 << 63)) for _ in range(300)]
    return b"".join(struct.pack("<qq", *pair) for pair in numbers)


@pytest.mark.skipif(EMULATOR is None, reason="qemu-riscv64 is not installed (Debian package qemu-user)")
def test_the_compiled_program_does_what_cpython_does(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(compiled_program(functions.main))
    path.chmod(0o755)
    compiled = subprocess.run([str(EMULATOR), str(path)], input=inputs(), capture_output=True, check=False)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    words = [sys.executable, "-m", "tests.guest.in_python", functions.__name__]
    python = subprocess.run(words, input=inputs(), capture_output=True, check=False, env=environment)
    assert (compiled.returncode, python.returncode) == (3, 3), python.stderr
    size = 8 * functions.COUNT
    for at in range(0, len(python.stdout), size):
        numbers = struct.unpack_from("<qq", inputs(), at // size * 16)
        assert compiled.stdout[at : at + size] == python.stdout[at : at + size], numbers
    assert len(compiled.stdout) == len(python.stdout) == len(inputs()) // 16 * size


def test_the_executable_is_static_and_has_no_writable_code() -> None:
    data = compiled_program(functions.main)
    kind, machine = struct.unpack_from("<HH", data, 16)
    assert (data[:4], kind, machine) == (b"\x7fELF", 2, 243)
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    segments = [struct.unpack_from("<IIQQQQQQ", data, start + 56 * i) for i in range(count)]
    assert [(kind, flags) for kind, flags, *_ in segments] == [(1, 5), (1, 6), (0x6474E551, 6)]
    for _, _, offset, address, _, _, _, align in segments[:2]:
        assert offset % align == address % align
    code, data_segment = segments[:2]
    assert data_segment[3] // 4096 > (code[3] + code[6] - 1) // 4096  # no page belongs to both


def test_the_same_program_gives_the_same_bytes() -> None:
    assert compiled_program(functions.main) == compiled_program(functions.main)
    assert Program(functions.main).text == Program(functions.main).text


def test_what_is_no_object_is_refused() -> None:
    routines = Assembler(ISA, RISCV64_SYNTAX).program(ROUTINES)
    with pytest.raises(Exception, match="no RISC-V object"):
        link(b"\x7fELF\x02" + bytes(100), Routines(bytes(routines.data), {SYSTEM_CALL: 0}, {}), "_start")
