"""The registers as a debugger numbers them, and the target description that tells it so.

Source: "Debugging with GDB", appendix "Target Descriptions", section "RISC-V Features". The numbers are those gdb has
for RISC-V itself: 0 to 31 integer, 32 pc, 33 to 64 floating point, 65 + n for CSR n, then the privilege.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.isa.riscv64.description import F_NAMES, X_NAMES

PC, FIRST_FLOAT, FIRST_CSR, PRIVILEGE = 32, 33, 65, 65 + 4096
FLOAT_CSRS = ("fflags", "frm", "fcsr")
READ_ONLY = 0xC00  # these two bits of a CSR's number, both set


class Register(msgspec.Struct, frozen=True):
    """One register: its number, its names for gdb and for us, its bytes, its type and feature."""

    number: int
    name: str
    ours: str
    size: int
    kind: str
    feature: str
    read_only: bool = False


def _registers() -> Iterable[Register]:
    for number, name in enumerate(X_NAMES):
        kind = {"ra": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr"}.get(name, "int")
        yield Register(number, "fp" if name == "s0" else name, name, 8, kind, "cpu")
    yield Register(PC, "pc", "pc", 8, "code_ptr", "cpu")
    for number, name in enumerate(F_NAMES):
        yield Register(FIRST_FLOAT + number, name, name, 8, "ieee_double", "fpu")
    for name, number in sorted(CSR_NAMES.items(), key=lambda item: item[1]):
        if name in FLOAT_CSRS:
            yield Register(FIRST_CSR + number, name, name, 4, "int", "fpu")
        else:
            fixed = number & READ_ONLY == READ_ONLY
            yield Register(FIRST_CSR + number, name, name, 8, "int", "csr", read_only=fixed)
    yield Register(PRIVILEGE, "priv", "mode", 8, "int", "virtual")


REGISTERS = {register.number: register for register in _registers()}
GENERAL = tuple(REGISTERS[number] for number in range(FIRST_CSR))
"""What the packets `g` and `G` carry; the others are asked for one by one."""


def target_description() -> bytes:
    """The XML document; CSRs are not saved over a function that the debugger calls in the guest."""
    lines = ['<?xml version="1.0"?>', '<!DOCTYPE target SYSTEM "gdb-target.dtd">', '<target version="1.0">']
    lines.append("<architecture>riscv:rv64</architecture>")
    for feature in ("cpu", "fpu", "virtual", "csr"):
        lines.append(f'<feature name="org.gnu.gdb.riscv.{feature}">')
        for register in REGISTERS.values():
            if register.feature == feature:
                kept = ' save-restore="no"' if register.number >= FIRST_CSR else ""
                lines.append(
                    f'<reg name="{register.name}" bitsize="{8 * register.size}" type="{register.kind}"'
                    f' regnum="{register.number}"{kept}/>'
                )
        lines.append("</feature>")
    return "\n".join([*lines, "</target>", ""]).encode()
