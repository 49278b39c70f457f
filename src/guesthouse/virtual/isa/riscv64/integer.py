"""RV64I, the base integer instructions: volume I, chapters 2 (RV32I) and 4 (RV64I).

ECALL and EBREAK (section 2.8) are in `environment`. With the C extension every even address is a valid jump target,
so no jump can trap.
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.spec.words import fence, fence_acquire_release, load, s8, s16, s32, s64, store, u32, u64

EXTENSION = "I"

# 2.4.1 Integer Register-Immediate Instructions


@instruction("addi rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011")
def addi(s, rd, rs1, imm):
    s.x[rd] = s.x[rs1] + imm


@instruction("slti rd, rs1, imm", "imm[11:0] rs1 010 rd 0010011")
def slti(s, rd, rs1, imm):
    s.x[rd] = s64(s.x[rs1]) < imm


@instruction("sltiu rd, rs1, imm", "imm[11:0] rs1 011 rd 0010011")
def sltiu(s, rd, rs1, imm):
    s.x[rd] = s.x[rs1] < u64(imm)


@instruction("xori rd, rs1, imm", "imm[11:0] rs1 100 rd 0010011")
def xori(s, rd, rs1, imm):
    s.x[rd] = s.x[rs1] ^ imm


@instruction("ori rd, rs1, imm", "imm[11:0] rs1 110 rd 0010011")
def ori(s, rd, rs1, imm):
    s.x[rd] = s.x[rs1] | imm


@instruction("andi rd, rs1, imm", "imm[11:0] rs1 111 rd 0010011")
def andi(s, rd, rs1, imm):
    s.x[rd] = s.x[rs1] & imm


@instruction("slli rd, rs1, shamt", "000000 shamt rs1 001 rd 0010011")
def slli(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] << shamt


@instruction("srli rd, rs1, shamt", "000000 shamt rs1 101 rd 0010011")
def srli(s, rd, rs1, shamt):
    s.x[rd] = s.x[rs1] >> shamt


@instruction("srai rd, rs1, shamt", "010000 shamt rs1 101 rd 0010011")
def srai(s, rd, rs1, shamt):
    s.x[rd] = s64(s.x[rs1]) >> shamt


@instruction("lui rd, imm>>12", "imm[31:12] rd 0110111")
def lui(s, rd, imm):
    s.x[rd] = imm


@instruction("auipc rd, imm>>12", "imm[31:12] rd 0010111")
def auipc(s, rd, imm):
    s.x[rd] = s.pc + imm


# 2.4.2 Integer Register-Register Operations


@instruction("add rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0110011")
def add(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] + s.x[rs2]


@instruction("sub rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0110011")
def sub(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] - s.x[rs2]


@instruction("sll rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0110011")
def sll(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] << (s.x[rs2] & 63)


@instruction("slt rd, rs1, rs2", "0000000 rs2 rs1 010 rd 0110011")
def slt(s, rd, rs1, rs2):
    s.x[rd] = s64(s.x[rs1]) < s64(s.x[rs2])


@instruction("sltu rd, rs1, rs2", "0000000 rs2 rs1 011 rd 0110011")
def sltu(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] < s.x[rs2]


@instruction("xor rd, rs1, rs2", "0000000 rs2 rs1 100 rd 0110011")
def xor(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] ^ s.x[rs2]


@instruction("srl rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0110011")
def srl(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] >> (s.x[rs2] & 63)


@instruction("sra rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0110011")
def sra(s, rd, rs1, rs2):
    s.x[rd] = s64(s.x[rs1]) >> (s.x[rs2] & 63)


@instruction("or rd, rs1, rs2", "0000000 rs2 rs1 110 rd 0110011")
def or_(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] | s.x[rs2]


@instruction("and rd, rs1, rs2", "0000000 rs2 rs1 111 rd 0110011")
def and_(s, rd, rs1, rs2):
    s.x[rd] = s.x[rs1] & s.x[rs2]


# 2.5.1 Unconditional Jumps


@instruction("jal rd, offset", "offset[20|10:1|11|19:12] rd 1101111")
def jal(s, rd, offset):
    s.x[rd] = s.next_pc
    s.next_pc = s.pc + offset


@instruction("jalr rd, offset(rs1)", "offset[11:0] rs1 000 rd 1100111")
def jalr(s, rd, rs1, offset):
    target = s.x[rs1] + offset & ~1
    s.x[rd] = s.next_pc
    s.next_pc = target


# 2.5.2 Conditional Branches


@instruction("beq rs1, rs2, offset", "offset[12|10:5] rs2 rs1 000 offset[4:1|11] 1100011")
def beq(s, rs1, rs2, offset):
    if s.x[rs1] == s.x[rs2]:
        s.next_pc = s.pc + offset


@instruction("bne rs1, rs2, offset", "offset[12|10:5] rs2 rs1 001 offset[4:1|11] 1100011")
def bne(s, rs1, rs2, offset):
    if s.x[rs1] != s.x[rs2]:
        s.next_pc = s.pc + offset


@instruction("blt rs1, rs2, offset", "offset[12|10:5] rs2 rs1 100 offset[4:1|11] 1100011")
def blt(s, rs1, rs2, offset):
    if s64(s.x[rs1]) < s64(s.x[rs2]):
        s.next_pc = s.pc + offset


@instruction("bge rs1, rs2, offset", "offset[12|10:5] rs2 rs1 101 offset[4:1|11] 1100011")
def bge(s, rs1, rs2, offset):
    if s64(s.x[rs1]) >= s64(s.x[rs2]):
        s.next_pc = s.pc + offset


@instruction("bltu rs1, rs2, offset", "offset[12|10:5] rs2 rs1 110 offset[4:1|11] 1100011")
def bltu(s, rs1, rs2, offset):
    if s.x[rs1] < s.x[rs2]:
        s.next_pc = s.pc + offset


@instruction("bgeu rs1, rs2, offset", "offset[12|10:5] rs2 rs1 111 offset[4:1|11] 1100011")
def bgeu(s, rs1, rs2, offset):
    if s.x[rs1] >= s.x[rs2]:
        s.next_pc = s.pc + offset


# 2.6 and 4.3 Load and Store Instructions


@instruction("lb rd, offset(rs1)", "offset[11:0] rs1 000 rd 0000011")
def lb(s, rd, rs1, offset):
    s.x[rd] = s8(load(s, s.x[rs1] + offset, 1))


@instruction("lh rd, offset(rs1)", "offset[11:0] rs1 001 rd 0000011")
def lh(s, rd, rs1, offset):
    s.x[rd] = s16(load(s, s.x[rs1] + offset, 2))


@instruction("lw rd, offset(rs1)", "offset[11:0] rs1 010 rd 0000011")
def lw(s, rd, rs1, offset):
    s.x[rd] = s32(load(s, s.x[rs1] + offset, 4))


@instruction("ld rd, offset(rs1)", "offset[11:0] rs1 011 rd 0000011")
def ld(s, rd, rs1, offset):
    s.x[rd] = load(s, s.x[rs1] + offset, 8)


@instruction("lbu rd, offset(rs1)", "offset[11:0] rs1 100 rd 0000011")
def lbu(s, rd, rs1, offset):
    s.x[rd] = load(s, s.x[rs1] + offset, 1)


@instruction("lhu rd, offset(rs1)", "offset[11:0] rs1 101 rd 0000011")
def lhu(s, rd, rs1, offset):
    s.x[rd] = load(s, s.x[rs1] + offset, 2)


@instruction("lwu rd, offset(rs1)", "offset[11:0] rs1 110 rd 0000011")
def lwu(s, rd, rs1, offset):
    s.x[rd] = load(s, s.x[rs1] + offset, 4)


@instruction("sb rs2, offset(rs1)", "offset[11:5] rs2 rs1 000 offset[4:0] 0100011")
def sb(s, rs1, rs2, offset):
    store(s, s.x[rs1] + offset, 1, s.x[rs2])


@instruction("sh rs2, offset(rs1)", "offset[11:5] rs2 rs1 001 offset[4:0] 0100011")
def sh(s, rs1, rs2, offset):
    store(s, s.x[rs1] + offset, 2, s.x[rs2])


@instruction("sw rs2, offset(rs1)", "offset[11:5] rs2 rs1 010 offset[4:0] 0100011")
def sw(s, rs1, rs2, offset):
    store(s, s.x[rs1] + offset, 4, s.x[rs2])


@instruction("sd rs2, offset(rs1)", "offset[11:5] rs2 rs1 011 offset[4:0] 0100011")
def sd(s, rs1, rs2, offset):
    store(s, s.x[rs1] + offset, 8, s.x[rs2])


# 2.7 Memory Ordering Instructions: rs1, rd and unknown modes are ignored as 2.7 asks. Only what orders loads behind
# stores needs a fence that waits; devices are accessed one at a time and behind everything before.

READS, WRITES = 2, 1  # bits of pred and succ


@instruction("fence pred, succ", "fm[3:0] pred[3:0] succ[3:0] rs1 000 rd 0001111")
def fence_(s, pred, succ):
    if pred & WRITES != 0 and succ & READS != 0:
        fence(s)
    else:
        fence_acquire_release(s)


@instruction("fence.tso", "1000 0011 0011 00000 000 00000 0001111")
def fence_tso(s):
    fence_acquire_release(s)


# 4.2 Integer Computational Instructions


@instruction("addiw rd, rs1, imm", "imm[11:0] rs1 000 rd 0011011")
def addiw(s, rd, rs1, imm):
    s.x[rd] = s32(s.x[rs1] + imm)


@instruction("slliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 001 rd 0011011")
def slliw(s, rd, rs1, shamt):
    s.x[rd] = s32(s.x[rs1] << shamt)


@instruction("srliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 101 rd 0011011")
def srliw(s, rd, rs1, shamt):
    s.x[rd] = s32(u32(s.x[rs1]) >> shamt)


@instruction("sraiw rd, rs1, shamt", "0100000 shamt[4:0] rs1 101 rd 0011011")
def sraiw(s, rd, rs1, shamt):
    s.x[rd] = s32(s.x[rs1]) >> shamt


@instruction("addw rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0111011")
def addw(s, rd, rs1, rs2):
    s.x[rd] = s32(s.x[rs1] + s.x[rs2])


@instruction("subw rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0111011")
def subw(s, rd, rs1, rs2):
    s.x[rd] = s32(s.x[rs1] - s.x[rs2])


@instruction("sllw rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0111011")
def sllw(s, rd, rs1, rs2):
    s.x[rd] = s32(s.x[rs1] << (s.x[rs2] & 31))


@instruction("srlw rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0111011")
def srlw(s, rd, rs1, rs2):
    s.x[rd] = s32(u32(s.x[rs1]) >> (s.x[rs2] & 31))


@instruction("sraw rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0111011")
def sraw(s, rd, rs1, rs2):
    s.x[rd] = s32(s.x[rs1]) >> (s.x[rs2] & 31)
