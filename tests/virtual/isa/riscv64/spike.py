"""Spike as the oracle of whole programs: an ELF file in, the log of committed instructions out.

The wheel carries the simulator as a program. With `--log-commits` it tells of every instruction that retired: its
address, its bits, and what it wrote to the integer registers.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BASE = 0x8000_0000
TOHOST = 0x80FF_F000  # the program stores 1 here when it is done
ISA = "rv64imafdc_zicsr_zicntr_zihpm_svinval_svnapot_svpbmt_svadu_sstc_zicbom_zicboz"
_COMMIT = re.compile(r"core +0: \d (0x[0-9a-f]+) \(0x([0-9a-f]+)\)(.*)")
_WRITE = re.compile(r" x(\d+) +(0x[0-9a-f]+)")


@dataclass(frozen=True)
class Commit:
    """One instruction that retired: its address and the integer register it wrote, if any."""

    pc: int
    written: tuple[int, int] | None


def elf(image: bytes, address: int = BASE) -> bytes:
    """The smallest executable Spike takes: one segment, entered at its start, and the symbols it ends by."""
    names = b"\0.strtab\0.symtab\0tohost\0fromhost\0"
    symbols = bytes(24)
    for name, value in ((b"tohost", TOHOST), (b"fromhost", TOHOST + 8)):
        symbols += struct.pack("<IBBHQQ", names.index(b"\0" + name) + 1, 0x11, 0, 0xFFF1, value, 8)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 512, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 9, 2, 0, 0, 1024, len(symbols), 1, 1, 8, 24)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 243, 1, address, 64, 128, 0, 64, 56, 1, 64, 3, 1)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0x1000, address, address, len(image), len(image), 0x1000)
    head = (header + segment + bytes(8) + sections).ljust(512, b"\0") + names
    return (head.ljust(1024, b"\0") + symbols).ljust(0x1000, b"\0") + image


def run(image: bytes, folder: Path, isa: str = ISA) -> list[Commit]:
    """The instructions of an image loaded at BASE, without those of the boot code and some more at its end."""
    program, log = folder / "program.elf", folder / "commits.log"
    program.write_bytes(elf(image))
    command = [str(Path(sys.executable).with_name("spike")), f"--isa={isa}", "-m16", "-l", "--log-commits"]
    done = subprocess.run([*command, f"--log={log}", str(program)], capture_output=True, timeout=60)
    commits = []
    for line in log.read_text().splitlines():
        found = _COMMIT.match(line)
        if found and int(found[1], 16) >= BASE:
            written = _WRITE.search(found[3])
            commits.append(Commit(int(found[1], 16), (int(written[1]), int(written[2], 16)) if written else None))
    assert commits, done.stderr.decode()
    return commits
