"""C, compressed instructions: volume I, chapter 28. Each is one 32-bit instruction, which it calls.

What is reserved has no encoding here and so is illegal; hints are the instruction they look like with rd = x0 or
nothing to do. RV64 has neither C.JAL nor the single-precision loads and stores.
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.double import fld, fsd
from guesthouse.virtual.isa.riscv64.environment import ebreak
from guesthouse.virtual.isa.riscv64.integer import (
    add,
    addi,
    addiw,
    addw,
    and_,
    andi,
    beq,
    bne,
    jal,
    jalr,
    ld,
    lui,
    lw,
    or_,
    sd,
    slli,
    srai,
    srli,
    sub,
    subw,
    sw,
    xor,
)

EXTENSION = "C"

ZERO = 0
RA = 1
SP = 2

# 28.3.1 Stack-Pointer-Based Loads and Stores


@instruction("c.lwsp rd, uimm(sp)", "010 uimm[5] rd!=0 uimm[4:2|7:6] 10")
def c_lwsp(s, rd, uimm):
    lw(s, rd, SP, uimm)


@instruction("c.ldsp rd, uimm(sp)", "011 uimm[5] rd!=0 uimm[4:3|8:6] 10")
def c_ldsp(s, rd, uimm):
    ld(s, rd, SP, uimm)


@instruction("c.fldsp rd, uimm(sp)", "001 uimm[5] rd uimm[4:3|8:6] 10")
def c_fldsp(s, rd, uimm):
    fld(s, rd, SP, uimm)


@instruction("c.swsp rs2, uimm(sp)", "110 uimm[5:2|7:6] rs2 10")
def c_swsp(s, rs2, uimm):
    sw(s, SP, rs2, uimm)


@instruction("c.sdsp rs2, uimm(sp)", "111 uimm[5:3|8:6] rs2 10")
def c_sdsp(s, rs2, uimm):
    sd(s, SP, rs2, uimm)


@instruction("c.fsdsp rs2, uimm(sp)", "101 uimm[5:3|8:6] rs2 10")
def c_fsdsp(s, rs2, uimm):
    fsd(s, rs2, SP, uimm)


# 28.3.2 Register-Based Loads and Stores


@instruction("c.lw rd, uimm(rs1)", "010 uimm[5:3] rs1' uimm[2|6] rd' 00")
def c_lw(s, rd, rs1, uimm):
    lw(s, rd, rs1, uimm)


@instruction("c.ld rd, uimm(rs1)", "011 uimm[5:3] rs1' uimm[7:6] rd' 00")
def c_ld(s, rd, rs1, uimm):
    ld(s, rd, rs1, uimm)


@instruction("c.fld rd, uimm(rs1)", "001 uimm[5:3] rs1' uimm[7:6] rd' 00")
def c_fld(s, rd, rs1, uimm):
    fld(s, rd, rs1, uimm)


@instruction("c.sw rs2, uimm(rs1)", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00")
def c_sw(s, rs1, rs2, uimm):
    sw(s, rs1, rs2, uimm)


@instruction("c.sd rs2, uimm(rs1)", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00")
def c_sd(s, rs1, rs2, uimm):
    sd(s, rs1, rs2, uimm)


@instruction("c.fsd rs2, uimm(rs1)", "101 uimm[5:3] rs1' uimm[7:6] rs2' 00")
def c_fsd(s, rs1, rs2, uimm):
    fsd(s, rs2, rs1, uimm)


# 28.4 Control Transfer Instructions


@instruction("c.j offset", "101 offset[11|4|9:8|10|6|7|3:1|5] 01")
def c_j(s, offset):
    jal(s, ZERO, offset)


@instruction("c.jr rs1", "100 0 rs1!=0 00000 10")
def c_jr(s, rs1):
    jalr(s, ZERO, rs1, 0)


@instruction("c.jalr rs1", "100 1 rs1!=0 00000 10")
def c_jalr(s, rs1):
    jalr(s, RA, rs1, 0)


@instruction("c.beqz rs1, offset", "110 offset[8|4:3] rs1' offset[7:6|2:1|5] 01")
def c_beqz(s, rs1, offset):
    beq(s, rs1, ZERO, offset)


@instruction("c.bnez rs1, offset", "111 offset[8|4:3] rs1' offset[7:6|2:1|5] 01")
def c_bnez(s, rs1, offset):
    bne(s, rs1, ZERO, offset)


# 28.5.1 Integer Constant-Generation Instructions


@instruction("c.li rd, imm", "010 imm[5] rd imm[4:0] 01")
def c_li(s, rd, imm):
    addi(s, rd, ZERO, imm)


@instruction("c.lui rd, imm>>12", "011 imm[17] rd!=2 imm[16:12]!=0 01")
def c_lui(s, rd, imm):
    lui(s, rd, imm)


# 28.5.2 Integer Register-Immediate Operations


@instruction("c.addi rd, imm", "000 imm[5] rd!=0 imm[4:0] 01")
def c_addi(s, rd, imm):
    addi(s, rd, rd, imm)


@instruction("c.addiw rd, imm", "001 imm[5] rd!=0 imm[4:0] 01")
def c_addiw(s, rd, imm):
    addiw(s, rd, rd, imm)


@instruction("c.addi16sp sp, imm", "011 imm[9] 00010 imm[4|6|8:7|5]!=0 01")
def c_addi16sp(s, imm):
    addi(s, SP, SP, imm)


@instruction("c.addi4spn rd, sp, uimm", "000 uimm[5:4|9:6|2|3]!=0 rd' 00")
def c_addi4spn(s, rd, uimm):
    addi(s, rd, SP, uimm)


@instruction("c.slli rd, shamt", "000 shamt[5] rd shamt[4:0] 10")
def c_slli(s, rd, shamt):
    slli(s, rd, rd, shamt)


@instruction("c.srli rd, shamt", "100 shamt[5] 00 rd' shamt[4:0] 01")
def c_srli(s, rd, shamt):
    srli(s, rd, rd, shamt)


@instruction("c.srai rd, shamt", "100 shamt[5] 01 rd' shamt[4:0] 01")
def c_srai(s, rd, shamt):
    srai(s, rd, rd, shamt)


@instruction("c.andi rd, imm", "100 imm[5] 10 rd' imm[4:0] 01")
def c_andi(s, rd, imm):
    andi(s, rd, rd, imm)


# 28.5.3 Integer Register-Register Operations


@instruction("c.mv rd, rs2", "100 0 rd rs2!=0 10")
def c_mv(s, rd, rs2):
    add(s, rd, ZERO, rs2)


@instruction("c.add rd, rs2", "100 1 rd rs2!=0 10")
def c_add(s, rd, rs2):
    add(s, rd, rd, rs2)


@instruction("c.and rd, rs2", "100 0 11 rd' 11 rs2' 01")
def c_and(s, rd, rs2):
    and_(s, rd, rd, rs2)


@instruction("c.or rd, rs2", "100 0 11 rd' 10 rs2' 01")
def c_or(s, rd, rs2):
    or_(s, rd, rd, rs2)


@instruction("c.xor rd, rs2", "100 0 11 rd' 01 rs2' 01")
def c_xor(s, rd, rs2):
    xor(s, rd, rd, rs2)


@instruction("c.sub rd, rs2", "100 0 11 rd' 00 rs2' 01")
def c_sub(s, rd, rs2):
    sub(s, rd, rd, rs2)


@instruction("c.addw rd, rs2", "100 1 11 rd' 01 rs2' 01")
def c_addw(s, rd, rs2):
    addw(s, rd, rd, rs2)


@instruction("c.subw rd, rs2", "100 1 11 rd' 00 rs2' 01")
def c_subw(s, rd, rs2):
    subw(s, rd, rd, rs2)


# 28.5.4 to 28.5.6


@instruction("c.nop imm", "000 imm[5] 00000 imm[4:0] 01")
def c_nop(s):
    pass


@instruction("c.ebreak", "100 1 00000 00000 10")
def c_ebreak(s):
    ebreak(s)
