"""RISC-V assembly language beyond the instructions' own syntax: what the assembler manual and binutils call things.

Source: the RISC-V Assembly Programmer's Manual, "pseudoinstructions", "relocation functions"; spelling of GNU
objdump 2.40, which prints `add` for ADDI and the like. A name in a template is an operand of the instruction.
"""

from __future__ import annotations

from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.isa.riscv64.foreign_csrs import FOREIGN_CSRS
from guesthouse.virtual.spec.expression import Scope, evaluate
from guesthouse.virtual.spec.syntax import AssemblySyntax, Hexadecimal, Letters, Named

DYNAMIC = 7
ROUNDING_MODES = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rmm": 4, "dyn": DYNAMIC}

REGISTERS = {
    **{f"x{n}": ("x", n) for n in range(32)},
    **{f"f{n}": ("f", n) for n in range(32)},
    "fp": ("x", 8),
}

# Both read and printed; the first that fits is printed.
ALIASES = (
    ("nop", "addi zero, zero, 0"),
    ("li rd, imm", "addi rd, zero, imm"),
    ("mv rd, rs1", "addi rd, rs1, 0"),
    ("not rd, rs1", "xori rd, rs1, -1"),
    ("zext.b rd, rs1", "andi rd, rs1, 255"),
    ("seqz rd, rs1", "sltiu rd, rs1, 1"),
    ("sext.w rd, rs1", "addiw rd, rs1, 0"),
    ("zext.w rd, rs1", "add.uw rd, rs1, zero"),
    ("neg rd, rs2", "sub rd, zero, rs2"),
    ("negw rd, rs2", "subw rd, zero, rs2"),
    ("snez rd, rs2", "sltu rd, zero, rs2"),
    ("sltz rd, rs1", "slt rd, rs1, zero"),
    ("sgtz rd, rs2", "slt rd, zero, rs2"),
    ("j offset", "jal zero, offset"),
    ("jal offset", "jal ra, offset"),
    ("ret", "jalr zero, 0(ra)"),
    ("jr rs1", "jalr zero, 0(rs1)"),
    ("jr offset(rs1)", "jalr zero, offset(rs1)"),
    ("jalr rs1", "jalr ra, 0(rs1)"),
    ("jalr offset(rs1)", "jalr ra, offset(rs1)"),
    ("jalr rd, rs1", "jalr rd, 0(rs1)"),
    ("beqz rs1, offset", "beq rs1, zero, offset"),
    ("bnez rs1, offset", "bne rs1, zero, offset"),
    ("blez rs2, offset", "bge zero, rs2, offset"),
    ("bgez rs1, offset", "bge rs1, zero, offset"),
    ("bltz rs1, offset", "blt rs1, zero, offset"),
    ("bgtz rs2, offset", "blt zero, rs2, offset"),
    ("fence", "fence iorw, iorw"),
    ("unimp", "csrrw zero, cycle, zero"),
    ("rdcycle rd", "csrrs rd, cycle, zero"),
    ("rdtime rd", "csrrs rd, time, zero"),
    ("rdinstret rd", "csrrs rd, instret, zero"),
    ("frcsr rd", "csrrs rd, fcsr, zero"),
    ("frrm rd", "csrrs rd, frm, zero"),
    ("frflags rd", "csrrs rd, fflags, zero"),
    ("fscsr rs1", "csrrw zero, fcsr, rs1"),
    ("fscsr rd, rs1", "csrrw rd, fcsr, rs1"),
    ("fsrm rs1", "csrrw zero, frm, rs1"),
    ("fsrm rd, rs1", "csrrw rd, frm, rs1"),
    ("fsflags rs1", "csrrw zero, fflags, rs1"),
    ("fsflags rd, rs1", "csrrw rd, fflags, rs1"),
    ("fsrmi rd, uimm", "csrrwi rd, frm, uimm"),
    ("fsflagsi rd, uimm", "csrrwi rd, fflags, uimm"),
    ("csrr rd, csr", "csrrs rd, csr, zero"),
    ("csrs csr, rs1", "csrrs zero, csr, rs1"),
    ("csrw csr, rs1", "csrrw zero, csr, rs1"),
    ("csrc csr, rs1", "csrrc zero, csr, rs1"),
    ("csrs csr, uimm", "csrrsi zero, csr, uimm"),
    ("csrw csr, uimm", "csrrwi zero, csr, uimm"),
    ("csrc csr, uimm", "csrrci zero, csr, uimm"),
    ("csrrs rd, csr, uimm", "csrrsi rd, csr, uimm"),
    ("csrrw rd, csr, uimm", "csrrwi rd, csr, uimm"),
    ("csrrc rd, csr, uimm", "csrrci rd, csr, uimm"),
    ("sfence.vma", "sfence.vma zero, zero"),
    ("sfence.vma rs1", "sfence.vma rs1, zero"),
    # These conversions are exact, so binutils writes no rounding mode and encodes the first.
    *((f"fcvt.d.{source} rd, rs1", f"fcvt.d.{source} rd, rs1, rne") for source in ("s", "w", "wu")),
    *(
        (f"{written}.{width} rd, rs1", f"{meaning}.{width} rd, rs1, rs1")
        for written, meaning in (("fmv", "fsgnj"), ("fneg", "fsgnjn"), ("fabs", "fsgnjx"))
        for width in "sd"
    ),
)

# Instructions with an immediate and the name that they share with the form for registers.
SHORT_NAMES = {
    **{f"{name}i": name for name in ("add", "and", "or", "xor", "sll", "srl", "sra", "ror")},
    **{f"{name}i": name for name in ("bclr", "bext", "binv", "bset")},
    **{f"{name}iw": f"{name}w" for name in ("add", "sll", "srl", "sra", "ror")},
}
SHIFTS = frozenset(
    ("slli", "srli", "srai", "rori", "slliw", "srliw", "sraiw", "roriw", "bclri", "bexti", "binvi", "bseti")
)
SHORT_ALIASES = tuple(
    (f"{short} rd, rs1, {amount}", f"{name} rd, rs1, {amount}")
    for name, short in SHORT_NAMES.items()
    for amount in ("shamt" if name in SHIFTS else "imm",)
)

# A compressed instruction is printed as what it expands to; hints keep their own name.
COMPRESSED = (
    ("add rd, sp, uimm", "c.addi4spn rd, sp, uimm"),
    ("add sp, sp, imm", "c.addi16sp sp, imm"),
    ("nop", "c.nop 0"),
    ("add rd, rd, imm", "c.addi rd, imm"),
    ("sext.w rd, rd", "c.addiw rd, 0"),
    ("addw rd, rd, imm", "c.addiw rd, imm"),
    *((f"c.{name} zero, {operand}", f"c.{name} zero, {operand}") for name, operand in (("li", "imm"), ("lui", "imm"))),
    ("li rd, imm", "c.li rd, imm"),
    ("lui rd, imm", "c.lui rd, imm"),
    *((f"c.{name}64 rd", f"c.{name} rd, 0x0") for name in ("slli", "srli", "srai")),
    ("c.slli zero, shamt", "c.slli zero, shamt"),
    *((f"{name} rd, rd, shamt", f"c.{name}i rd, shamt") for name in ("sll", "srl", "sra")),
    ("and rd, rd, imm", "c.andi rd, imm"),
    *((f"c.{name} zero, rs2", f"c.{name} zero, rs2") for name in ("mv", "add")),
    ("mv rd, rs2", "c.mv rd, rs2"),
    *((f"{name} rd, rd, rs2", f"c.{name} rd, rs2") for name in ("add", "and", "or", "xor", "sub", "addw", "subw")),
    ("j offset", "c.j offset"),
    ("beqz rs1, offset", "c.beqz rs1, offset"),
    ("bnez rs1, offset", "c.bnez rs1, offset"),
    ("ret", "c.jr ra"),
    ("jr rs1", "c.jr rs1"),
    ("jalr rs1", "c.jalr rs1"),
    ("ebreak", "c.ebreak"),
    *((f"{name} rd, uimm({base})", f"c.{name}{sp} rd, uimm({base})")
      for name in ("lw", "ld", "fld") for base, sp in (("rs1", ""), ("sp", "sp"))),
    *((f"{name} rs2, uimm({base})", f"c.{name}{sp} rs2, uimm({base})")
      for name in ("sw", "sd", "fsd") for base, sp in (("rs1", ""), ("sp", "sp"))),
)  # fmt: skip

LOADS = ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")
STORES = ("sb", "sh", "sw", "sd")

# What the assembler reads and nothing prints.
READ = (
    ("c.nop", "c.nop 0"),
    ("move rd, rs1", "addi rd, rs1, 0"),
    ("ble rs1, rs2, offset", "bge rs2, rs1, offset"),
    ("bgt rs1, rs2, offset", "blt rs2, rs1, offset"),
    ("bleu rs1, rs2, offset", "bgeu rs2, rs1, offset"),
    ("bgtu rs1, rs2, offset", "bltu rs2, rs1, offset"),
    ("sgt rd, rs1, rs2", "slt rd, rs2, rs1"),
    ("sgtu rd, rs1, rs2", "sltu rd, rs2, rs1"),
    ("slt rd, rs1, imm", "slti rd, rs1, imm"),
    ("sltu rd, rs1, imm", "sltiu rd, rs1, imm"),
    ("jr rs1, offset", "jalr zero, offset(rs1)"),
    ("jalr rs1, offset", "jalr ra, offset(rs1)"),
    ("jalr rd, rs1, offset", "jalr rd, offset(rs1)"),
    ("csrsi csr, uimm", "csrrsi zero, csr, uimm"),
    ("csrwi csr, uimm", "csrrwi zero, csr, uimm"),
    ("csrci csr, uimm", "csrrci zero, csr, uimm"),
    ("fsrmi uimm", "csrrwi zero, frm, uimm"),
    ("fsflagsi uimm", "csrrwi zero, fflags, uimm"),
    ("scall", "ecall"),
    ("sbreak", "ebreak"),
    ("fmv.x.s rd, rs1", "fmv.x.w rd, rs1"),
    ("fmv.s.x rd, rs1", "fmv.w.x rd, rs1"),
    *((f"fgt.{w} rd, rs1, rs2", f"flt.{w} rd, rs2, rs1") for w in "sd"),
    *((f"fge.{w} rd, rs1, rs2", f"fle.{w} rd, rs2, rs1") for w in "sd"),
    ("la rd, symbol", "auipc rd, %pcrel_hi(symbol)", "addi rd, rd, %pcrel_lo(. - 4)"),
    ("lla rd, symbol", "auipc rd, %pcrel_hi(symbol)", "addi rd, rd, %pcrel_lo(. - 4)"),
    ("call symbol", "auipc ra, %pcrel_hi(symbol)", "jalr ra, %pcrel_lo(. - 4)(ra)"),
    ("call rd, symbol", "auipc t1, %pcrel_hi(symbol)", "jalr rd, %pcrel_lo(. - 4)(t1)"),
    ("tail symbol", "auipc t1, %pcrel_hi(symbol)", "jalr zero, %pcrel_lo(. - 4)(t1)"),
    ("jump symbol, rs1", "auipc rs1, %pcrel_hi(symbol)", "jalr zero, %pcrel_lo(. - 4)(rs1)"),
    *((f"{name} rd, symbol", "auipc rd, %pcrel_hi(symbol)", f"{name} rd, %pcrel_lo(. - 4)(rd)") for name in LOADS),
    *(
        (f"{name} rd, symbol, rs1", "auipc rs1, %pcrel_hi(symbol)", f"{name} rd, %pcrel_lo(. - 4)(rs1)")
        for name in ("flw", "fld")
    ),
    *(
        (f"{name} rs2, symbol, rs1", "auipc rs1, %pcrel_hi(symbol)", f"{name} rs2, %pcrel_lo(. - 4)(rs1)")
        for name in (*STORES, "fsw", "fsd")
    ),
)


def signed_part(value: int, bits: int) -> int:
    """The low bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def upper_part(value: int) -> int:
    """The 20 bits that LUI or AUIPC adds so that a signed 12-bit number reaches `value`."""
    return (value + 0x800) >> 12 & 0xFFFFF


def pcrel_hi(value: int, address: int, notes: dict[int, int]) -> int:
    """The upper part of the way to `value`, noted for the `%pcrel_lo` that names this instruction."""
    distance = signed_part(value - address, 64)
    if not -(1 << 31) - 0x800 <= distance < (1 << 31) - 0x800:
        raise ValueError(f"{value:#x} is more than 2 GiB away")
    notes[address] = distance
    return upper_part(distance)


def pcrel_lo(value: int, address: int, notes: dict[int, int]) -> int:
    """The lower part that belongs to the `%pcrel_hi` at address `value`."""
    if value not in notes:
        raise ValueError(f"%pcrel_lo needs the label of an instruction with %pcrel_hi before it, not {value:#x}")
    return signed_part(notes[value], 12)


def load_immediate(operands: list[str], scope: Scope) -> list[str]:
    """`li rd, value`: LUI and ADDIW, then shifts and additions for what is left of 64 bits, as GNU as does."""
    if len(operands) != 2:
        raise ValueError("'li' takes a register and a number")
    register, value = operands[0], evaluate(operands[1], scope)
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{value} does not fit in 64 bits")
    value = signed_part(value, 64)
    return [f"addi {register}, zero, {value}"] if -2048 <= value < 2048 else _constant(register, value)


def _constant(register: str, value: int) -> list[str]:
    low = signed_part(value, 12)
    if value == low:
        return [f"addiw {register}, zero, {low}"]
    if value == signed_part(value, 32):
        return [f"lui {register}, {upper_part(value)}", *([f"addiw {register}, {register}, {low}"] if low else [])]
    rest = value - low
    shift = (rest & -rest).bit_length() - 1
    upper = _constant(register, signed_part(rest, 64) >> shift)
    return [
        *upper,
        f"slli {register}, {register}, {shift}",
        *([f"addi {register}, {register}, {low}"] if low else []),
    ]


RISCV64_SYNTAX = AssemblySyntax(
    registers=REGISTERS,
    files={"rd": "x", "rs1": "x", "rs2": "x", "rs3": "f"},
    relative=frozenset({"offset"}),
    spellings={
        "shamt": Hexadecimal(),
        "csr": Named({**CSR_NAMES, **FOREIGN_CSRS}),
        "rm": Named(ROUNDING_MODES, default=DYNAMIC, other=lambda value: "unknown"),
        "pred": Letters("iorw", empty="unknown"),
        "succ": Letters("iorw", empty="unknown"),
    },
    suffixes={".aq": {"aq": 1, "rl": 0}, ".rl": {"aq": 0, "rl": 1}, ".aqrl": {"aq": 1, "rl": 1}},
    aliases=(*ALIASES, *SHORT_ALIASES),
    printed=COMPRESSED,
    read=READ,
    macros={"li": load_immediate},
    operators={
        "hi": lambda value, address, notes: upper_part(value),
        "lo": lambda value, address, notes: signed_part(value, 12),
        "pcrel_hi": pcrel_hi,
        "pcrel_lo": pcrel_lo,
    },
    filler=(b"\x01\x00", b"\x13\x00\x00\x00"),
    undefined={(2, 0): "unimp"},
)
